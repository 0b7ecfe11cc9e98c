"""Text tests of typed nodes: what asks one string or address against constants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kestrel_lab.eql import ast, text
from kestrel_lab.eql.leaftests import TextOp, TextTest
from kestrel_lab.eql.typed import Kind, Node, is_value

_ORDER: Mapping[str, TextOp] = {"<": "less", "<=": "less_equal", ">": "greater", ">=": "greater_equal"}
_PARTS: Mapping[str, TextOp] = {"startsWith": "prefix", "endsWith": "suffix", "stringContains": "contains"}


def text_test(node: Node, field: str) -> TextTest | None:
    """Return what a node asks of its first operand if that is a text or an address, and all others are constants.

    Args:
        field: the field to put into the test.

    Raises:
        QueryError: for a pattern that is refused.
    """
    if len(node.args) < 2 or node.args[0].kind not in (Kind.TEXT, Kind.IP) or not all(map(is_value, node.args[1:])):
        return None
    if any(arg.kind is not Kind.TEXT for arg in node.args[1:]):
        return None
    address = node.args[0].kind is Kind.IP
    found = [ast.Literal(arg.pos, arg.value.decode()) for arg in node.args[1:] if isinstance(arg.value, bytes)]
    words = [str(literal.value) for literal in found]
    if node.op in ("==", "in"):
        return text.address(field, found) if address else text.equal(field, words, fold=node.fold)
    if node.op == "cidrMatch":
        return text.blocks(field, found)
    return None if address else _of_text(node, field, found, words)


def _of_text(node: Node, field: str, found: Sequence[ast.Literal], words: Sequence[str]) -> TextTest | None:
    if node.op in _ORDER:
        return text.order(field, _ORDER[node.op], words[0])
    if node.op == "like":
        return text.like(field, words, fold=node.fold)
    if node.op == "regex":
        return text.regex(field, found, fold=node.fold)
    if node.op in _PARTS and (words[0] or node.op != "stringContains"):
        return text.literal(field, _PARTS[node.op], words[0], fold=node.fold)
    return None
