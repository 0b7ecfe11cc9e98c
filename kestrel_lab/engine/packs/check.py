"""What is to be said of each rule of some layers: which of them run, what is wrong, what they can reach."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path

from kestrel_lab.engine.limits import Limits
from kestrel_lab.engine.packs.languages import Language, language_of
from kestrel_lab.engine.packs.packfiles import Layer, read_file
from kestrel_lab.engine.packs.reach import Reach, reach_of
from kestrel_lab.engine.packs.rule import Rule
from kestrel_lab.engine.packs.rulecompile import compile_rule
from kestrel_lab.engine.packs.rulefile import MAX_BYTES, RuleFile, parse
from kestrel_lab.engine.packs.settings import Override
from kestrel_lab.schema.errors import RuleError
from kestrel_lab.schema.schema import Schema


@dataclass(frozen=True, slots=True)
class RuleCheck:
    """What `rules check` says of one rule.

    Attributes:
        ok: whether it loads; rules in a language that the engine does not run do.
        fields: what it reads.
        reach: which of them no event here can have, and whether it can fire at all.
        warnings: what is probably not meant.
        inactive: why it does not run although it is good: disabled, overridden, another language; empty if it does.
        rule: the compiled rule, if it is one.
        name_in_pack, attached: its file and the further ones it is made of, by their names in the pack.
        severity: what an override makes of its severity, None if nothing.
    """

    path: str
    rule_id: str
    name: str
    language: str
    ok: bool
    error: RuleError | None = None
    fields: tuple[str, ...] = ()
    reach: Reach = field(default_factory=Reach)
    warnings: tuple[str, ...] = ()
    inactive: str = ""
    rule: Rule | None = None
    name_in_pack: str = ""
    attached: tuple[str, ...] = ()
    severity: str | None = None

    @property
    def supported(self) -> bool:
        """Whether the engine runs rules of its language, as far as that is known."""
        return self.inactive != OTHER_LANGUAGE


OTHER_LANGUAGE = "the engine does not run its language"


@dataclass(frozen=True, slots=True)
class _Found:
    """A rule file that was parsed, and the layer it is of."""

    layer: int
    name: str
    file: RuleFile


def check_layers(layers: Sequence[Layer], limits: Limits, schema: Schema, *, idle: bool = True) -> list[RuleCheck]:
    """Return what is to be said of each rule, in the order of layers and names; nothing about a rule is fatal.

    Args:
        idle: compile rules that do not run, too.
    """
    return _Checker(layers, limits, schema, idle).run()


class _Checker:
    """The state of a check: for each rule id the file that has it."""

    def __init__(self, layers: Sequence[Layer], limits: Limits, schema: Schema, idle: bool) -> None:
        self._layers, self._limits, self._schema, self._idle = layers, limits, schema, idle
        self._first: dict[tuple[int, str], _Found] = {}
        self._winner: dict[str, _Found] = {}

    def run(self) -> list[RuleCheck]:
        """Return the checks, and one for each override of a rule that is not there."""
        parsed = [self._parse(i, name) for i, layer in enumerate(self._layers) for name in layer.rules]
        checks = [found if isinstance(found, RuleCheck) else self._check(found) for found in parsed]
        return checks + [c for i in range(len(self._layers)) for c in self._unknown_overrides(i)]

    def _parse(self, layer: int, name: str) -> _Found | RuleCheck:
        path = self._layers[layer].shown.get(name, name)
        try:
            file = parse(path, self._layers[layer].files[name], posixpath.splitext(name)[1])
        except RuleError as error:
            return RuleCheck(path, "", "", "", False, error)
        found = _Found(layer, name, file)
        if file.rule_id:
            self._first.setdefault((layer, file.rule_id), found)
            self._winner[file.rule_id] = self._first[layer, file.rule_id]
        return found

    def _check(self, found: _Found) -> RuleCheck:
        file, where = found.file, self._layers[found.layer]
        said = RuleCheck(
            file.path, file.rule_id, file.name, file.language, True, inactive=self._inactive(found),
            name_in_pack=found.name,
        )  # fmt: skip
        if said.inactive and not (self._idle and said.supported):
            return said
        language, override = language_of(file), self._override(found)
        assert language is not None
        try:
            self._check_duplicate(found)
            if override and override.severity:
                file = replace(file, table={**file.table, "severity": override.severity})
                said = replace(said, severity=override.severity)
            names = _attach(found.name, file, language, where)
            file = replace(file, attached={other: where.files[key] for other, key in names.items()})
            rule = compile_rule(file, language, self._limits, self._schema)
        except RuleError as error:
            return replace(said, ok=False, error=error)
        reach = reach_of(rule.program, self._schema)
        return replace(
            said, fields=tuple(sorted(rule.program.fields)), reach=reach, rule=rule, attached=tuple(names.values()),
            warnings=(*reach.warnings, *_ignored(file)),
        )  # fmt: skip

    def _inactive(self, found: _Found) -> str:
        if language_of(found.file) is None:
            return OTHER_LANGUAGE
        winner = self._winner.get(found.file.rule_id)
        if winner is not None and winner.layer != found.layer:
            return f"overridden by {winner.file.path}"
        override = self._override(found)
        return f"disabled by {override.where}" if override and not override.enabled else ""

    def _override(self, found: _Found) -> Override | None:
        """Return what the strongest pack says of a rule of its own or of a weaker one."""
        for layer in reversed(self._layers[found.layer :]):
            if found.file.rule_id in layer.settings.overrides:
                return layer.settings.overrides[found.file.rule_id]
        return None

    def _check_duplicate(self, found: _Found) -> None:
        first = self._first.get((found.layer, found.file.rule_id), found)
        if first.name != found.name:
            raise RuleError(
                f"rule_id {found.file.rule_id!r} is taken", where=found.file.where("rule_id"),
                do=f"It is also at {first.file.where('rule_id')}.",
            )  # fmt: skip

    def _unknown_overrides(self, layer: int) -> list[RuleCheck]:
        """Return an error for each override of a rule that neither this layer nor a weaker one has."""
        known = {rule_id for index, rule_id in self._first if index <= layer}
        out = []
        for rule_id, override in self._layers[layer].settings.overrides.items():
            if rule_id not in known:
                near = get_close_matches(rule_id, known, 1)
                do = f"Did you mean {near[0]}?" if near else "It may override rules of its own and of earlier packs."
                error = RuleError(f"there is no rule {rule_id!r} to override", where=override.where, do=do)
                out.append(RuleCheck(override.where, rule_id, "", "", False, error))
        return out


def _ignored(file: RuleFile) -> list[str]:
    """Return what a rule says that would change its answers elsewhere and does nothing here."""
    return [f"`{key}` is not applied" for key in ("filters", "exceptions_list") if file.table.get(key)]


def _attach(name: str, file: RuleFile, language: Language, layer: Layer) -> dict[str, str]:
    """Return the further files of a rule: their names in the pack by the names it gives them.

    Those on disk are read into the layer.

    Raises:
        RuleError: if one is not there, is too large, or lies outside the rule's folder.
    """
    out: dict[str, str] = {}
    for other in language.attached(file):
        if other.startswith("/") or not {"", ".", ".."}.isdisjoint(other.split("/")):
            raise RuleError(f"{other!r} is no file beneath the rule's own folder", where=file.path)
        key = out[other] = posixpath.join(posixpath.dirname(name), other)
        on_disk = Path(file.path).parent / other
        if key not in layer.files and name in layer.shown and on_disk.is_file():
            if not on_disk.resolve().is_relative_to(on_disk.parents[other.count("/")].resolve()):
                raise RuleError(f"{other!r} leads out of the rule's own folder", where=file.path)
            if on_disk.stat().st_size > MAX_BYTES:
                raise RuleError(f"the file {other!r} is larger than {MAX_BYTES} bytes", where=file.path)
            layer.files[key] = read_file(on_disk)
        if key not in layer.files:
            raise RuleError(f"the file {other!r} is not beside the rule", where=file.path)
        if len(layer.files[key]) > MAX_BYTES:
            raise RuleError(f"the file {other!r} is larger than {MAX_BYTES} bytes", where=file.path)
    return out
