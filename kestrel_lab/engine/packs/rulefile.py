"""One rule file: TOML in the layout of Elastic's public rule repository, plus `captures` in `[rule]`; or JSON."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kestrel_lab.schema.errors import RuleError

MAX_BYTES = 1 << 20
_TOML_PLACE = re.compile(r"\(at line (\d+), column (\d+)\)")


@dataclass(frozen=True, slots=True)
class RuleFile:
    """A parsed file, not compiled yet.

    Attributes:
        path: what errors show.
        text: the TOML; empty for JSON.
        table: its `[rule]`.
        attached: contents of the further files it is made of, by name relative to it.
    """

    path: str
    text: str
    table: Mapping[str, Any]
    attached: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def rule_id(self) -> str:
        """The rule's id, or an empty string."""
        return _text(self.table.get("rule_id"))

    @property
    def name(self) -> str:
        """The rule's name, or an empty string."""
        return _text(self.table.get("name"))

    @property
    def language(self) -> str:
        """What the query is written in; rules without one (machine learning) say their type."""
        return _text(self.table.get("language")) or _text(self.table.get("type"))

    @property
    def description(self) -> str:
        """What the rule finds, in words, or an empty string."""
        return _text(self.table.get("description"))

    def where(self, key: str) -> str:
        """Return path:line of a key, or of the `[rule]` table; the path alone of a rule that came out of a list."""
        if not self.text:
            return self.path
        return f"{self.path}:{self._line(key) or self._line('[rule]') or 1}"

    def _line(self, key: str) -> int:
        pattern = re.compile(rf"^\s*{re.escape(key)}" + (r"\s*$" if key.startswith("[") else r"\s*="))
        return next((n for n, line in enumerate(self.text.splitlines(), 1) if pattern.match(line)), 0)

    def query_line(self, key: str = "query") -> int:
        """Return the line of the file on which the text of the query (or of another key) begins."""
        line = self._line(key)
        if not line:
            return 1
        opening = self.text.splitlines()[line - 1].split("=", 1)[1].strip()
        return line + 1 if opening in ("'''", '"""') else line


def parse(path: str, data: bytes, kind: str = ".toml") -> RuleFile:
    """Return a rule file's contents.

    Args:
        kind: `.toml`, or `.json` for a rule that came out of a list: an object with the keys of `[rule]`.

    Raises:
        RuleError: if it is too large, no UTF-8, no TOML, has no `[rule]` table, or does not say its language.
    """
    if len(data) > MAX_BYTES:
        raise RuleError(f"the file is larger than {MAX_BYTES} bytes", where=path, do="Split the rule.")
    file = _from_json(path, data) if kind == ".json" else _from_toml(path, data)
    if not file.language:
        raise RuleError("the rule has no language", where=file.where("[rule]"), do='Add language = "eql" to [rule].')
    return file


def _from_toml(path: str, data: bytes) -> RuleFile:
    try:
        text = data.decode()
        document = tomllib.loads(text)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise RuleError("the file is not UTF-8", where=f"{path}:{line}", do="Save it as UTF-8.") from error
    except RecursionError as error:
        raise RuleError("the TOML is nested too deeply", where=path) from error
    except tomllib.TOMLDecodeError as error:
        raise _toml_error(path, text, str(error)) from error
    table = document.get("rule")
    if not isinstance(table, dict):
        raise RuleError("there is no [rule] table", where=f"{path}:1", do="A rule file holds one [rule] table.")
    return RuleFile(path, text, table)


def _from_json(path: str, data: bytes) -> RuleFile:
    try:
        table = json.loads(data)
        json.dumps(table, ensure_ascii=False).encode()  # no lone surrogates
    except (ValueError, RecursionError) as error:
        raise RuleError(f"broken JSON: {error}", where=path) from error
    if not isinstance(table, dict):
        raise RuleError("the rule is no object", where=path)
    return RuleFile(path, "", table)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _toml_error(path: str, text: str, message: str) -> RuleError:
    place = _TOML_PLACE.search(message)  # absent at the end of the document
    where = f"{path}:{place[1]}:{place[2]}" if place else f"{path}:{max(1, len(text.splitlines()))}"
    return RuleError(f"broken TOML: {_TOML_PLACE.sub('', message).strip()}", where=where)
