"""What a user's module may be: bounds on size and shape, no recursion, no import but the host ABI.

They keep the time to compile it and the stack it can use bounded, so that it is refused or runs alike everywhere:
frames of compiled and of interpreted code differ in size, and so would the depth at which either stack is full.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kestrel_lab.engine import limits
from kestrel_lab.engine.user.binary import Binary, MalformedError, read_binary
from kestrel_lab.schema.abi import INIT, MODULE
from kestrel_lab.schema.errors import RuleError
from kestrel_lab.schema.user_abi import CAPTURE, EVAL, FUNCTIONS, MEMORY, ValueType

_TYPE_BYTES: Mapping[ValueType, int] = {"i32": 0x7F, "i64": 0x7E, "f64": 0x7C}
_EXPORTS = {INIT: ("", "i"), EVAL: ("ii", "i"), CAPTURE: ("ii", "")}
_KNOWN = {
    f.name: (bytes(_TYPE_BYTES[t] for _, t in f.params), bytes([_TYPE_BYTES[f.result]] if f.result else []))
    for f in FUNCTIONS
}


def check_module(data: bytes, where: str) -> Binary:
    """Return the structure of a module that keeps within the limits.

    Raises:
        RuleError: saying which limit or rule it breaks, and what to do.
    """
    if len(data) > limits.MODULE_BYTES:
        raise RuleError(f"the module has {len(data)} bytes, more than {limits.MODULE_BYTES}", where=where,
                        do="Strip it, and optimise for size.")  # fmt: skip
    try:
        found = read_binary(data)
        _check_numbers(found)
    except MalformedError as error:
        raise RuleError(f"the module is refused: {error}", where=where) from error
    _check_imports(found, where)
    _check_exports(found, where)
    _check_sizes(found, where)
    _check_calls(found, where)
    return found


def _check_numbers(found: Binary) -> None:
    """See that numbers of types and functions are of some; the validator would, but it comes later."""
    functions, types = len(found.functions), len(found.types)
    used = {t for body in found.bodies for t in body.indirect} | set(found.functions)
    called = {c for body in found.bodies for c in body.calls} | found.taken
    called |= {number for kind, number in found.exports.values() if kind == "function"}
    if found.imported != sum(kind == "function" for _, _, kind in found.imports):
        raise MalformedError("functions and their code do not agree in number")
    if max(used, default=-1) >= types or max(called, default=-1) >= functions:
        raise MalformedError("it names a type or a function that is not there")


def _check_imports(found: Binary, where: str) -> None:
    types = iter(found.functions)
    for module, name, kind in found.imports:
        if kind == "memory":
            raise RuleError(f"the module imports the memory {module}.{name}", where=where,
                            do=f"Let it have its own and export it as {MEMORY}.")  # fmt: skip
        if module != MODULE or kind != "function" or name not in _KNOWN:
            raise RuleError(
                f"the module imports the {kind} {module}.{name}, which does not exist", where=where,
                do=f"There are the functions of {MODULE}: {', '.join(_KNOWN)}.",
            )  # fmt: skip
        if found.types[next(types)] != _KNOWN[name]:
            raise RuleError(f"the module imports {module}.{name} with other parameters or another result",
                            where=where, do="docs/host-abi.md lists them.")  # fmt: skip


def _check_exports(found: Binary, where: str) -> None:
    for name, (params, results) in _EXPORTS.items():
        kind, number = found.exports.get(name, ("", 0))
        if not kind and name != CAPTURE:
            raise RuleError(f"the module lacks the export {name}", where=where, do="docs/host-abi.md lists them.")
        wanted = b"\x7f" * len(params), b"\x7f" * len(results)
        if kind and (kind != "function" or found.types[found.functions[number]] != wanted):
            raise RuleError(f"the export {name} is not what it should be", where=where,
                            do="docs/host-abi.md says what it takes and returns.")  # fmt: skip
    kind, _ = found.exports.get(MEMORY, (MEMORY, 0))
    if kind != "memory":
        raise RuleError(f"the export {MEMORY} is a {kind}", where=where)
    if found.memories and MEMORY not in found.exports:
        raise RuleError(f"the module has a memory and does not export it as {MEMORY}", where=where)


def _check_sizes(found: Binary, where: str) -> None:
    bodies = found.bodies
    locals_ = [body.locals + len(found.types[kind][0]) for kind, body in zip(found.own, bodies, strict=True)]
    sizes: Sequence[tuple[str, int, int]] = (
        ("functions", len(found.functions), limits.MODULE_FUNCTIONS),
        *((what, count, limits.MODULE_ENTRIES) for what, count in found.counts.items()),
        ("parameters in one type", max((len(p) for p, _ in found.types), default=0), limits.FUNCTION_PARAMS),
        ("results in one type", max((len(r) for _, r in found.types), default=0), 1),
        ("memories", len(found.memories), 1),
        ("tables", len(found.tables), limits.MODULE_TABLES),
        ("table elements", sum(found.tables), limits.TABLE_ELEMENTS),
        ("pages of memory", max(found.memories, default=0), limits.MEMORY_PAGES),
        ("bytes in one function", max((b.size for b in bodies), default=0), limits.FUNCTION_BYTES),
        ("locals in one function", max(locals_, default=0), limits.FUNCTION_LOCALS),
        ("branches in one function", max((b.blocks for b in bodies), default=0), limits.FUNCTION_BLOCKS),
        ("nested blocks in one function", max((b.depth for b in bodies), default=0), limits.FUNCTION_DEPTH),
        ("branches", sum(b.blocks for b in bodies), limits.MODULE_BLOCKS),
        ("locals times branches", sum(n * b.blocks for n, b in zip(locals_, bodies, strict=True)), limits.MODULE_JOINS),
    )
    for what, size, most in sizes:
        if size > most:
            raise RuleError(f"the module has {size} {what}, more than {most}", where=where,
                            do="Make it smaller, or split the rule.")  # fmt: skip


def _check_calls(found: Binary, where: str) -> None:
    """Refuse recursion, also through tables, and chains of calls that could need too much stack."""
    edges = _edges(found)
    size = len(found.functions)
    longest = [-1] * len(edges)  # the most stack from here on; -2 while on the path
    for start in range(size):
        work = [start]
        while work:
            node = work[-1]
            if longest[node] == -1:
                longest[node] = -2
                for other in edges[node]:
                    if longest[other] == -2:
                        raise _recursion(found, work, other, longest, where)
                    if longest[other] == -1:
                        work.append(other)
            else:
                work.pop()
                if longest[node] == -2:
                    longest[node] = _frame(found, node) + max((longest[o] for o in edges[node]), default=0)
    if max(longest, default=0) > limits.STACK_BYTES:
        raise RuleError(f"the module's calls can need {max(longest)} bytes of stack, more than {limits.STACK_BYTES}",
                        where=where, do="Call less deeply, in smaller functions.")  # fmt: skip


def _edges(found: Binary) -> list[list[int]]:
    """Return what each function may call; beyond the functions there is a node for each type of an indirect call."""
    size = len(found.functions)
    first = {kind: number for number, kind in reversed(list(enumerate(found.types)))}
    same = [size + first[kind] for kind in found.types]
    edges: list[list[int]] = [[] for _ in range(found.imported)]
    edges += [sorted(body.calls | {same[t] for t in body.indirect}) for body in found.bodies]
    edges += [[] for _ in found.types]
    for function in sorted(found.taken):
        edges[same[found.functions[function]]].append(function)
    return edges


def _frame(found: Binary, node: int) -> int:
    """Return more bytes of stack than a function's frame can need: every byte of code may leave a value there."""
    if not found.imported <= node < len(found.functions):
        return limits.HOST_FRAME_BYTES if node < found.imported else 0
    body = found.bodies[node - found.imported]
    params, results = found.types[found.functions[node]]
    return 64 + 8 * limits.FUNCTION_PARAMS + 16 * (len(params) + len(results) + body.locals) + 8 * body.size


def _recursion(found: Binary, work: Sequence[int], back: int, state: Sequence[int], where: str) -> RuleError:
    names = {number: name for name, (kind, number) in found.exports.items() if kind == "function"}
    path = [n for n in work if state[n] == -2]
    cycle = [*path[path.index(back) :], back]
    shown = [names.get(n, f"function {n}") if n < len(found.functions) else "a table" for n in cycle]
    if len(shown) > 8:
        shown[4:-3] = ["..."]
    return RuleError(
        f"the module can call itself: {' -> '.join(shown)}", where=where,
        do="Recursion has no depth that is the same everywhere: use a loop.",
    )  # fmt: skip
