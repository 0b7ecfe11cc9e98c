"""Calls, typed: their arguments checked against the signature of the function."""

from __future__ import annotations

from difflib import get_close_matches

from kestrel_lab.eql import ast
from kestrel_lab.eql.arithmetic import result_kind
from kestrel_lab.eql.constants import fold_constants
from kestrel_lab.eql.errors import QueryError
from kestrel_lab.eql.fields import Scope
from kestrel_lab.eql.signatures import SIGNATURES, Signature
from kestrel_lab.eql.texttest import canonical_block
from kestrel_lab.eql.typed import Kind, Node, constant, is_value
from kestrel_lab.eql.words import field_type, with_article

_BY_LOWER = {name.lower(): name for name in SIGNATURES}


def called(node: ast.Call, args: tuple[Node, ...], scope: Scope) -> Node:
    """Return the call, or null where a required argument is only ever null.

    Raises:
        QueryError: for a function that does not exist, or wrong arguments.
    """
    name = _name(node)
    signature = SIGNATURES[name]
    if node.fold and not signature.folds:
        why = "addresses have no case" if name == "cidrMatch" else "case does not matter to it"
        raise QueryError(node.pos, f"{name} has no form with `~`: {why}")
    _check(node, name, signature, args)
    required = len(args) if signature.repeats else len(signature.takes) - signature.optional
    if any(arg.kind is Kind.NULL for arg in args[:required]):
        return constant(node.pos, None)
    kind = result_kind(tuple(a.kind for a in args)) if signature.gives is None else signature.gives
    return fold_constants(Node(node.pos, name, kind, args, node.fold), scope)


def _name(node: ast.Call) -> str:
    found = _BY_LOWER.get(node.name.lower())
    if found is None:
        near = get_close_matches(node.name.lower(), _BY_LOWER, n=1)
        do = f"did you mean {_BY_LOWER[near[0]]}?" if near else ""
        raise QueryError(node.pos, f"there is no function {node.name}", do)
    return found


def _check(node: ast.Call, name: str, signature: Signature, args: tuple[Node, ...]) -> None:
    most = len(signature.takes)
    least = most - signature.optional
    if len(args) < least or (len(args) > most and not signature.repeats):
        wanted = f"{least} or more" if signature.repeats else f"{least} or {most}" if least < most else str(most)
        raise QueryError(node.pos, f"{name} takes {wanted} argument{'s' * (wanted != '1')}, not {len(args)}")
    for number, arg in enumerate(args):
        kinds, what = signature.takes[min(number, most - 1)]
        if arg.kind not in (*kinds, Kind.NULL):
            raise _wrong(name, arg, what)
        if name == "cidrMatch" and number:
            _check_block(arg)


def _wrong(name: str, arg: Node, what: str) -> QueryError:
    do = "string(...) makes a string of it" if what == "strings" else ""
    if arg.field is None:
        found = "a decimal" if arg.kind is Kind.FLOAT else with_article(arg.kind)
        return QueryError(arg.pos, f"{name} takes {what}, not {found}", do)
    return QueryError(arg.pos, f"{name} takes {what}, and `{arg.field.name}` is {field_type(arg.field)}", do)


def _check_block(arg: Node) -> None:
    if not is_value(arg):
        raise QueryError(arg.pos, "the blocks of cidrMatch must be constants")
    if isinstance(arg.value, bytes) and canonical_block(arg.value) is None:
        do = "write it as 10.0.0.0/8, fe80::/10 or 10.0.0.1"
        raise QueryError(arg.pos, f'"{arg.value.decode()}" is no block of addresses', do)
