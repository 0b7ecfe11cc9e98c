"""A pack: rules read from folders and files, compiled, with one content hash."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from kestrel_lab.engine.limits import Limits
from kestrel_lab.engine.packs.check import RuleCheck, check_layers
from kestrel_lab.engine.packs.packfiles import Layer, layer_of, read_layers
from kestrel_lab.engine.packs.rule import Rule
from kestrel_lab.engine.packs.settings import SETTINGS, settings_file
from kestrel_lab.schema.errors import RuleError
from kestrel_lab.schema.schema import BUILTIN, Schema


@dataclass(frozen=True, slots=True)
class Unsupported:
    """A rule in a language that the engine does not run. It is listed and does nothing."""

    path: str
    rule_id: str
    name: str
    language: str


@dataclass(frozen=True, slots=True)
class Pack:
    """Compiled rules in rule_id order.

    Attributes:
        files: contents of the files of the rules that run, by name; `pack_from_files` makes the same pack of them.
        hash: sha256 (hex) of the rules' content hashes.
        unsupported: rules in other languages.
        broken: rules left out because they are wrong, if that was asked for.
        schema: what the rules are compiled against; `limits`: what they may cost.
    """

    rules: tuple[Rule, ...]
    files: Mapping[str, bytes]
    hash: str
    unsupported: tuple[Unsupported, ...] = ()
    broken: tuple[RuleError, ...] = ()
    schema: Schema = BUILTIN
    limits: Limits = field(default_factory=Limits)

    def actions(self) -> frozenset[int]:
        """Return the codes of all actions that some rule looks at."""
        return frozenset(code for r in self.rules for stage in r.program.all_stages for code in stage.actions)

    def for_schema(self, schema: Schema) -> Pack:
        """Return the same rules compiled against another schema; the hash stays, for it is of the content alone.

        Raises:
            RuleError: naming every file that is wrong there.
        """
        return self if schema == self.schema else pack_from_files(self.files, self.limits, schema)


def load_pack(
    paths: Sequence[Path], limits: Limits | None = None, schema: Schema = BUILTIN, *, skip_broken: bool = False
) -> Pack:
    """Return the pack of some paths: folders (all `*.toml` at any depth but tests), rule files, lists of rules as JSON.

    A later path's rule replaces an earlier one's of the same id; `pack.toml` in a folder may say more, see
    docs/packs.md.

    Args:
        skip_broken: leave wrong rules out instead of raising.

    Raises:
        UsageError: if a path does not exist, or nothing is there.
        RuleError: naming every file that is wrong.
    """
    return _pack(read_layers(paths), limits or Limits(), schema, skip_broken)


def pack_from_files(files: Mapping[str, bytes], limits: Limits | None = None, schema: Schema = BUILTIN) -> Pack:
    """Return the pack of rule files by name.

    Raises:
        RuleError: naming every file that is wrong.
    """
    return _pack([layer_of(files)], limits or Limits(), schema, skip_broken=False)


def check_pack(paths: Sequence[Path], limits: Limits | None = None, schema: Schema = BUILTIN) -> list[RuleCheck]:
    """Return what is to be said of each rule, in the order of paths and names; nothing about a rule is fatal.

    Raises:
        UsageError: if a path does not exist, or nothing is there.
        RuleError: if a `pack.toml` or a list of rules is broken.
    """
    return check_layers(read_layers(paths), limits or Limits(), schema)


def _pack(layers: Sequence[Layer], limits: Limits, schema: Schema, skip_broken: bool) -> Pack:
    checks = check_layers(layers, limits, schema, idle=False)
    errors = tuple(c.error for c in checks if c.error is not None)
    if len(errors) == 1 and not skip_broken:
        raise errors[0]
    if errors and not skip_broken:
        raise RuleError(f"{len(errors)} rules are wrong", detail="\n".join(e.render() for e in errors))
    rules = tuple(sorted((c.rule for c in checks if c.rule is not None), key=lambda r: r.id))
    others = tuple(Unsupported(c.path, c.rule_id, c.name, c.language) for c in checks if not c.supported)
    digest = sha256("\n".join(r.hash for r in rules).encode()).hexdigest()
    return Pack(rules, _effective(layers, checks), digest, others, errors, schema, limits)


def _effective(layers: Sequence[Layer], checks: Sequence[RuleCheck]) -> dict[str, bytes]:
    """Return the files that the rules that run are made of, and the overrides that still matter."""
    contents = {name: data for layer in layers for name, data in layer.files.items()}
    running = [c for c in checks if c.rule is not None]
    out = {name: contents[name] for c in running for name in (c.name_in_pack, *c.attached)}
    severities = {c.rule_id: c.severity for c in running if c.severity}
    return out | ({SETTINGS: settings_file(severities)} if severities else {})
