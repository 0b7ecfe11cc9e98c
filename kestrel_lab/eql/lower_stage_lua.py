"""Conditions to Lua expressions, cut into functions that LuaJIT's limits on one function never meet.

A function holds at most `_LEAVES` leaves, so the number of tests, the length of a list and the depth of a query decide
how many functions there are and nothing else. The text names columns and tables through arrays of the runtime: `p`
typed pointers, `o` data offsets, `v` validity offsets (0 = all valid), `k` constants; `m` is the memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kestrel_lab.eql.ir import And, Compare, Const, Expr, Leaf, Not, Or, Present, TextLeaf
from kestrel_lab.eql.slots import Slot, slots_of_leaf
from kestrel_lab.schema.abi import SlotKind
from kestrel_lab.schema.types import Field

_LEAVES = 40  # of one function
_SMALL = 5  # leaves of a part that may share a function with many others
_DEPTH = 20  # of parentheses in one function


@dataclass(frozen=True, slots=True)
class _Part:
    """A Lua expression: its text, how many leaves it has, how deep its parentheses are."""

    text: str
    leaves: int = 1
    depth: int = 0


@dataclass(slots=True)
class Functions:
    """Functions of a module so far: `f[1]`, `f[2]`, ..., each from a position to a boolean; `k` is its constants."""

    slots: Mapping[Slot, int]
    fields: Mapping[str, Field]
    lines: list[str] = field(default_factory=list)
    constants: dict[tuple[SlotKind, int | float], int] = field(default_factory=dict)

    def add(self, expr: Expr) -> int:
        """Add the function of a condition, and those it calls; return its number."""
        return self._define(self._condition(expr))

    def _define(self, part: _Part) -> int:
        number = len(self.lines) + 1
        self.lines.append(f"f[{number}] = function(i) return {part.text} end")
        return number

    def _apart(self, part: _Part) -> _Part:
        return _Part(f"f[{self._define(part)}](i)")

    def _condition(self, root: Expr) -> _Part:
        """Return the text of a condition; iterative, parts before wholes."""
        work: list[tuple[Expr, bool]] = [(root, False)]
        done: list[_Part] = []
        while work:
            node, ready = work.pop()
            if not isinstance(node, And | Or | Not):
                done.append(_Part(self._leaf(node)))
                continue
            items = (node.item,) if isinstance(node, Not) else node.items
            if not ready:
                work.append((node, True))
                work.extend((item, False) for item in reversed(items))
                continue
            parts = done[-len(items) :]
            del done[-len(items) :]
            done.append(self._joined(node, parts))
        return done.pop()

    def _joined(self, node: And | Or | Not, parts: list[_Part]) -> _Part:
        parts = [self._apart(p) if p.depth >= _DEPTH else p for p in parts]
        if isinstance(node, Not):
            return _Part(f"not ({parts[0].text})", parts[0].leaves, parts[0].depth + 1)
        word = " and " if isinstance(node, And) else " or "
        if sum(p.leaves for p in parts) > _LEAVES:
            parts = [self._apart(p) if p.leaves > _SMALL else p for p in parts]
        while sum(p.leaves for p in parts) > _LEAVES:
            parts = [self._apart(_group(run, word)) for run in _runs(parts)]
        return _group(parts, word)

    def _leaf(self, leaf: Leaf) -> str:
        if isinstance(leaf, Const):
            return "true" if leaf.value else "false"
        column, *tables = slots_of_leaf(leaf, self.fields)
        value = f"p[{self.slots[column] + 1}][i]"
        if isinstance(leaf, TextLeaf):
            return f"m[o[{self.slots[tables[0]] + 1}] + {value}] ~= 0"
        if column.kind is SlotKind.CLASS:
            return f"{value} ~= 0"
        validity = f"v[{self.slots[column] + 1}]"
        present = f"({validity} == 0 or m[{validity} + i] ~= 0)"
        if isinstance(leaf, Present):
            return present
        if isinstance(leaf, Compare):
            number = self.constants.setdefault((column.kind, leaf.value), len(self.constants) + 1)
            return f"({value} {leaf.op} k[{number}] and {present})"
        return f"({value} ~= 0 and {present})"


def _runs(parts: list[_Part]) -> list[list[_Part]]:
    """Return small parts in runs of no more leaves than a function holds."""
    out: list[list[_Part]] = [[]]
    room = _LEAVES
    for part in parts:
        if part.leaves > room:
            out.append([])
            room = _LEAVES
        out[-1].append(part)
        room -= part.leaves
    return out


def _group(parts: list[_Part], word: str) -> _Part:
    if len(parts) == 1:
        return parts[0]
    text = word.join(part.text for part in parts)
    return _Part(f"({text})", sum(p.leaves for p in parts), max(p.depth for p in parts) + 1)


def constant(kind: SlotKind, value: int | float) -> str:
    """Return a Lua expression of a constant of a column's type, exactly."""
    if kind is SlotKind.F64:
        return f"tonumber('{float(value).hex()}')"
    bits = int(value) & (1 << 64) - 1
    return f"cast('{'int64_t' if kind is SlotKind.I64 else 'uint64_t'}', 0x{bits:x}ULL)"
