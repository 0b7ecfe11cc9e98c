"""Boolean functions of one field and constants: leaves that the host evaluates once per distinct value."""

from __future__ import annotations

from collections.abc import Mapping

from kestrel_lab.eql import ast, text
from kestrel_lab.eql.errors import QueryError
from kestrel_lab.eql.fields import Scope
from kestrel_lab.eql.ir import FALSE, TextLeaf, TextOp
from kestrel_lab.eql.leaf import ALWAYS_NULL, Found, missing
from kestrel_lab.eql.unsupported import function_name, refuse_operand
from kestrel_lab.schema.types import EqlType, Field

_CIDR = "cidrMatch"
_TEXT_OPS: Mapping[str, TextOp] = {"startsWith": "prefix", "endsWith": "suffix", "stringContains": "contains"}


def is_test(node: ast.Node) -> bool:
    """Return whether a node calls a function whose result is a boolean."""
    return isinstance(node, ast.Call) and (function_name(node) == _CIDR or function_name(node) in _TEXT_OPS)


def call_leaf(node: ast.Call, scope: Scope) -> Found:
    """Return the leaf of a call of a boolean function.

    Raises:
        QueryError: for another function, wrong arguments, an unknown field.
    """
    name = function_name(node)
    if name is None or not is_test(node):
        refuse_operand(node)
    if name == _CIDR and node.fold:
        raise QueryError(node.pos, f"{name} has no form with `~`: addresses have no case")
    _check_count(node, name)
    field, constants = _field(node, name, scope), [_constant(name, a) for a in node.args[1:]]
    if field is None or any(c.value is None for c in constants):
        return ALWAYS_NULL
    if name == _CIDR:
        return Found(TextLeaf(text.blocks(field.name, constants)), missing(field))
    wanted = str(constants[0].value)
    if name == "stringContains" and not wanted:
        return Found(FALSE, missing(field))
    return Found(TextLeaf(text.literal(field.name, _TEXT_OPS[name], wanted, fold=node.fold)), missing(field))


def _check_count(node: ast.Call, name: str) -> None:
    if len(node.args) < 2 or (name != _CIDR and len(node.args) > 2):
        wanted = "a field and at least one block" if name == _CIDR else "a field and a string"
        raise QueryError(node.pos, f"{name} takes {wanted}, not {len(node.args)} arguments")


def _field(node: ast.Call, name: str, scope: Scope) -> Field | None:
    """Return the field of the first argument; None where it is null."""
    first = node.args[0]
    if isinstance(first, ast.Literal):
        if first.value is None:
            return None
        raise QueryError(first.pos, f"the first argument of {name} must be a field")
    if not isinstance(first, ast.Name):
        refuse_operand(first)
    field = scope.find(first)
    if field is not None and field.type is not EqlType.STRING and not (name == _CIDR and field.type is EqlType.IP):
        raise QueryError(first.pos, f"{name} takes {'addresses' if name == _CIDR else 'strings'}, and `{field.name}` "
                         f"is of type {field.type}")  # fmt: skip
    return field


def _constant(name: str, node: ast.Node) -> ast.Literal:
    if isinstance(node, ast.Name):
        raise QueryError(node.pos, f"a field as a further argument of {name} is not supported yet")
    if not isinstance(node, ast.Literal):
        refuse_operand(node)
    if node.value is None or isinstance(node.value, str):
        return node
    raise QueryError(node.pos, f"{name} takes strings")
