"""One stage to the body of a function: a loop over rows around short-circuit code that only jumps forward.

Each instruction of the loop runs at most once a row, so their number bounds the fuel of a row without running it.
What a leaf loads from a column stays in a local and is used again wherever that load has surely been passed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from kestrel_lab.eql.ir import And, Compare, Computed, Const, Expr, Flag, Leaf, Not, Or, Present, TextLeaf, leaves
from kestrel_lab.eql.slots import Slot, slots_of_leaf
from kestrel_lab.schema.abi import ROW_BYTES, SLOT_BYTES, SLOT_VALIDITY, SlotKind
from kestrel_lab.schema.types import Field

_FREE = ("block", "loop", "end")  # cost no fuel
_LOADS: Mapping[SlotKind, tuple[str, int]] = {  # instruction and log2 of the element size
    SlotKind.CLASS: ("i32.load", 2),
    SlotKind.I64: ("i64.load", 3),
    SlotKind.U64: ("i64.load", 3),
    SlotKind.F64: ("f64.load", 3),
    SlotKind.BOOL: ("i32.load8_u", 0),
}
_VALUE_TYPE = {SlotKind.I64: "i64", SlotKind.U64: "i64", SlotKind.F64: "f64"}
_SUFFIX = {SlotKind.I64: "_s", SlotKind.U64: "_u", SlotKind.F64: ""}
_COMPARE = {"==": "eq", "<": "lt", "<=": "le", ">": "gt", ">=": "ge"}


@dataclass(frozen=True, slots=True)
class StageCode:
    """Declarations of locals and instructions of one stage's function, and what they cost in fuel."""

    locals: tuple[str, ...]
    body: tuple[str, ...]
    cost_per_row: int
    cost_per_call: int


@dataclass(frozen=True, slots=True)
class _Test:
    """Work: jump to `label` if the truth of `node` is `sense`, else go on."""

    node: Expr
    sense: bool
    label: str


@dataclass(slots=True)
class _Code:
    """Instructions so far, which locals surely hold their value here, and which did at each jump to a label."""

    slots: Mapping[Slot, int]
    fields: Mapping[str, Field]
    reused: frozenset[str]
    lines: list[str] = field(default_factory=list)
    held: frozenset[str] = frozenset()
    at_label: dict[str, frozenset[str]] = field(default_factory=dict)
    blocks: int = 0

    def emit(self, *lines: str) -> None:
        self.lines += lines

    def jump(self, label: str, instruction: str = "br_if") -> None:
        self.emit(f"{instruction} {label}")
        self.at_label[label] = self.held & self.at_label.get(label, self.held)

    def end(self, label: str) -> None:
        self.emit("end")
        self.held &= self.at_label.pop(label, self.held)

    def block(self) -> str:
        self.blocks += 1
        label = f"$b{self.blocks}"
        self.emit(f"block {label}")
        return label


def lower_stage(expr: Expr, slots: Mapping[Slot, int], fields: Mapping[str, Field]) -> StageCode:
    """Return the code of one stage."""
    found = [slot for leaf in leaves(expr) for slot in slots_of_leaf(leaf, fields)]
    uses = Counter(slot for slot in found if slot.kind is not SlotKind.TEST)
    used = tuple(dict.fromkeys(found))
    code = _Code(slots, fields, frozenset(_name("x", slots[s]) for s, n in uses.items() if n > 1))
    _condition(code, expr)
    row = _row(used, code.lines)
    enter = _enter(used, slots)
    body = (*enter, "block $done", "loop $next", *row, "end", "end", *_RESULT)
    return StageCode(_locals(used, slots), body, _cost(row), _cost(enter) + _cost(_RESULT) + _cost(_UNTIL))


_RESULT = ("local.get $out", "local.get $start", "i32.sub", "i32.const 2", "i32.shr_u")
_UNTIL = ("local.get $rows", "local.get $end", "i32.ge_u", "br_if $done")
_HIT = ("local.get $out", "local.get $pos", "i32.store", "local.get $out", f"i32.const {ROW_BYTES}", "i32.add",
        "local.set $out")  # fmt: skip
_NEXT = ("local.get $rows", f"i32.const {ROW_BYTES}", "i32.add", "local.set $rows", "br $next")


def _name(kind: str, number: int) -> str:
    """Return a local: `d` data pointer, `v` validity pointer, `x` value, `p` presence, of a slot."""
    return f"${kind}{number}"


def _has_validity(slot: Slot) -> bool:
    return slot.kind not in (SlotKind.CLASS, SlotKind.TEST)


def _locals(used: tuple[Slot, ...], slots: Mapping[Slot, int]) -> tuple[str, ...]:
    out = ["(local $start i32)", "(local $end i32)", "(local $pos i32)", "(local $pos2 i32)", "(local $pos3 i32)"]
    for slot in used:
        number = slots[slot]
        out.append(f"(local {_name('d', number)} i32)")
        if slot.kind is not SlotKind.TEST:
            out.append(f"(local {_name('x', number)} {_VALUE_TYPE.get(slot.kind, 'i32')})")
        if _has_validity(slot):
            out += [f"(local {_name('v', number)} i32)", f"(local {_name('p', number)} i32)"]
    return tuple(out)


