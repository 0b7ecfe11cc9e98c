"""Types: syntax tree to typed tree. What has no type is refused here, and what is constant is computed.

`!=` and `not in` become a `not`, a comparison with null a null test, an optional field that does not exist null.
"""

from __future__ import annotations

from kestrel_lab.eql import ast
from kestrel_lab.eql.arithmetic import OPERATORS, result_kind
from kestrel_lab.eql.called import called
from kestrel_lab.eql.compared import compared
from kestrel_lab.eql.constants import fold_constants
from kestrel_lab.eql.errors import QueryError
from kestrel_lab.eql.fields import Scope
from kestrel_lab.eql.matched import matched
from kestrel_lab.eql.typed import NUMBERS, Kind, Node, constant, fold_tree, kind_of, negated
from kestrel_lab.eql.words import with_article


def infer(root: ast.Node, scope: Scope) -> Node:
    """Return the typed tree of a condition.

    Raises:
        QueryError: for an unknown field, a type error, or a limit.
    """
    return condition(fold_tree(root, _parts, lambda node, args: _typed(node, args, scope)))


def condition(node: Node) -> Node:
    """Return the node, which has to be a condition.

    Raises:
        QueryError: if it is a value.
    """
    if node.kind in (Kind.BOOL, Kind.NULL):
        return node
    if node.field is not None:
        name = node.field.name
        raise QueryError(node.pos, f"`{name}` is {with_article(node.field.type)}, not a condition",
                    f"compare it, or write `{name} != null`")  # fmt: skip
    raise QueryError(node.pos, "a condition is needed here, not a value", "compare it with something")


def _parts(node: ast.Node) -> tuple[ast.Node, ...]:
    match node:
        case ast.Call():
            return node.args
        case ast.Arithmetic():
            return (node.right,) if node.left is None else (node.left, node.right)
        case ast.Compare():
            return node.left, node.right
        case ast.Match():
            return node.left, *node.items
        case ast.Not():
            return (node.item,)
        case ast.Junction():
            return node.items
    return ()


def _typed(node: ast.Node, args: tuple[Node, ...], scope: Scope) -> Node:
    match node:
        case ast.Literal():
            return constant(node.pos, node.value.encode() if isinstance(node.value, str) else node.value)
        case ast.Name():
            return _field(node, scope)
        case ast.Call():
            return called(node, args, scope)
        case ast.Arithmetic():
            return _arithmetic(node, args, scope)
        case ast.Compare():
            found = compared(node, args[0], args[1], scope)
            return fold_constants(negated(found), scope) if node.op == "!=" else found
        case ast.Match():
            found = matched(node, args[0], args[1:], scope)
            return fold_constants(negated(found), scope) if node.negated else found
        case ast.Not():
            return fold_constants(Node(node.pos, "not", Kind.BOOL, (condition(args[0]),)), scope)
        case ast.Junction():
            return fold_constants(Node(node.pos, node.op, Kind.BOOL, tuple(map(condition, args))), scope)


def _field(node: ast.Name, scope: Scope) -> Node:
    field = scope.find(node)
    if field is None:
        return constant(node.pos, None)
    return Node(node.pos, "field", kind_of(field), field=field)


def _arithmetic(node: ast.Arithmetic, args: tuple[Node, ...], scope: Scope) -> Node:
    for arg in args:
        if arg.kind not in (*NUMBERS, Kind.NULL):
            raise QueryError(arg.pos, f"`{node.op}` takes numbers, not {with_article(arg.kind)}")
    if node.left is None and node.op == "+":
        return args[0]
    if any(arg.kind is Kind.NULL for arg in args):
        return constant(node.pos, None)
    op = "negate" if node.left is None else OPERATORS[node.op]
    return fold_constants(Node(node.pos, op, result_kind(tuple(a.kind for a in args)), args), scope)
