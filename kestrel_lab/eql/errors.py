"""Errors in rule text: a fault is an offset and words; a source turns it into a message with its place."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field

from kestrel_lab.schema.errors import RuleError

_SHOWN = 120  # characters of a source line that an error shows


class QueryError(Exception):
    """Something wrong at an offset of the query text; `Source.error` makes it a `RuleError`."""

    def __init__(self, offset: int, what: str, do: str = "") -> None:
        super().__init__(what)
        self.offset, self.what, self.do = offset, what, do


@dataclass(frozen=True)
class Source:
    """The text of a query and where it stands: `path`, and the line of the file on which it begins (from 1)."""

    text: str
    path: str = "<query>"
    first_line: int = 1
    _starts: list[int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        starts = [0]
        at = self.text.find("\n")
        while at >= 0:
            starts.append(at + 1)
            at = self.text.find("\n", at + 1)
        object.__setattr__(self, "_starts", starts)

    def error(self, fault: QueryError) -> RuleError:
        """Return the error that shows a fault: path:line:column (from 1, in characters), the line and a caret."""
        offset = min(fault.offset, len(self.text))
        index = bisect_right(self._starts, offset) - 1
        start = self._starts[index]
        end = self.text.find("\n", start)
        line = self.text[start : len(self.text) if end < 0 else end].rstrip("\r")
        where = f"{self.path}:{self.first_line + index}:{offset - start + 1}"
        return RuleError(fault.what, where=where, do=fault.do, detail=_show(line, offset - start))


def _show(line: str, column: int) -> str:
    """Return the line, cut to a window around `column` if it is long, and a caret beneath."""
    first = max(0, column - _SHOWN // 2) if len(line) > _SHOWN else 0
    part = line[first : first + _SHOWN]
    head, tail = "..." if first else "", "..." if first + _SHOWN < len(line) else ""
    shown = "".join(c if c == "\t" or c.isprintable() else "\ufffd" for c in part)
    pad = "".join("\t" if c == "\t" else " " for c in part[: column - first])
    return f"    {head}{shown}{tail}\n    {' ' * len(head)}{pad}^"
