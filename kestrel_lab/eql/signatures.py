"""Functions: what they take, what they give, and which of them have a form that ignores case."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kestrel_lab.eql.typed import NUMBERS, Kind

#: What a parameter takes: the kinds, and what to call them.
Takes = tuple[tuple[Kind, ...], str]
_TEXT: Takes = (Kind.TEXT,), "strings"
_ADDRESS: Takes = (Kind.TEXT, Kind.IP), "addresses"
_WHOLE: Takes = tuple(k for k in NUMBERS if k is not Kind.FLOAT), "whole numbers"
_NUMBER: Takes = NUMBERS, "numbers"
_FLAG: Takes = (Kind.BOOL,), "true or false"
_ANY: Takes = tuple(Kind), "values"


@dataclass(frozen=True, slots=True)
class Signature:
    """A function.

    Attributes:
        takes: its parameters; the last may be repeated if `repeats`, the last `optional` ones may be left out.
        gives: the kind of its result; None for that of arithmetic on its operands.
        folds: whether it has a form with `~`.
    """

    takes: tuple[Takes, ...]
    gives: Kind | None
    optional: int = 0
    repeats: bool = False
    folds: bool = False


SIGNATURES: Mapping[str, Signature] = {
    "add": Signature((_NUMBER, _NUMBER), None),
    "between": Signature((_TEXT, _TEXT, _TEXT, _FLAG), Kind.TEXT, optional=1, folds=True),
    "cidrMatch": Signature((_ADDRESS, _TEXT), Kind.BOOL, repeats=True),
    "concat": Signature((_ANY,), Kind.TEXT, repeats=True),
    "divide": Signature((_NUMBER, _NUMBER), None),
    "endsWith": Signature((_TEXT, _TEXT), Kind.BOOL, folds=True),
    "indexOf": Signature((_TEXT, _TEXT, _WHOLE), Kind.INT, optional=1, folds=True),
    "length": Signature((_TEXT,), Kind.INT),
    "modulo": Signature((_NUMBER, _NUMBER), None),
    "multiply": Signature((_NUMBER, _NUMBER), None),
    "number": Signature((_TEXT, _WHOLE), Kind.NUMBER, optional=1),
    "startsWith": Signature((_TEXT, _TEXT), Kind.BOOL, folds=True),
    "string": Signature((_ANY,), Kind.TEXT),
    "stringContains": Signature((_TEXT, _TEXT), Kind.BOOL, folds=True),
    "substring": Signature((_TEXT, _WHOLE, _WHOLE), Kind.TEXT, optional=1),
    "subtract": Signature((_NUMBER, _NUMBER), None),
}
#: How many of its arguments must not be null for a function with optional ones.
REQUIRED: Mapping[str, int] = {n: len(s.takes) - s.optional for n, s in SIGNATURES.items() if s.optional}
TAKES_FOLD = frozenset(name for name, signature in SIGNATURES.items() if signature.folds)
