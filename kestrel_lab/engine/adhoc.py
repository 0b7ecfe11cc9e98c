"""A pack of one query that stands in no file."""

from __future__ import annotations

from kestrel_lab.engine.limits import Limits
from kestrel_lab.engine.packs.languages import LANGUAGES
from kestrel_lab.engine.packs.pack import Pack
from kestrel_lab.engine.packs.rulecompile import compile_rule
from kestrel_lab.engine.packs.rulefile import RuleFile
from kestrel_lab.schema.schema import BUILTIN, Schema


def query_pack(query: str, limits: Limits | None = None, schema: Schema = BUILTIN) -> Pack:
    """Return a pack whose one rule is an EQL query; it has no files, so it cannot be handed to another process.

    Raises:
        RuleError: if the query is wrong or costs too much; its path is `<query>`.
    """
    table = {"rule_id": "query", "name": "query", "severity": "low", "type": "eql", "language": "eql", "query": query}
    limits = limits or Limits()
    rule = compile_rule(RuleFile("<query>", "", table), LANGUAGES["eql"], limits, schema)
    return Pack((rule,), {}, rule.hash, schema=schema, limits=limits)
