"""Refusing by name what the language has and this compiler does not."""

from __future__ import annotations

from difflib import get_close_matches
from typing import NoReturn

from kestrel_lab.eql import ast
from kestrel_lab.eql.errors import QueryError

FUNCTIONS = (
    "add", "between", "cidrMatch", "concat", "divide", "endsWith", "indexOf", "length", "modulo", "multiply", "number",
    "startsWith", "string", "stringContains", "substring", "subtract",
)  # fmt: skip
_BY_LOWER = {f.lower(): f for f in FUNCTIONS}


def refuse_operand(node: ast.Node) -> NoReturn:
    """Raise the fault for a node that cannot be compiled where it stands."""
    if isinstance(node, ast.Call):
        _refuse_call(node)
    if isinstance(node, ast.Arithmetic):
        raise QueryError(node.pos, f"arithmetic (`{node.op}`) is not supported yet")
    raise QueryError(node.pos, "a field is needed here")


def function_name(node: ast.Call) -> str | None:
    """Return a called function's name as the language spells it (case does not count); None if there is none."""
    return _BY_LOWER.get(node.name.lower())


def _refuse_call(node: ast.Call) -> NoReturn:
    known = function_name(node)
    if known is not None:
        raise QueryError(node.pos, f"the function {known} is not supported yet")
    near = get_close_matches(node.name.lower(), _BY_LOWER, n=1)
    raise QueryError(
        node.pos, f"there is no function {node.name}", f"did you mean {_BY_LOWER[near[0]]}?" if near else ""
    )
