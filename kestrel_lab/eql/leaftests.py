"""What leaves ask of values: text tests of one string, and computed tests, straight-line code over several fields."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from kestrel_lab.eql.typed import Kind, Scalar

TextOp = Literal["equal", "like", "prefix", "suffix", "contains", "regex", "address", "cidr", "less", "less_equal",
                 "greater", "greater_equal", "computed"]  # fmt: skip


@dataclass(frozen=True, slots=True)
class TextTest:
    """A test of one string, IP or array field: true if any pattern matches (any element); false where missing.

    Attributes:
        op: `equal`; `like` with `*` and `?`; `prefix`, `suffix`, `contains`; `regex`, with patterns for
            `re2match`; `address`: the same IP address, `cidr`: within a block, both with patterns in canonical text;
            `computed`: what `program` says of the whole value; the others compare bytes with the one pattern.
        fold: ASCII case is ignored; then the patterns are lower-case. A `regex` says so in its patterns.
        patterns: UTF-8, distinct, sorted.
        program: of a `computed` test; it reads this field alone, by no name.
    """

    field: str
    op: TextOp
    fold: bool
    patterns: tuple[bytes, ...]
    program: ScalarTest | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One operation of a computed test.

    Attributes:
        op: that of a typed node, or `test`: whether the operand passes `test`, or `same_address`.
        kind: of the result.
        args: numbers of the steps that are its operands.
        fold: ASCII case is ignored.
        value: of a `value`; of an `in`, the numbers it may equal.
        field: of a `field`; `many`: it is an array, and the step one of its elements.
    """

    op: str
    kind: Kind
    args: tuple[int, ...] = ()
    fold: bool = False
    value: Scalar | tuple[int | float, ...] = None
    field: str = ""
    many: bool = False
    test: TextTest | None = None


@dataclass(frozen=True, slots=True)
class ScalarTest:
    """A computed test: true if its last step is, for any choice of elements of its arrays; false where that is null.

    Equal expressions are one step, except that each occurrence of an array is one of its own.
    """

    steps: tuple[Step, ...]

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields it reads, each once, in the order they are read."""
        return tuple(dict.fromkeys(step.field for step in self.steps if step.op == "field"))

    @property
    def arrays(self) -> int:
        """How often it reads an array."""
        return sum(step.many for step in self.steps)


Test: TypeAlias = TextTest | ScalarTest
