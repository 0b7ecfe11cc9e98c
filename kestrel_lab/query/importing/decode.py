"""A line to a JSON object."""

from __future__ import annotations

import json
from typing import Any, NoReturn

import msgspec

from kestrel_lab.query.importing.lines import MAX_LINE
from kestrel_lab.schema.flat import RejectedError
from kestrel_lab.schema.flat.flatten import Decimal

_CUT = "Input data was truncated"
_FAST = msgspec.json.Decoder(float_hook=Decimal)


def decode(data: bytes) -> dict[str, Any]:
    """Return the object that a line is; numbers with a fraction remember their text.

    Raises:
        RejectedError: if it is none.
    """
    if len(data) > MAX_LINE:
        raise RejectedError(f"it is longer than {MAX_LINE >> 20} MiB")
    try:
        found = _FAST.decode(data)
    except msgspec.DecodeError as error:
        if isinstance(error.__cause__, RejectedError):
            raise error.__cause__ from None
        found = _slow(data, str(error))
    except UnicodeDecodeError as error:
        raise RejectedError(f"it is not UTF-8 at byte {error.start + 1}") from None
    except RecursionError:
        raise RejectedError("it is nested too deeply") from None
    if type(found) is not dict:
        raise RejectedError("it is no JSON object")
    return found


def _slow(data: bytes, reason: str) -> Any:
    """Decode what only Python's own decoder takes: escapes that are half of a surrogate pair."""
    if b"\\ud" not in data.lower():
        reason = reason.removeprefix("JSON is malformed: ")
        raise RejectedError(f"broken JSON: {'it ends too early' if reason == _CUT else reason}")
    try:
        return json.loads(data, parse_float=Decimal, parse_constant=_no_constant)
    except RecursionError:
        raise RejectedError("it is nested too deeply") from None
    except RejectedError:
        raise
    except ValueError as error:
        raise RejectedError(f"broken JSON: {error}") from None


def _no_constant(name: str) -> NoReturn:
    raise RejectedError(f"broken JSON: {name} is no number")
