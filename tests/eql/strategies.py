"""Random queries and random events over a small vocabulary, so that they meet often."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

from kestrel_lab.schema.actions import ACTIONS
from kestrel_lab.schema.schema import BUILTIN
from kestrel_lab.schema.types import ByAction, EqlType, Field, Row, Trust


def _field(name: str, kind: EqlType) -> Field:
    return Field(name, kind, BUILTIN.tables, Row(name), Trust.KERNEL, "-", "-")


#: The schema, and a field of each type that it has none of.
FIELDS: Mapping[str, Field] = {
    **BUILTIN.fields,
    **{f.name: f for f in (_field("t.float", EqlType.FLOAT), _field("t.flag", EqlType.BOOL))},
}
TEXTS = ("event.type", "event.category", "event.action", "process.name", "process.args", "file.path", "user.id")
NUMBERS = ("process.pid", "file.inode", "process.exit_code", "t.float")
ADDRESSES = ("source.ip", "destination.ip")

_WORDS = [
    "",
    "a",
    "A",
    "bash",
    "Bash",
    "start",
    "exec",
    "process",
    "/etc/x",
    "*",
    "b*",
    "?",
    "*s?",
    "\u00e9",
    "/e*",
    "end",
]
_VALUES = [b"", b"a", b"A", b"bash", b"Bash", b"b\xff", b"/etc/x", b"\xc3\xa9", b"\xc3", b"*", b"0"]
_INTS = [0, 1, 5, -1, 2**31, 2**53, 2**53 + 1, 2**63 - 1, -(2**63)]
_UINTS = [0, 1, 5, 2**53 + 1, 2**63, 2**64 - 1]
_FLOATS = [0.0, -0.0, 0.5, 5.0, 5.5, 9007199254740992.0, 9.3e18, -1e30, 1.8446744073709552e19]
_ADDRESSES = ["10.0.0.1", "::1", "::ffff:10.0.0.1", "0:0::1", "192.168.0.1"]

words = st.sampled_from(_WORDS).map(lambda w: json.dumps(w, ensure_ascii=False))
ints = st.sampled_from([*_INTS, *_UINTS, 2**63]).map(str)
numbers = st.one_of(ints, st.sampled_from(_FLOATS).map(lambda f: repr(f).replace("e+", "e")))
addresses = st.sampled_from(_ADDRESSES).map(json.dumps)
blocks = st.sampled_from(["10.0.0.0/8", "10.6.48.157/8", "::1", "10.0.0.1", "FE80::/10", "::/0", "0.0.0.0/0"]).map(
    json.dumps
)
compare = st.sampled_from(["==", "!=", "<", "<=", ">", ">="])
equality = st.sampled_from(["==", "!="])
names = st.sampled_from([*TEXTS, *NUMBERS, *ADDRESSES, "t.flag"]).flatmap(lambda n: st.sampled_from([n, f"?{n}"]))


def _listed(items: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(items, min_size=1, max_size=4).map(lambda found: f"({', '.join(found)})")


def _leaf(name: st.SearchStrategy[str], op: st.SearchStrategy[str], item: st.SearchStrategy[str]) -> Any:
    return st.builds("{} {} {}".format, name, op, item)


def _flipped(name: st.SearchStrategy[str], item: st.SearchStrategy[str]) -> Any:
    return st.builds("{} {} {}".format, item, compare, name)


def _call(function: st.SearchStrategy[str], name: Any, items: st.SearchStrategy[str]) -> Any:
    return st.builds("{}({}, {})".format, function, name, items)


regexes = st.sampled_from(['".*"', '"a.*b?"', '"[a-b]+"', '"[^a]*"', '"(a|b)*."', '"A?b*"', '""', '".{2}"'])
_text, _number, _address = st.sampled_from(TEXTS), st.sampled_from(NUMBERS), st.sampled_from(ADDRESSES)
_any_in = st.sampled_from(["in", "in~", "not in", "not in~"])
_like = st.sampled_from([":", "like", "like~"])
leaves = st.one_of(
    _leaf(_text, compare, words),
    _leaf(_text, _like, st.one_of(words, _listed(words))),
    _leaf(_text, st.sampled_from(["regex", "regex~"]), st.one_of(regexes, _listed(regexes))),
    _leaf(_text, _any_in, _listed(words)),
    _leaf(_number, compare, numbers),
    _flipped(_number, numbers),
    _flipped(_text, words),
    _leaf(_number, st.sampled_from(["in", "not in"]), _listed(numbers)),
    _leaf(_address, equality, addresses),
    _leaf(_address, _any_in, _listed(addresses)),
    _call(st.sampled_from(["startsWith", "endsWith~", "stringcontains", "StringContains~"]), _text, words),
    _call(st.just("cidrMatch"), _address, st.lists(blocks, min_size=1, max_size=3).map(", ".join)),
    _call(st.just("startswith~"), st.just("?t.unknown"), words),
    _leaf(names, equality, st.just("null")),
    _leaf(st.just("?t.unknown"), compare, words),
    _leaf(st.just("t.flag"), equality, st.sampled_from(["true", "false"])),
    st.sampled_from(["true", "false", "t.flag", "?t.unknown", "1 < 2", '"a" == "b"']),
)


def _compound(inner: st.SearchStrategy[str], nulls: bool) -> st.SearchStrategy[str]:
    out = [
        st.lists(inner, min_size=2, max_size=4).map(lambda found: f"({' and '.join(found)})"),
        st.lists(inner, min_size=2, max_size=4).map(lambda found: f"({' or '.join(found)})"),
        inner.map(lambda c: f"not {c}" if c.startswith("(") else f"not ({c})"),
    ]
    if nulls:
        operands = st.recursive(leaves, lambda part: _compound(part, False), max_leaves=4)
        out.append(st.builds("(({}) {} {})".format, operands, equality, st.sampled_from(["true", "false", "null"])))
    return st.one_of(out)


conditions = st.recursive(leaves, lambda part: _compound(part, True), max_leaves=12)
filters = st.builds("{} where {}".format, st.sampled_from(["any", "process", "file", "network", '"host"']), conditions)


def _value(field: Field) -> st.SearchStrategy[Any]:
    if field.many:
        return st.lists(st.sampled_from(_VALUES), max_size=3).map(lambda v: tuple(v) or None)
    return {
        EqlType.STRING: st.sampled_from(_VALUES),
        EqlType.IP: st.sampled_from([a.encode() for a in _ADDRESSES]),
        EqlType.INT: st.sampled_from(_INTS),
        EqlType.UINT: st.sampled_from(_UINTS),
        EqlType.FLOAT: st.sampled_from([*_FLOATS, float("nan"), float("inf")]),
        EqlType.BOOL: st.booleans(),
    }[field.type]


@st.composite
def events(draw: st.DrawFn) -> dict[str, Any]:
    """An event as its action allows: words of the action, values only where the table has the field."""
    action = draw(st.sampled_from(ACTIONS))
    out: dict[str, Any] = {"action": action.code}
    for name in (*TEXTS, *NUMBERS, *ADDRESSES, "t.flag"):
        field = FIELDS[name]
        if isinstance(field.source, ByAction):
            found = getattr(action, field.source.attribute)
            out[name] = tuple(w.encode() for w in found) if isinstance(found, tuple) else found.encode()
        elif action.table in field.tables:
            out[name] = draw(st.one_of(st.none(), _value(field)))
    return out
