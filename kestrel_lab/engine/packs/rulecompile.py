"""From a parsed rule file to a rule."""

from __future__ import annotations

from difflib import get_close_matches

from kestrel_lab.engine.limits import Limits
from kestrel_lab.engine.packs.languages import Language
from kestrel_lab.engine.packs.rule import Rule, rule_hash, threat_ids
from kestrel_lab.engine.packs.rulefile import RuleFile
from kestrel_lab.schema.errors import RuleError
from kestrel_lab.schema.schema import Schema
from kestrel_lab.schema.severity import Severity


def compile_rule(file: RuleFile, language: Language, limits: Limits, schema: Schema) -> Rule:
    """Return the rule of a file, compiled against a schema.

    Raises:
        RuleError: if a key is missing or wrong, the text does not compile, or costs more than the limits allow.
    """
    _check_keys(file, language.code)
    table = file.table
    captures = _captures(file, schema)
    threat = threat_ids(table.get("threat"))
    compiled = language.compile(file, limits, schema)
    return Rule(
        id=file.rule_id,
        name=file.name,
        severity=_severity(file),
        language=file.language,
        query=table[language.code],
        threat=threat,
        captures=captures,
        path=file.path,
        hash=rule_hash(table, threat, language.code, file.attached),
        program=compiled.program,
        module=compiled.module,
        description=file.description,
        user=compiled.user,
    )


def _check_keys(file: RuleFile, code: str) -> None:
    for key in ("rule_id", "name", "severity", code):
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


def _captures(file: RuleFile, schema: Schema) -> tuple[str, ...]:
    named = file.table.get("captures", [])
    if not isinstance(named, list) or not all(isinstance(n, str) for n in named):
        raise RuleError("captures must be a list of field names", where=file.where("captures"))
    for name in named:
        if name not in schema.fields:
            near = get_close_matches(name, schema.fields, 1)
            do = f"Did you mean {near[0]}?" if near else "See docs/fields.md for the fields there are."
            raise RuleError(f"captures names the unknown field {name!r}", where=file.where("captures"), do=do)
    return tuple(dict.fromkeys(named))
