"""Checked Lua to Lua that counts what it does.

Every function and every turn of a loop first pays for what it is about to do, one unit of fuel a node of the tree, and
functions count how deep they nest. Whatever depends on the type of a value (arithmetic, order, indexing, joining) is a
call into the library `K`: missing values stay missing there, tables keep the order of their keys, integers are exact,
growth is paid for. What the text may name is known: variables, `K`, and nothing else of Lua.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from kestrel_lab.eql.errors import QueryError
from kestrel_lab.eql.lua import ast
from kestrel_lab.eql.lua.literals import written
from kestrel_lab.eql.lua.names import CAPTURE, EVENT, LIBRARY, MATCH, TESTS, Names, no_function
from kestrel_lab.eql.lua.reads import Reads

_CALLS = {"+": "add", "-": "sub", "*": "mul", "/": "div", "%": "mod", "<": "lt", "<=": "le", ">": "gt", ">=": "ge"}


@dataclass
class Rewriter:
    """One rule on its way. `cost` counts the nodes since the last payment."""

    names: Names
    reads: Reads
    cost: int = 0
    _loops: list[bool] = field(default_factory=list)

    def chunk(self, block: ast.Block) -> str:
        """Return the text of a rule's code."""
        body = self._statements(block)
        names = "".join(f"local u_{name}\n" for name in sorted(self.names.globals))
        ends = f"return u_{MATCH}, {f'u_{CAPTURE}' if CAPTURE in self.names.globals else 'nil'}"
        return f"{names}{self._pay()}\n{body}\n{ends}\n"

    def _pay(self) -> str:
        cost, self.cost = self.cost + 1, 0
        return f"fuel = fuel - {cost} if fuel < 0 then K.exhausted() end"

    def _paid(self, block: ast.Block, *also: ast.Expr) -> tuple[str, list[str]]:
        """Return the text of a block (and of expressions within its scope) that pays for itself."""
        before, self.cost = self.cost, 0
        body = self._statements(block)
        texts = [self._expr(e) for e in also]
        text = f"{self._pay()}\n{body}"
        self.cost = before
        return text, texts

    # statements

    def _statements(self, block: ast.Block) -> str:
        return "\n".join(self._statement(item) for item in block.items)

    def _block(self, block: ast.Block) -> str:
        self.names.enter()
        text = self._statements(block)
        self.names.leave()
        return text

    def _statement(self, item: ast.Stat) -> str:
        self.cost += 1
        match item:
            case ast.Local():
                values = self._list(item.values)
                self._declare(item.names)
                return f"local {_names(item.names)}{f' = {values}' if values else ''}"
            case ast.Assignment():
                return self._assignment(item)
            case ast.Run():
                return f"do local _ = {self._expr(item.call)} end"
            case ast.Do():
                return f"do\n{self._block(item.block)}\nend"
            case ast.Loop():
                return self._loop(item)
            case ast.If():
                return self._if(item)
            case ast.For():
                return self._for(item)
            case ast.FunctionStatement():
                return self._named_function(item)
            case ast.Return():
                return self._return(item)
            case ast.Break():
                if not self._loops or not self._loops[-1]:
                    raise QueryError(item.pos, "there is no loop to break out of")
                return "do break end"

    def _declare(self, names: Sequence[ast.Name]) -> None:
        for name in names:
            self.names.declare(name)

    def _assignment(self, item: ast.Assignment) -> str:
        values = self._list(item.values)
        places = [f"u_{self._target(t)}" if isinstance(t, ast.Name) else None for t in item.targets]
        if len(places) == 1 and places[0]:
            return f"{places[0]} = {values}"
        before, after = [], []
        for number, (target, place) in enumerate(zip(item.targets, places, strict=True)):
            if isinstance(target, ast.Index):
                before.append(f"local o{number}, k{number} = {self._object(target)}, {self._expr(target.key)}")
                after.append(f"K.set(o{number}, k{number}, v{number})")
            else:
                after.append(f"{place} = v{number}")
        variables = ", ".join(f"v{number}" for number in range(len(places)))
        return "\n".join(["do", *before, f"local {variables} = {values}", *after, "end"])

    def _object(self, target: ast.Index) -> str:
        if self.reads.field_of(target) is not None:
            raise QueryError(target.pos, "an event cannot be changed")
        return self._expr(target.object)

    def _target(self, name: ast.Name) -> str:
        level = self.names.level_of(name.name)
        if level is None:
            if name.name in (EVENT, *TESTS, *LIBRARY, *LIBRARY[""]):
                raise QueryError(name.pos, f"`{name.name}` cannot be changed")
            raise QueryError(name.pos, f"`{name.name}` is not a variable of this function", f"write local {name.name}")
        if level != self.names.level:
            do = "what is kept from one event to the next belongs to a sequence"
            raise QueryError(
                name.pos, f"a function cannot change `{name.name}`, which belongs to the code around it", do
            )
        return name.name

    def _loop(self, item: ast.Loop) -> str:
        self.names.enter()
        self._loops.append(True)
        if item.until:
            body, (condition,) = self._paid(item.block, item.condition)
            text = f"repeat\n{body}\nuntil {condition}"
        else:
            condition = self._expr(item.condition)
            body, _ = self._paid(item.block, item.condition)
            text = f"while {condition} do\n{body}\nend"
        self._loops.pop()
        self.names.leave()
        return text

    def _if(self, item: ast.If) -> str:
        parts = []
        for word, (condition, block) in zip(["if", *["elseif"] * len(item.clauses)], item.clauses, strict=False):
            parts.append(f"{word} {self._expr(condition)} then\n{self._block(block)}")
        if item.otherwise is not None:
            parts.append(f"else\n{self._block(item.otherwise)}")
        return "\n".join([*parts, "end"])

    def _for(self, item: ast.For) -> str:
        if item.each:
            head = f"for {_names(item.names)} in {self._list(item.values)} do"
        else:
            head = f"for {_names(item.names)} = {', '.join(f'K.number({self._expr(v)})' for v in item.values)} do"
        self.names.enter()
        self._loops.append(True)
        self._declare(item.names)
        body, _ = self._paid(item.block)
        self._loops.pop()
        self.names.leave()
        return f"{head}\n{body}\nend"

    def _named_function(self, item: ast.FunctionStatement) -> str:
        name = item.name.name
        if item.local:
            self.names.declare(item.name)
            return f"local u_{name}\nu_{name} = K.closure(function{self._function(item.function)})"
        own = self.names.level_of(name) == 0 and name in (MATCH, CAPTURE)
        return f"u_{self._target(item.name)} = K.closure(function{self._function(item.function, takes_event=own)})"

    def _return(self, item: ast.Return) -> str:
        if self.names.level == 0:
            raise QueryError(item.pos, "the code of a rule gives nothing back", "define function match(event)")
        values = self._list(item.values)
        if len(item.values) == 1 and not isinstance(item.values[0], ast.Call):
            return f"do local value = {values} depth = depth - 1 return value end"
        return f"do return K.leave({values}) end"

    # expressions

    def _list(self, items: Sequence[ast.Expr]) -> str:
        return ", ".join(self._expr(item) for item in items)

    def _expr(self, node: ast.Expr) -> str:
        self.cost += 1
        match node:
            case ast.Constant():
                return written(node.value)
            case ast.Name():
                return self._name(node)
            case ast.Index():
                return self._index(node)
            case ast.Call():
                return self._call(node)
            case ast.Function():
                return f"K.closure(function{self._function(node)})"
            case ast.Unary():
                item = self._expr(node.item)
                return {"not": f"(not {item})", "-": f"K.minus({item})", "#": f"K.size({item})"}[node.op]
            case ast.Binary():
                left, right = self._expr(node.left), self._expr(node.right)
                return (
                    f"({left} {node.op} {right})"
                    if node.op in ("==", "~=")
                    else f"K.{_CALLS[node.op]}({left}, {right})"
                )
            case ast.Chain():
                return self._chain(node)
            case ast.Paren():
                return f"({self._expr(node.item)})"
            case ast.Table():
                return self._table(node)

    def _chain(self, node: ast.Chain) -> str:
        if node.op == "..":
            return f"K.join({len(node.items)}, {', '.join(f'({self._expr(i)})' for i in node.items)})"
        return f"({f' {node.op} '.join(self._expr(i) for i in node.items)})"

    def _name(self, node: ast.Name) -> str:
        if self.names.level_of(node.name) is not None:
            return f"u_{node.name}"
        if node.name in LIBRARY[""]:
            return f"K.{node.name}"
        if node.name == EVENT:
            self.reads.field_of(node)
        if node.name in LIBRARY:
            raise QueryError(
                node.pos, f"{node.name} is no value", f"name one of its functions: {node.name}.{LIBRARY[node.name][0]}"
            )
        if node.name in TESTS:
            raise QueryError(node.pos, f"{node.name} is no value", f'call it: {node.name}(value, "pattern")')
        raise self.names.unknown(node)

    def _index(self, node: ast.Index) -> str:
        found = self.reads.field_of(node)
        if found is not None:
            pos, name = found
            if self.names.level == 0:
                raise QueryError(
                    pos, "there is no event while a rule is loaded", "read it in match, or in what match calls"
                )
            return f"K.field[{self.reads.number(pos, name)}]()"
        if isinstance(node.object, ast.Name) and self.names.level_of(node.object.name) is None:
            library, key = node.object.name, node.key
            if library in ("math", "string"):
                name = (
                    key.value.decode(errors="replace")
                    if isinstance(key, ast.Constant) and isinstance(key.value, bytes)
                    else ""
                )
                if name not in LIBRARY[library]:
                    raise no_function(node.pos, library, name)
                return f"K.{library}_{name}"
        return f"K.get({self._expr(node.object)}, {self._expr(node.key)})"

    def _call(self, node: ast.Call) -> str:
        name = node.function
        if isinstance(name, ast.Name) and name.name in TESTS and self.names.level_of(name.name) is None:
            return self._test(node, name.name)
        return f"{self._callee(name)}({self._list(node.arguments)})"

    def _callee(self, node: ast.Expr) -> str:
        text = self._expr(node)
        return text if isinstance(node, ast.Name | ast.Index | ast.Call | ast.Paren) else f"({text})"

    def _test(self, node: ast.Call, kind: str) -> str:
        value, patterns = node.arguments[:1], node.arguments[1:]
        found = self.reads.field_of(value[0]) if value and isinstance(value[0], ast.Index) else None
        if found is None:
            number = self.reads.test(node.pos, kind, None, patterns)
            return f"K.match({number}, ({self._expr(value[0])}))"
        number = self.reads.test(found[0], kind, found[1], patterns)
        if self.names.level == 0:
            raise QueryError(found[0], "there is no event while a rule is loaded", "test it in match")
        return f"K.test[{number}]()"

    def _table(self, node: ast.Table) -> str:
        values = [f"({self._expr(value)})" for _, value in node.entries]
        if all(key is None for key, _ in node.entries):
            return f"K.list({len(values)}, {{{', '.join(values)}}})"
        place, pairs = 0, []
        for (key, _), value in zip(node.entries, values, strict=True):
            place += key is None
            pairs.append(f"{place if key is None else f'({self._expr(key)})'}, {value}")
        return f"K.table({len(pairs)}, {{{', '.join(pairs)}}})"

    def _function(self, node: ast.Function, *, takes_event: bool = False) -> str:
        parameters = node.parameters
        if takes_event and parameters and parameters[0].name == EVENT:
            parameters = parameters[1:]
        if takes_event and parameters:
            raise QueryError(parameters[0].pos, "it takes the event and nothing else", "write function match(event)")
        self.names.level += 1
        self.names.enter()
        self._loops.append(False)
        for name in parameters:
            if name.name == EVENT:
                what = "only match and capture take the event"
                raise QueryError(name.pos, what, "other functions read event.FIELD themselves")
            self.names.declare(name)
        body, _ = self._paid(node.body)
        self._loops.pop()
        self.names.leave()
        self.names.level -= 1
        enter = "depth = depth + 1 if depth > K.deepest then K.too_deep() end"
        return f"({_names(parameters)})\n{enter}\n{body}\ndepth = depth - 1\nend"


def _names(names: Sequence[ast.Name]) -> str:
    return ", ".join(f"u_{n.name}" for n in names)
