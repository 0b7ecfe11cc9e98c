"""Grammar rules to syntax tree. Called by the parser at each reduction, so nothing here recurses."""

# ruff: noqa: D102 - a method is named for the rule it builds, and the grammar says what that is

from __future__ import annotations

from typing import Any, NoReturn

from lark import Token, Transformer
from lark.visitors import v_args

from kestrel_lab.eql.errors import QueryError
from kestrel_lab.eql.lua import ast, literals
from kestrel_lab.eql.lua.limits import MAX_DEPTH, MAX_ENTRIES

_Node = ast.Expr | ast.Stat | ast.Block


@v_args(inline=True)
class Builder(Transformer[Token, Any]):
    """One method for each rule or alias of the grammar."""

    def start(self, block: ast.Block) -> ast.Block:
        return block

    def block(self, *items: ast.Stat) -> ast.Block:
        return ast.Block(items, max((i.depth for i in items), default=0))

    # expressions

    def literal(self, token: Token) -> ast.Constant:
        return _constant(token)

    def name(self, token: Token) -> ast.Name:
        return _name(token)

    def dotted(self, item: ast.Expr, _: Token, key: Token) -> ast.Index:
        return ast.Index(_pos(key), item, ast.Constant(_pos(key), str(key).encode()), _deeper(_pos(key), item))

    def indexed(self, item: ast.Expr, _: Token, key: ast.Expr) -> ast.Index:
        return ast.Index(key.pos, item, key, _deeper(key.pos, item, key))

    def call(self, item: ast.Expr, arguments: tuple[ast.Expr, ...]) -> ast.Call:
        return ast.Call(item.pos, item, arguments, _deeper(item.pos, item, *arguments))

    def method(self, item: ast.Expr, _: Token, name: Token, arguments: tuple[ast.Expr, ...]) -> NoReturn:
        raise QueryError(_pos(name), "rules have no methods", f"write string.{name}(value, ...) for a text")

    def paren(self, open_: Token, item: ast.Expr) -> ast.Paren:
        return ast.Paren(_pos(open_), item, _deeper(_pos(open_), item))

    def arguments(self, open_: Token, items: tuple[ast.Expr, ...] | None) -> tuple[ast.Expr, ...]:
        return items or ()

    def one_argument(self, item: ast.Expr) -> tuple[ast.Expr, ...]:
        return (item,)

    def one_string(self, token: Token) -> tuple[ast.Expr, ...]:
        return (_constant(token),)

    def unary(self, op: Token, item: ast.Expr) -> ast.Expr:
        if op == "-" and isinstance(item, ast.Constant) and type(item.value) in (int, float):
            return _negative(_pos(op), item)
        return ast.Unary(_pos(op), str(op), item, _deeper(_pos(op), item))

    def binary(self, left: ast.Expr, op: Token, right: ast.Expr) -> ast.Binary:
        return ast.Binary(_pos(op), str(op), left, right, _deeper(_pos(op), left, right))

    def any_of(self, *items: ast.Expr) -> ast.Chain:
        return ast.Chain(items[0].pos, "or", items, _deeper(items[0].pos, *items))

    def all_of(self, *items: ast.Expr) -> ast.Chain:
        return ast.Chain(items[0].pos, "and", items, _deeper(items[0].pos, *items))

    def concatenation(self, *items: ast.Expr) -> ast.Chain:
        return ast.Chain(items[0].pos, "..", items, _deeper(items[0].pos, *items))

    def power(self, left: ast.Expr, op: Token, right: ast.Expr) -> NoReturn:
        what = "rules have no powers: they are not the same on every machine"
        raise QueryError(_pos(op), what, "multiply instead")

    def vararg(self, token: Token) -> NoReturn:
        raise QueryError(_pos(token), "rules have no variable arguments", "name the parameters")

    def function(self, word: Token, body: tuple[tuple[ast.Name, ...], ast.Block]) -> ast.Function:
        return _function(_pos(word), body)

    def body(
        self, _: Token, parameters: tuple[ast.Name, ...] | None, block: ast.Block
    ) -> tuple[tuple[ast.Name, ...], ast.Block]:
        return parameters or (), block

    def parameters(self, *tokens: Token) -> tuple[ast.Name, ...]:
        for token in tokens:
            if token.type == "VARARG":
                self.vararg(token)
        return tuple(map(_name, tokens))

    def table(self, brace: Token, *entries: tuple[ast.Expr | None, ast.Expr] | None) -> ast.Table:
        found = tuple(e for e in entries if e is not None)
        if len(found) > MAX_ENTRIES:
            raise QueryError(found[MAX_ENTRIES][1].pos, f"the table has more than {MAX_ENTRIES:,} entries")
        parts = (part for entry in found for part in entry if part is not None)
        return ast.Table(_pos(brace), found, _deeper(_pos(brace), *parts))

    def keyed(self, _: Token, key: ast.Expr, value: ast.Expr) -> tuple[ast.Expr, ast.Expr]:
        return key, value

    def named(self, key: Token, _: Token, value: ast.Expr) -> tuple[ast.Expr, ast.Expr]:
        return ast.Constant(_pos(key), str(key).encode()), value

    def positional(self, value: ast.Expr) -> tuple[None, ast.Expr]:
        return None, value

    def names(self, *tokens: Token) -> tuple[ast.Name, ...]:
        return tuple(map(_name, tokens))

    def exprs(self, *items: ast.Expr) -> tuple[ast.Expr, ...]:
        return items

    # statements

    def assignment(self, *parts: Any) -> ast.Assignment:
        *targets, equal, values = parts
        for target in targets:
            if not isinstance(target, ast.Name | ast.Index):
                raise QueryError(target.pos, "only a variable or a table's entry can be assigned to")
        return ast.Assignment(_pos(equal), tuple(targets), values, _deeper(_pos(equal), *targets, *values))

    def call_statement(self, item: ast.Expr) -> ast.Run:
        if isinstance(item, ast.Call):
            return ast.Run(item.pos, item, item.depth)
        if isinstance(item, ast.Name) and item.name == "goto":
            raise QueryError(item.pos, "rules have no goto", "use loops, break and return")
        do = "a statement is an assignment, a call, or begins with a keyword"
        raise QueryError(item.pos, "an expression alone does nothing", do)

    def do(self, word: Token, block: ast.Block) -> ast.Do:
        return ast.Do(_pos(word), block, _deeper(_pos(word), block))

    def while_loop(self, word: Token, condition: ast.Expr, block: ast.Block) -> ast.Loop:
        return ast.Loop(_pos(word), condition, block, False, _deeper(_pos(word), condition, block))

    def repeat_loop(self, word: Token, block: ast.Block, condition: ast.Expr) -> ast.Loop:
        return ast.Loop(_pos(word), condition, block, True, _deeper(_pos(word), condition, block))

    def condition(self, word: Token, condition: ast.Expr, block: ast.Block, *rest: Any) -> ast.If:
        *clauses, otherwise = rest
        found = ((condition, block), *clauses)
        parts = [part for clause in found for part in clause] + ([otherwise] if otherwise else [])
        return ast.If(_pos(word), found, otherwise, _deeper(_pos(word), *parts))

    def give_back(self, word: Token, values: tuple[ast.Expr, ...] | None) -> ast.Return:
        return ast.Return(_pos(word), values or (), _deeper(_pos(word), *(values or ())))

    def leave_loop(self, word: Token) -> ast.Break:
        return ast.Break(_pos(word))

    def numeric_for(self, word: Token, name: Token, *parts: Any) -> ast.For:
        *values, block = parts
        found = tuple(v for v in values if v is not None)
        return ast.For(_pos(word), (_name(name),), found, block, False, _deeper(_pos(word), *found, block))

    def generic_for(
        self, word: Token, names: tuple[ast.Name, ...], values: tuple[ast.Expr, ...], block: ast.Block
    ) -> ast.For:
        return ast.For(_pos(word), names, values, block, True, _deeper(_pos(word), *values, block))

    def elseif(self, condition: ast.Expr, block: ast.Block) -> tuple[ast.Expr, ast.Block]:
        return condition, block

    def function_statement(self, word: Token, name: Token, *parts: Any) -> ast.FunctionStatement:
        if len(parts) > 1:
            raise QueryError(parts[0], "a function's name has no parts in a rule", "write local function name(...)")
        function = _function(_pos(word), parts[0])
        return ast.FunctionStatement(_pos(word), _name(name), function, False, function.depth)

    def tail(self, mark: Token, _: Token) -> int:
        return _pos(mark)

    def local_function(self, local: Token, word: Token, name: Token, body: Any) -> ast.FunctionStatement:
        function = _function(_pos(word), body)
        return ast.FunctionStatement(_pos(local), _name(name), function, True, function.depth)

    def local(self, word: Token, names: tuple[ast.Name, ...], values: tuple[ast.Expr, ...] | None) -> ast.Local:
        return ast.Local(_pos(word), names, values or (), _deeper(_pos(word), *(values or ())))


