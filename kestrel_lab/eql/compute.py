"""Computed tests run on the values of one event: the definition that faster ways are held to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from itertools import product
from operator import eq, ge, gt, le, lt
from typing import Any, TypeAlias

from kestrel_lab.eql import arithmetic, dates
from kestrel_lab.eql.functions import IMPLEMENTED
from kestrel_lab.eql.leaftests import ScalarTest, Step, TextTest
from kestrel_lab.eql.signatures import REQUIRED, TAKES_FOLD
from kestrel_lab.eql.texttest import canonical_address, passes
from kestrel_lab.eql.typed import Scalar

#: A field's value; an array is a tuple of its elements, never empty.
FieldValue: TypeAlias = "Scalar | tuple[Scalar, ...]"
_Operation: TypeAlias = Callable[[list[Scalar]], Scalar]


class Computation:
    """A computed test, ready to run.

    Attributes:
        fields: what `holds` takes the values of, in order.
    """

    def __init__(self, test: ScalarTest) -> None:
        self.fields = test.fields
        self._size = len(test.steps)
        place = {name: number for number, name in enumerate(self.fields)}
        self._loads = [(n, place[s.field], s.many) for n, s in enumerate(test.steps) if s.op == "field"]
        self._arrays = any(many for _, _, many in self._loads)
        self._run = [(n, _operation(step)) for n, step in enumerate(test.steps) if step.op != "field"]

    def value(self, values: Sequence[Scalar]) -> Scalar:
        """Return the value of the last step where no field is an array."""
        found: list[Scalar] = [None] * self._size
        for number, place, _ in self._loads:
            found[number] = values[place]
        for number, operation in self._run:
            found[number] = operation(found)
        return found[-1]

    def holds(self, values: Sequence[FieldValue]) -> bool:
        """Return whether the last step is true for some choice of elements, one for each occurrence of an array."""
        if not self._arrays:
            return self.value(values) is True  # type: ignore[arg-type]
        choices = [_choices(values[place]) for _, place, _ in self._loads]
        found: list[Scalar] = [None] * self._size
        for choice in product(*choices):
            for (number, _, _), element in zip(self._loads, choice, strict=True):
                found[number] = element
            for number, operation in self._run:
                found[number] = operation(found)
            if found[-1] is True:
                return True
        return False


@lru_cache(maxsize=4096)
def computation(test: ScalarTest) -> Computation:
    """Return a computed test, ready to run."""
    return Computation(test)


def passes_value(test: TextTest, value: bytes | tuple[bytes, ...] | None) -> bool:
    """Return whether a field's value, or any element of it, passes a text test; a missing one passes none."""
    if value is None:
        return False
    if test.program is not None:
        return computation(test.program).holds((value,))
    return any(passes(test, v) for v in value) if isinstance(value, tuple) else passes(test, value)


def _choices(value: FieldValue) -> tuple[Scalar, ...]:
    if not isinstance(value, tuple):
        return (value,)
    return tuple(dict.fromkeys(value)) if isinstance(value[0], bytes) else value


def _operation(step: Step) -> _Operation:
    """Return what computes a step from the steps before it."""
    args = step.args
    match step.op:
        case "value":
            constant: Any = step.value
            return lambda _: constant
        case "same":
            return lambda found: found[args[0]]
        case "is_null":
            return lambda found: found[args[0]] is None
        case "and" | "or":
            return _junction(args, decided=step.op == "or")
    function, required = _function(step), REQUIRED.get(step.op, len(args))
    if len(args) == 1:
        (only,) = args
        return lambda found: None if found[only] is None else function(found[only])

    def operation(found: list[Scalar]) -> Scalar:
        values = [found[number] for number in args]
        result: Scalar = None if None in values[:required] else function(*values)
        return result

    return operation


def _junction(args: tuple[int, ...], decided: bool) -> _Operation:
    def operation(found: list[Scalar]) -> Scalar:
        values = [found[number] for number in args]
        if any(value is decided for value in values):
            return decided
        return None if None in values else not decided

    return operation


_ORDER: Mapping[str, Callable[[Any, Any], bool]] = {"==": eq, "<": lt, "<=": le, ">": gt, ">=": ge}
_ARITHMETIC = frozenset(arithmetic.OPERATORS.values())


def _function(step: Step) -> Callable[..., Any]:
    """Return what computes a step from its operands, of which those required are not null."""
    op, kind, test = step.op, step.kind, step.test
    if op in _ORDER:
        return _ORDER[op]
    if op in _ARITHMETIC:
        return lambda left, right: arithmetic.calculate(op, kind, left, right)
    if op in TAKES_FOLD:
        implemented, fold = IMPLEMENTED[op], step.fold
        return lambda *values: implemented(*values, fold=fold)
    if test is not None:
        return lambda value: passes(test, value)
    if isinstance(step.value, tuple):
        items = step.value
        return lambda value: any(value == item for item in items)
    return IMPLEMENTED[op] if op in IMPLEMENTED else _others(step)


def _others(step: Step) -> Callable[..., Any]:
    match step.op:
        case "not":
            return lambda value: not value
        case "negate":
            return lambda value: arithmetic.negate(step.kind, value)
        case "date":
            return dates.text_of
        case "same_address":
            return _same_address
    raise TypeError(f"nothing computes {step.op}")


def _same_address(left: bytes, right: bytes) -> bool:
    found = canonical_address(left)
    return found is not None and found == canonical_address(right)
