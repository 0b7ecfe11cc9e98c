"""Modules as a user would write them, and packs of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from kestrel_lab.engine import Engine, Limits, Pack, pack_from_files
from kestrel_lab.schema.alert import Alert, Exhausted, Mode
from kestrel_lab.schema.epoch import EpochSource
from kestrel_lab.schema.user_abi import FUNCTIONS
from tests.engine.support import toml

FOLDER = Path(__file__).with_name("modules")


def imports() -> str:
    """Return an import of every function of the host ABI under its own name."""
    lines = []
    for f in FUNCTIONS:
        kinds = " ".join(f"(param {kind})" for _, kind in f.params) + (f" (result {f.result})" if f.result else "")
        lines.append(f'(import "kestrel_lab_v1" "{f.name}" (func ${f.name} {kinds}))')
    return "\n".join(lines)


def module(
    evaluate: str = "i32.const 1", init: str = "", rest: str = "", capture: str | None = None, memory: str = "1",
    version: int = 1,
) -> str:  # fmt: skip
    """Return a module from the bodies of its functions; `$stage` and `$row` are there."""
    captures = "" if capture is None else (
        f'(func (export "pred_capture") (param $stage i32) (param $row i32) {capture})'
    )  # fmt: skip
    return f"""(module {imports()}
    (memory (export "memory") {memory})
    (data (i32.const 0) "process.name" "process.exit_code" "process.args" "bash" "note")
    (global $name (mut i32) (i32.const 0)) (global $exit (mut i32) (i32.const 0)) (global $n (mut i32) (i32.const 0))
    {rest}
    (func (export "pred_init") (result i32) {init} i32.const {version})
    (func (export "pred_eval") (param $stage i32) (param $row i32) (result i32) {evaluate})
    {captures})"""


NAME = "(global.set $name (call $field (i32.const 0) (i32.const 12)))"
EXIT = "(global.set $exit (call $field (i32.const 12) (i32.const 17)))"

#: `process.name == "bash" or process.exit_code > 0`, by hand.
EITHER = module(
    """(i32.or
      (call $str_eq (global.get $name) (local.get $row) (i32.const 0) (i32.const 41) (i32.const 4))
      (i64.gt_s (call $get_i64 (global.get $exit) (local.get $row) (i32.const 0)) (i64.const 0)))""",
    NAME + EXIT,
)
FOREVER = module("(loop $on (br $on)) unreachable")
TRAPS = module("unreachable")


def rule(rule_id: str, events: str | None = None, file: str = "", severity: str = "low") -> bytes:
    """Return the file of a rule whose module stands in `file`."""
    lines = [f'rule_id = "{rule_id}"', f'name = "Rule {rule_id}"', f'severity = "{severity}"', 'language = "wasm"',
             f'module = "{file or rule_id + ".wat"}"']  # fmt: skip
    if events is not None:
        lines.append(f"events = '''{events}'''")
    return "\n".join(["[rule]", *lines, ""]).encode()


def pack_with(
    modules: Mapping[str, str | bytes], queries: Mapping[str, str] | None = None, events: str | None = None,
    limits: Limits | None = None,
) -> Pack:  # fmt: skip
    """Return a pack of rules by id: modules asked about `events`, and EQL queries."""
    files = {f"{n}.toml": toml(n, query) for n, query in (queries or {}).items()}
    for name, code in modules.items():
        files[f"{name}.toml"] = rule(name, events)
        files[f"{name}.wat"] = code.encode() if isinstance(code, str) else code
    return pack_from_files(files, limits)


Seen = tuple[list[Alert], list[Exhausted], dict[str, int]]


def seen(pack: Pack, source: EpochSource, mode: Mode = "live", limits: Limits | None = None) -> Seen:
    """Return the alerts, what stopped, and the fuel of a new engine over a source."""
    engine = Engine(pack, source.info, mode, limits)
    results = [engine.process(epoch) for epoch in source.epochs()]
    alerts = [*(a for r in results for a in r.alerts), *engine.finish("sealed")]
    return alerts, [e for r in results for e in r.exhausted], dict(engine.fuel)