def _enter(used: tuple[Slot, ...], slots: Mapping[Slot, int]) -> tuple[str, ...]:
    out = ["local.get $out", "local.set $start"]
    out += ["local.get $rows", "local.get $count", "i32.const 2", "i32.shl", "i32.add", "local.set $end"]
    for slot in used:
        number = slots[slot]
        at = number * SLOT_BYTES
        out += ["local.get $frame", f"i32.load offset={at}", f"local.set {_name('d', number)}"]
        if _has_validity(slot):
            out += ["local.get $frame", f"i32.load offset={at + SLOT_VALIDITY}", f"local.set {_name('v', number)}"]
    return tuple(out)


def _row(used: tuple[Slot, ...], condition: list[str]) -> tuple[str, ...]:
    out = [*_UNTIL, "local.get $rows", "i32.load", "local.set $pos"]
    for shift in (2, 3):
        if any(_LOADS[s.kind][1] == shift for s in used if s.kind is not SlotKind.TEST):
            out += ["local.get $pos", f"i32.const {shift}", "i32.shl", f"local.set $pos{shift}"]
    return (*out, "block $miss", *condition, *_HIT, "end", *_NEXT)


def _cost(lines: tuple[str, ...]) -> int:
    return sum(not line.startswith(_FREE) for line in lines)


def _condition(code: _Code, root: Expr) -> None:
    """Emit code that jumps to $miss unless the condition is true."""
    work: list[_Test | str] = [_Test(root, False, "$miss")]
    while work:
        task = work.pop()
        if isinstance(task, str):
            code.end(task)
        elif isinstance(task.node, And | Or):
            work.extend(reversed(_short_circuit(code, task, task.node)))
        elif isinstance(task.node, Not):
            work.append(_Test(task.node.item, not task.sense, task.label))
        else:
            _leaf(code, task.node, task.sense, task.label)


def _short_circuit(code: _Code, task: _Test, node: And | Or) -> list[_Test | str]:
    """Return the tests of the items. One item decides an `Or` by being true, an `And` by being false."""
    decides = isinstance(node, Or)
    if decides == task.sense:
        return [_Test(item, decides, task.label) for item in node.items]
    skip = code.block()
    return [*(_Test(i, decides, skip) for i in node.items[:-1]), _Test(node.items[-1], task.sense, task.label), skip]


def _leaf(code: _Code, leaf: Leaf, sense: bool, label: str) -> None:
    if isinstance(leaf, Const):
        if leaf.value == sense:
            code.jump(label, "br")
        return
    _push_leaf(code, leaf)
    if not sense:
        code.emit("i32.eqz")
    code.jump(label)


def _push_leaf(code: _Code, leaf: TextLeaf | Present | Compare | Flag | Computed) -> None:
    """Push an i32 that is not zero if the leaf is true."""
    column, *tables = slots_of_leaf(leaf, code.fields)
    if isinstance(leaf, TextLeaf):
        code.emit(f"local.get {_name('d', code.slots[tables[0]])}")
        _push_value(code, column)
        code.emit("i32.add", "i32.load8_u")
    elif isinstance(leaf, Present):
        if _has_validity(column):
            _push_presence(code, column)
        else:
            _push_value(code, column)
    else:
        _push_value(code, column)
        if isinstance(leaf, Compare):
            kind = _VALUE_TYPE[column.kind]
            suffix = "" if leaf.op == "==" else _SUFFIX[column.kind]
            code.emit(f"{kind}.const {_constant(leaf.value)}", f"{kind}.{_COMPARE[leaf.op]}{suffix}")
        _push_presence(code, column)
        code.emit("i32.and")


def _constant(value: int | float) -> str:
    return value.hex() if isinstance(value, float) else str(value)


def _push_value(code: _Code, column: Slot) -> None:
    number = code.slots[column]
    local = _name("x", number)
    if local in code.held:
        code.emit(f"local.get {local}")
        return
    load, shift = _LOADS[column.kind]
    code.emit(f"local.get {_name('d', number)}", f"local.get $pos{shift or ''}", "i32.add", load)
    _hold(code, local, local in code.reused)


def _push_presence(code: _Code, column: Slot) -> None:
    """Push an i32 whose lowest bit says if the field has a value: all have, or the byte of the position is 1."""
    number = code.slots[column]
    local, pointer = _name("p", number), f"local.get {_name('v', number)}"
    if local in code.held:
        code.emit(f"local.get {local}")
        return
    code.emit(pointer, "i32.eqz", pointer, "local.get $pos", "i32.add", "i32.load8_u", "i32.or")
    _hold(code, local, _name("x", number) in code.reused)


def _hold(code: _Code, local: str, reused: bool) -> None:
    if reused:
        code.emit(f"local.tee {local}")
        code.held |= {local}
