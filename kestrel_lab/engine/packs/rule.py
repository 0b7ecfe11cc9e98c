"""A rule: what its TOML file says, compiled."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from kestrel_lab.engine.lua.rule import LuaRuleModule
from kestrel_lab.engine.user import UserModule
from kestrel_lab.eql import Program, WasmModule
from kestrel_lab.schema.severity import Severity


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of a pack.

    Attributes:
        threat: ATT&CK technique and sub-technique ids, in the order of the file.
        captures: fields to show of each event of an alert; empty for the default set.
        path: where it was read from.
        hash: sha256 (hex) of all that can change its answers.
        program: the compiled query; `module`: what the index leaves of it, as WebAssembly.
        user: what refines its hits.
    """

    id: str
    name: str
    severity: Severity
    language: str
    query: str
    threat: tuple[str, ...]
    captures: tuple[str, ...]
    path: str
    hash: str
    program: Program
    module: WasmModule
    description: str = ""
    user: UserModule | LuaRuleModule | None = None


def rule_hash(
    table: Mapping[str, Any], threat: Sequence[str], code: str = "query", attached: Mapping[str, bytes] | None = None
) -> str:
    """Return the content hash of a rule from its `[rule]` table and technique ids.

    Args:
        code: the key that holds its text.
        attached: the further files it is made of.
    """
    content = {key: table.get(key) for key in ("rule_id", "name", "severity", "language", code, "captures")}
    content |= {"threat": list(threat)}
    if "events" in table:
        content["events"] = table["events"]
    if attached:
        content["attached"] = {name: sha256(data).hexdigest() for name, data in attached.items()}
    return sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def threat_ids(entries: Any) -> tuple[str, ...]:
    """Return the technique and sub-technique ids of `[[rule.threat]]` entries, each once; what has no id is skipped."""
    out: list[str] = []
    for entry in entries if isinstance(entries, list) else []:
        for technique in entry.get("technique", []):
            out.append(technique.get("id", ""))
            out += [sub.get("id", "") for sub in technique.get("subtechnique", [])]
    return tuple(dict.fromkeys(i for i in out if i))