def _pos(token: Token) -> int:
    return token.start_pos or 0


def _name(token: Token) -> ast.Name:
    return ast.Name(_pos(token), str(token))


def _constant(token: Token) -> ast.Constant:
    pos = _pos(token)
    if token.type == "NUMBER":
        return ast.Constant(pos, literals.number(token, pos))
    if token.type == "STRING":
        return ast.Constant(pos, literals.string(token, pos))
    if token.type == "LONG_STRING":
        return ast.Constant(pos, literals.long_string(token))
    return ast.Constant(pos, {"NIL": None, "TRUE": True, "FALSE": False}[token.type])


def _negative(pos: int, item: ast.Constant) -> ast.Constant:
    value = item.value
    assert isinstance(value, int | float)
    if isinstance(value, int) and value > 1 << 63:
        raise QueryError(pos, "the number does not fit 64 bits")
    return ast.Constant(pos, -value if value else -0.0)


def _function(pos: int, body: tuple[tuple[ast.Name, ...], ast.Block]) -> ast.Function:
    return ast.Function(pos, *body, _deeper(pos, body[1]))


def _deeper(pos: int, *items: _Node) -> int:
    depth = 1 + max((i.depth for i in items), default=0)
    if depth > MAX_DEPTH:
        raise QueryError(pos, f"the rule nests deeper than {MAX_DEPTH}", "flatten it, or use functions and tables")
    return depth
