"""A pack: rules read from folders and files, compiled, with one content hash."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import TypeAlias

from kestrel_lab.engine.languages import Language, language_of
from kestrel_lab.engine.limits import Limits
from kestrel_lab.engine.rule import Rule
from kestrel_lab.engine.rulecompile import compile_rule
from kestrel_lab.engine.rulefile import MAX_BYTES, RuleFile, parse
from kestrel_lab.eql import Program
from kestrel_lab.eql.ir import field_of, leaves
from kestrel_lab.schema.actions import tables_holding
from kestrel_lab.schema.errors import RuleError, UsageError
from kestrel_lab.schema.fields import BY_FIELD_NAME

#: Contents by name: paths relative to the pack, with forward slashes.
Files: TypeAlias = dict[str, bytes]


@dataclass(frozen=True, slots=True)
class Unsupported:
    """A rule in a language that the engine does not run. It is listed and does nothing."""

    path: str
    rule_id: str
    name: str
    language: str


@dataclass(frozen=True, slots=True)
class RuleCheck:
    """What `rules check` says of one file.

    Attributes:
        ok: whether it loads; unsupported rules do, and have a `language` other than eql.
        fields: what the query reads; `unavailable`: those that no event of their category can have.
        rule: the compiled rule, if it is one.
    """

    path: str
    rule_id: str
    name: str
    language: str
    ok: bool
    error: RuleError | None = None
    fields: tuple[str, ...] = ()
    unavailable: tuple[str, ...] = ()
    rule: Rule | None = None


@dataclass(frozen=True, slots=True)
class Pack:
    """Compiled rules in rule_id order.

    Attributes:
        files: contents of the rule files, and of the files they are made of, by name; `pack_from_files` makes the same
            pack of them.
        hash: sha256 (hex) of the rules' content hashes.
        unsupported: rules in other languages.
    """

    rules: tuple[Rule, ...]
    files: Mapping[str, bytes]
    hash: str
    unsupported: tuple[Unsupported, ...] = ()

    def actions(self) -> frozenset[int]:
        """Return the codes of all actions that some rule looks at."""
        return frozenset(code for r in self.rules for stage in r.program.all_stages for code in stage.actions)


def load_pack(paths: Sequence[Path], limits: Limits | None = None) -> Pack:
    """Return the pack of all `*.toml` files in the given folders (at any depth) and of the given files.

    Raises:
        UsageError: if a path does not exist, or nothing is there.
        RuleError: naming every file that is wrong.
    """
    files, shown = _read(paths)
    return _pack(files, shown, limits or Limits())


def pack_from_files(files: Mapping[str, bytes], limits: Limits | None = None) -> Pack:
    """Return the pack of rule files by name.

    Raises:
        RuleError: naming every file that is wrong.
    """
    return _pack(dict(files), {}, limits or Limits())


def check_pack(paths: Sequence[Path], limits: Limits | None = None) -> list[RuleCheck]:
    """Return what is to be said of each rule file, in the order of their names; nothing about a rule is fatal.

    Raises:
        UsageError: if a path does not exist, or nothing is there.
    """
    files, shown = _read(paths)
    return _check(files, shown, limits or Limits())


def _read(paths: Sequence[Path]) -> tuple[dict[str, bytes], dict[str, str]]:
    """Return contents by name, and by name the path to show in errors."""
    files: dict[str, bytes] = {}
    shown: dict[str, str] = {}
    for path in paths:
        for name, file in _files_of(path):
            data = _bytes_of(file)
            if name in files and files[name] != data:
                name = str(file)
            files[name], shown[name] = data, str(file)
    if not files:
        raise UsageError(
            "no rule file (*.toml) is there", where=", ".join(map(str, paths)), do="Name a folder of rules, or a file."
        )
    return files, shown


def _files_of(path: Path) -> list[tuple[str, Path]]:
    if path.is_dir():
        return [(f.relative_to(path).as_posix(), f) for f in sorted(path.rglob("*.toml")) if f.is_file()]
    if not path.exists():
        raise UsageError("there is no such rule file or folder", where=str(path))
    return [(path.name, path)]


def _bytes_of(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise UsageError(f"the rule file cannot be read: {error.strerror}", where=str(file)) from error


def _pack(files: Files, shown: Mapping[str, str], limits: Limits) -> Pack:
    checks = _check(files, shown, limits)
    errors = [c.error for c in checks if c.error is not None]
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise RuleError(f"{len(errors)} rules are wrong", detail="\n".join(e.render() for e in errors))
    rules = tuple(sorted((c.rule for c in checks if c.rule is not None), key=lambda r: r.id))
    others = tuple(Unsupported(c.path, c.rule_id, c.name, c.language) for c in checks if c.rule is None)
    return Pack(rules, dict(files), sha256("\n".join(r.hash for r in rules).encode()).hexdigest(), others)


def _check(files: Files, shown: Mapping[str, str], limits: Limits) -> list[RuleCheck]:
    seen: dict[str, str] = {}
    return [_check_file(name, files, shown, seen, limits) for name in sorted(files) if name.endswith(".toml")]


def _check_file(name: str, files: Files, shown: Mapping[str, str], seen: dict[str, str], limits: Limits) -> RuleCheck:
    path = shown.get(name, name)
    try:
        file = parse(path, files[name])
    except RuleError as error:
        return RuleCheck(path, "", "", "", False, error)
    try:
        _check_duplicate(file, seen)
        language = language_of(file)
        if language is None:
            return RuleCheck(path, file.rule_id, file.name, file.language, True)
        attached = _attached(name, file, language, files, shown)
        rule = compile_rule(replace(file, attached=attached), language, limits)
    except RuleError as error:
        return RuleCheck(path, file.rule_id, file.name, file.language, False, error)
    fields = tuple(sorted(rule.program.fields))
    return RuleCheck(path, rule.id, rule.name, rule.language, True, None, fields, _unavailable(rule.program), rule)


def _attached(
    name: str, file: RuleFile, language: Language, files: Files, shown: Mapping[str, str]
) -> dict[str, bytes]:
    """Return the further files of a rule by their names as it spells them; those on disk are read into `files`.

    Raises:
        RuleError: if one is not there, is too large, or lies outside the rule's folder.
    """
    out: dict[str, bytes] = {}
    for other in language.attached(file):
        if other.startswith("/") or not {"", ".", ".."}.isdisjoint(other.split("/")):
            raise RuleError(f"{other!r} is no file beneath the rule's own folder", where=file.path)
        key = posixpath.join(posixpath.dirname(name), other)
        on_disk = Path(file.path).parent / other
        if key not in files and name in shown and on_disk.is_file():
            files[key] = _bytes_of(on_disk)
        if key not in files:
            raise RuleError(f"the file {other!r} is not beside the rule", where=file.path)
        if len(files[key]) > MAX_BYTES:
            raise RuleError(f"the file {other!r} is larger than {MAX_BYTES} bytes", where=file.path)
        out[other] = files[key]
    return out


def _check_duplicate(file: RuleFile, seen: dict[str, str]) -> None:
    if not file.rule_id:
        return
    where = file.where("rule_id")
    first = seen.setdefault(file.rule_id, where)
    if first != where:
        raise RuleError(f"rule_id {file.rule_id!r} is taken", where=where, do=f"It is also at {first}.")


def _unavailable(program: Program) -> tuple[str, ...]:
    """Return the fields that no event of the category in question can have."""
    out: set[str] = set()
    for stage in program.all_stages:
        tables = set(tables_holding(stage.category))
        read = {name for leaf in leaves(stage.expr) if (name := field_of(leaf)) is not None}
        joined = {name for name in stage.by if name is not None}
        out |= {name for name in read | joined if not tables & set(BY_FIELD_NAME[name].tables)}
    return tuple(sorted(out))
