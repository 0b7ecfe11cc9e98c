"""Reading packs from disk: folders and files to layers, each holding its rule files by name and its settings."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from kestrel_lab.engine.packs.settings import SETTINGS, Settings, parse_settings
from kestrel_lab.schema.errors import RuleError, UsageError

#: Contents by name: paths relative to the pack, with forward slashes.
Files: TypeAlias = dict[str, bytes]

TESTS_SUFFIX = ".test.toml"  #: the tests of a rule, which stand beside it
MAX_LIST_BYTES = 256 << 20
_LISTS = (".json", ".ndjson", ".jsonl")


@dataclass(frozen=True, slots=True)
class Layer:
    """The rule files of one folder, file or list.

    Attributes:
        files: contents by name; the further files of rules are added as they are found.
        shown: by name the path to show in errors; names that are not here were not read from disk.
        settings: of its `pack.toml`.
    """

    files: Files
    shown: Mapping[str, str] = field(default_factory=dict)
    settings: Settings = field(default_factory=Settings)

    @property
    def rules(self) -> list[str]:
        """The names of its rule files, in order."""
        return sorted(name for name in self.files if name.endswith((".toml", ".json")) and name != SETTINGS)


def read_layers(paths: Sequence[Path]) -> list[Layer]:
    """Return a layer for each path, the one whose rules win last: by priority, then as they are given.

    Names of all layers but the first begin with the layer's number, so that none has two meanings.

    Raises:
        UsageError: if a path does not exist, cannot be read, or nothing is there.
        RuleError: if a `pack.toml` is wrong.
    """
    layers = sorted(map(_layer, paths), key=lambda layer: layer.settings.priority)
    if not any(layer.rules for layer in layers):
        raise UsageError(
            "no rule file (*.toml) is there", where=", ".join(map(str, paths)), do="Name a folder of rules, or a file."
        )
    return [layer if number == 1 else _beneath(str(number), layer) for number, layer in enumerate(layers, 1)]


def _beneath(folder: str, layer: Layer) -> Layer:
    files = {f"{folder}/{name}": data for name, data in layer.files.items()}
    return Layer(files, {f"{folder}/{name}": path for name, path in layer.shown.items()}, layer.settings)


def layer_of(files: Mapping[str, bytes]) -> Layer:
    """Return the layer of a pack's files by name.

    Raises:
        RuleError: if its `pack.toml` is wrong.
    """
    settings = parse_settings(SETTINGS, files[SETTINGS]) if SETTINGS in files else Settings()
    return Layer(dict(files), {}, settings)


def read_file(file: Path, most: int | None = None) -> bytes:
    """Return the content of a file.

    Raises:
        UsageError: if it cannot be read or is larger than `most` bytes.
    """
    try:
        if most is not None and file.stat().st_size > most:
            raise UsageError(f"the file is larger than {most} bytes", where=str(file))
        return file.read_bytes()
    except OSError as error:
        raise UsageError(f"the rule file cannot be read: {error.strerror}", where=str(file)) from error


def _layer(path: Path) -> Layer:
    if path.is_dir():
        return _folder(path)
    if not path.exists():
        raise UsageError("there is no such rule file or folder", where=str(path))
    if path.suffix in _LISTS:
        return _list(path)
    if path.suffix != ".toml":
        raise UsageError(
            "a rule file ends in .toml, a list of rules in .json or .ndjson", where=str(path), do="Rename the file."
        )
    if path.name == SETTINGS:
        return Layer({}, {}, parse_settings(str(path), read_file(path)))
    return Layer({path.name: read_file(path)}, {path.name: str(path)})


def _folder(path: Path) -> Layer:
    files: Files = {}
    shown: dict[str, str] = {}
    settings = Settings()
    for file in sorted(path.rglob("*.toml")):
        name = file.relative_to(path).as_posix()
        if name == SETTINGS:
            settings = parse_settings(str(file), read_file(file))
        elif file.name == SETTINGS:
            raise UsageError(
                "settings of a pack inside another pack", where=str(file), do="Give each pack's folder as a path."
            )
        elif file.is_file() and not file.name.endswith(TESTS_SUFFIX):
            files[name], shown[name] = read_file(file), str(file)
    return Layer(files, shown, settings)


def _list(path: Path) -> Layer:
    """Return the rules of a JSON array, of one object, or of an object a line, each as a file of its own."""
    files: Files = {}
    shown: dict[str, str] = {}
    for number, item in enumerate(_items(path), 1):
        rule = _rule_of(item)
        if rule is None:
            continue
        name = f"{path.stem}/{number:05}.json"
        files[name] = json.dumps(rule, sort_keys=True, indent=1).encode()
        shown[name] = f"{path}#{rule.get('rule_id') or number}"
    return Layer(files, shown)


def _items(path: Path) -> list[Any]:
    data = read_file(path, MAX_LIST_BYTES)
    try:
        if path.suffix == ".json":
            found = json.loads(data)
            return found if isinstance(found, list) else [found]
    except (ValueError, RecursionError) as error:
        raise RuleError(f"broken JSON: {error}", where=str(path)) from error
    out = []
    for number, line in enumerate(data.splitlines(), 1):
        try:
            out += [json.loads(line)] if line.strip() else []
        except (ValueError, RecursionError) as error:
            raise RuleError(f"broken JSON: {error}", where=f"{path}:{number}") from error
    return out


def _rule_of(item: Any) -> dict[str, Any] | None:
    """Return the `[rule]` table of an object of a list; None for what is no rule (the summary of an export).

    A saved object holds its rule in `attributes`. A rule that has no language and whose type is a kind of EQL query is
    in EQL.
    """
    if isinstance(item, dict) and isinstance(item.get("attributes"), dict):
        item = item["attributes"]
    if not isinstance(item, dict) or "exported_count" in item or "exported_rules_count" in item:
        return None
    rule = dict(item)
    if "rule_id" not in rule and "id" in rule:
        rule["rule_id"] = rule["id"]
    if "language" not in rule and rule.get("type") in ("event", "sequence", "sample") and "query" in rule:
        rule |= {"language": "eql", "type": "eql"}
    return rule
