"""One rule file: TOML in the layout of Elastic's public rule repository, plus `captures` in `[rule]`."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from kestrel_lab.engine.limits import Limits
from kestrel_lab.engine.rule import Rule, rule_hash, threat_ids
from kestrel_lab.eql import compile_query, lower_wasm
from kestrel_lab.schema.errors import RuleError
from kestrel_lab.schema.fields import BY_FIELD_NAME
from kestrel_lab.schema.severity import Severity

MAX_BYTES = 1 << 20
_REQUIRED = ("rule_id", "name", "severity", "query")
_TOML_PLACE = re.compile(r"\(at line (\d+), column (\d+)\)")


@dataclass(frozen=True, slots=True)
class RuleFile:
    """A parsed file, not compiled yet. `path` is what errors show."""

    path: str
    text: str
    table: Mapping[str, Any]

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
    def supported(self) -> bool:
        """Whether the engine runs rules of this kind."""
        return self.table.get("language") == "eql" and self.table.get("type", "eql") == "eql"

    def where(self, key: str) -> str:
        """Return path:line of a key, or of the `[rule]` table."""
        return f"{self.path}:{self._line(key) or self._line('[rule]') or 1}"

    def _line(self, key: str) -> int:
        pattern = re.compile(rf"^\s*{re.escape(key)}" + (r"\s*$" if key.startswith("[") else r"\s*="))
        return next((n for n, line in enumerate(self.text.splitlines(), 1) if pattern.match(line)), 0)

    def query_line(self) -> int:
        """Return the line of the file on which the text of the query begins."""
        line = self._line("query")
        if not line:
            return 1
        opening = self.text.splitlines()[line - 1].split("=", 1)[1].strip()
        return line + 1 if opening in ("'''", '"""') else line


def parse(path: str, data: bytes) -> RuleFile:
    """Return a rule file's contents.

    Raises:
        RuleError: if it is too large, no UTF-8, no TOML, has no `[rule]` table, or does not say its language.
    """
    if len(data) > MAX_BYTES:
        raise RuleError(f"the file is larger than {MAX_BYTES} bytes", where=path, do="Split the rule.")
    try:
        text = data.decode()
        document = tomllib.loads(text)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise RuleError("the file is not UTF-8", where=f"{path}:{line}", do="Save it as UTF-8.") from error
    except tomllib.TOMLDecodeError as error:
        raise _toml_error(path, text, str(error)) from error
    table = document.get("rule")
    if not isinstance(table, dict):
        raise RuleError("there is no [rule] table", where=f"{path}:1", do="A rule file holds one [rule] table.")
    file = RuleFile(path, text, table)
    if not file.language:
        raise RuleError("the rule has no language", where=file.where("[rule]"), do='Add language = "eql" to [rule].')
    return file


def compile_rule(file: RuleFile, limits: Limits) -> Rule:
    """Return the rule of a supported file, compiled.

    Raises:
        RuleError: if a key is missing or wrong, the query does not compile, or costs more than the limits allow.
    """
    _check_keys(file)
    table = file.table
    captures = _captures(file)
    threat = threat_ids(table.get("threat"))
    program = compile_query(table["query"], path=file.path, first_line=file.query_line())
    if len(program.stages) > limits.pending_per_key + 1:
        raise RuleError(
            f"the sequence has {len(program.stages)} items, more than {limits.pending_per_key + 1}",
            where=file.where("query"),
        )
    module = lower_wasm(program)
    worst = limits.worst(sum(module.cost_per_row), sum(module.cost_per_call))
    if worst > limits.fuel:
        raise RuleError(
            f"the query can cost {worst} fuel an epoch, and {limits.fuel} is the limit",
            where=file.where("query"),
            do="Split the rule, or shorten it.",
        )
    return Rule(
        id=file.rule_id,
        name=file.name,
        severity=_severity(file),
        language=file.language,
        query=table["query"],
        threat=threat,
        captures=captures,
        path=file.path,
        hash=rule_hash(table, threat),
        program=program,
        module=module,
        description=_text(table.get("description")),
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _toml_error(path: str, text: str, message: str) -> RuleError:
    place = _TOML_PLACE.search(message)  # absent at the end of the document
    where = f"{path}:{place[1]}:{place[2]}" if place else f"{path}:{max(1, len(text.splitlines()))}"
    return RuleError(f"broken TOML: {_TOML_PLACE.sub('', message).strip()}", where=where)


def _check_keys(file: RuleFile) -> None:
    for key in _REQUIRED:
        value = file.table.get(key)
        if value is None:
            raise RuleError(f"the rule has no {key}", where=file.where("[rule]"), do=f"Add {key} = ... to [rule].")
        if not isinstance(value, str) or not value.strip():
            raise RuleError(f"{key} must be a text that is not empty", where=file.where(key))


def _severity(file: RuleFile) -> Severity:
    try:
        return Severity.parse(file.table["severity"])
    except ValueError as error:
        raise RuleError(str(error), where=file.where("severity")) from error


def _captures(file: RuleFile) -> tuple[str, ...]:
    named = file.table.get("captures", [])
    if not isinstance(named, list) or not all(isinstance(n, str) for n in named):
        raise RuleError("captures must be a list of field names", where=file.where("captures"))
    for name in named:
        if name not in BY_FIELD_NAME:
            near = get_close_matches(name, BY_FIELD_NAME, 1)
            do = f"Did you mean {near[0]}?" if near else "See docs/fields.md for the fields there are."
            raise RuleError(f"captures names the unknown field {name!r}", where=file.where("captures"), do=do)
    return tuple(dict.fromkeys(named))
