"""`pack.toml`: what a pack says of itself, and of rules that are not its own."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kestrel_lab.schema.errors import RuleError
from kestrel_lab.schema.severity import Severity

SETTINGS = "pack.toml"
_PACK_KEYS = {"name": str, "description": str, "priority": int}
_RULE_KEYS = {"enabled": bool, "severity": str}


@dataclass(frozen=True, slots=True)
class Override:
    """What is said of one rule. `where`: the file that says so."""

    where: str
    enabled: bool = True
    severity: str | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of a pack.

    Attributes:
        priority: of two rules with one id that of the pack with the higher priority wins.
        overrides: by rule id.
    """

    priority: int = 0
    overrides: Mapping[str, Override] = field(default_factory=dict)


def parse_settings(path: str, data: bytes) -> Settings:
    """Return the settings of a `pack.toml`.

    Raises:
        RuleError: if it is broken, or says what nobody understands.
    """
    try:
        document = tomllib.loads(data.decode())
    except (ValueError, RecursionError) as error:
        raise RuleError(f"broken TOML: {error}", where=path) from error
    unknown = sorted(document.keys() - {"pack", "overrides"})
    if unknown:
        raise RuleError(f"a pack has no [{unknown[0]}]", where=path, do="There are [pack] and [overrides.RULE_ID].")
    pack = _table(path, "pack", document.get("pack", {}), _PACK_KEYS)
    overrides = document.get("overrides", {})
    if not isinstance(overrides, dict):
        raise RuleError("overrides must be tables", where=path, do='Write [overrides."RULE_ID"].')
    return Settings(pack.get("priority", 0), {rule: _override(path, rule, found) for rule, found in overrides.items()})


def settings_file(severities: Mapping[str, str]) -> bytes:
    """Return a `pack.toml` that gives rules these severities, by rule id."""
    lines = [
        f"[overrides.{json.dumps(rule)}]\nseverity = {json.dumps(severity)}\n"
        for rule, severity in sorted(severities.items())
    ]
    return "\n".join(lines).encode()


def _override(path: str, rule_id: str, data: Any) -> Override:
    found = _table(path, f'overrides."{rule_id}"', data, _RULE_KEYS)
    if "severity" in found:
        try:
            Severity.parse(found["severity"])
        except ValueError as error:
            raise RuleError(f"the override of {rule_id}: {error}", where=path) from error
    return Override(path, **found)


def _table(path: str, name: str, data: Any, keys: Mapping[str, type]) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise RuleError(f"{name} must be a table", where=path)
    for key, value in data.items():
        if key not in keys:
            raise RuleError(f"[{name}] has no {key}", where=path, do=f"There are {', '.join(keys)}.")
        if type(value) is not keys[key]:
            raise RuleError(f"{key} of [{name}] must be {_WORDS[keys[key]]}", where=path)
    return data


_WORDS = {str: "a text", int: "a whole number", bool: "true or false"}
