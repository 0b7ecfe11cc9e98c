"""Text tests from literals: folding, wildcards, addresses; patterns distinct and sorted."""

from __future__ import annotations

from collections.abc import Sequence

from kestrel_lab.eql import ast
from kestrel_lab.eql.errors import QueryError
from kestrel_lab.eql.leaftests import TextOp, TextTest
from kestrel_lab.eql.limits import MAX_REGEX_SIZE, MAX_REGEXES, MAX_REGEXES_SIZE
from kestrel_lab.eql.re2match import TooLargeError, size
from kestrel_lab.eql.regex import RegexError, translate
from kestrel_lab.eql.texttest import canonical_address, canonical_block
from kestrel_lab.eql.wildcard import has_wildcard


def fold_ascii(value: bytes) -> bytes:
    """Return the value with A to Z in lower case; every other byte as it is."""
    return value.lower()  # bytes.lower is ASCII-only, whatever the locale


def equal(field: str, texts: Sequence[str], *, fold: bool = False) -> TextTest:
    """Return the test for one of these strings."""
    return TextTest(field, "equal", fold, _patterns(texts, fold))


def like(field: str, texts: Sequence[str], *, fold: bool) -> TextTest:
    """Return the test for one of these wildcard patterns; for equality where none has a wildcard."""
    patterns = _patterns(texts, fold)
    return TextTest(field, "like" if any(map(has_wildcard, patterns)) else "equal", fold, patterns)


def regex(field: str, literals: Sequence[ast.Literal], *, fold: bool) -> TextTest:
    """Return the test for one of these regular expressions.

    Raises:
        QueryError: for what is no regular expression, is not supported, or is too large.
    """
    if len(literals) > MAX_REGEXES:
        raise QueryError(literals[MAX_REGEXES].pos, f"more than {MAX_REGEXES:,} regular expressions", "split the rule")
    found: dict[bytes, int] = {}
    for literal in literals:
        source = _translated(literal, fold)
        found[source] = _size(literal, source)
        if sum(found.values()) > MAX_REGEXES_SIZE:
            raise QueryError(
                literal.pos, "the regular expressions of this list are too large together", "split the rule"
            )
    return TextTest(field, "regex", False, tuple(sorted(found)))


def order(field: str, op: TextOp, text: str) -> TextTest:
    """Return the test for `less`, `less_equal`, `greater` or `greater_equal` than a string, byte by byte."""
    return TextTest(field, op, False, (text.encode(),))


def address(field: str, literals: Sequence[ast.Literal]) -> TextTest:
    """Return the test for one of these IP addresses.

    Raises:
        QueryError: if one is none.
    """
    return TextTest(field, "address", False, tuple(sorted({_canonical(i) for i in literals})))


def blocks(field: str, literals: Sequence[ast.Literal]) -> TextTest:
    """Return the test for lying within one of these blocks of addresses.

    Raises:
        QueryError: if one is none.
    """
    found = []
    for literal in literals:
        block = canonical_block(str(literal.value).encode())
        if block is None:
            do = "write it as 10.0.0.0/8, fe80::/10 or 10.0.0.1"
            raise QueryError(literal.pos, f'"{literal.value}" is no block of addresses', do)
        found.append(block)
    return TextTest(field, "cidr", False, tuple(sorted(set(found))))


def literal(field: str, op: TextOp, text: str, *, fold: bool) -> TextTest:
    """Return the test `prefix`, `suffix` or `contains` for a string in which nothing is a wildcard."""
    return TextTest(field, op, fold, _patterns([text], fold))


def _translated(literal: ast.Literal, fold: bool) -> bytes:
    try:
        return translate(str(literal.value), fold=fold)
    except RegexError as error:
        where = f", at character {error.offset + 1} of the pattern"
        raise QueryError(literal.pos, error.what + where, error.do) from error


def _size(literal: ast.Literal, source: bytes) -> int:
    try:
        found = size(source)
    except TooLargeError:
        found = MAX_REGEX_SIZE + 1
    if found > MAX_REGEX_SIZE:
        raise QueryError(literal.pos, "the regular expression is too large", "repeat less, or split it")
    return found


def _canonical(literal: ast.Literal) -> bytes:
    found = canonical_address(str(literal.value).encode())
    if found is None:
        do = "a block of addresses takes cidrMatch" if "/" in str(literal.value) else "write it as 10.0.0.1 or fe80::1"
        raise QueryError(literal.pos, f'"{literal.value}" is no IP address', do)
    return found


def _patterns(texts: Sequence[str], fold: bool) -> tuple[bytes, ...]:
    encoded = (t.encode() for t in texts)
    return tuple(sorted({fold_ascii(t) if fold else t for t in encoded}))
