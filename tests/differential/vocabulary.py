"""Fields and values that rules and events are made of: those of public rules where they are at hand, and extremes."""

from __future__ import annotations

import json
import re
from functools import cache

from kestrel_lab.eql import ast
from kestrel_lab.eql.parse import parse
from tests.eql.corpora import CORPORA
from tests.eql.naive import walk

TEXTS = ("process.name", "process.executable", "process.command_line", "process.parent.name", "file.path", "user.id",
         "event.action", "host.os.type", "t.word")  # fmt: skip
ARRAYS = ("process.args", "event.type", "t.words")
INTS = ("process.pid", "process.exit_code", "destination.port", "t.int")
UINTS = ("file.inode", "t.big")
FLOATS = ("t.float", "t.double")
NUMBER_ARRAYS = ("t.ints", "t.floats")
ADDRESSES = ("source.ip", "destination.ip")
ADDRESS_ARRAYS = ("host.ip",)
FLAGS = ("t.flag", "t.other")
FLAG_ARRAYS = ("t.flags",)
CATEGORIES = ("process", "file", "network")

WORDS = ["", "a", "A", "ab", "bash", "Bash", "sh", "/tmp/a.sh", "/etc/x", "exec", "start", "linux", "0x1f", "12", "-7",
         "3.5", "1e3", "\u00e9", "\u20ac\U0001f600", "*", "?", "a*b", "Infinity", "10.0.0.1", "::1"]  # fmt: skip
PATTERNS = ["*", "a*", "*a", "*A*", "?", "b?sh", "*/*", "", "sh", "*\u00e9*", "?*?", "1?"]
REGEXES = [".*", "a.*", "[a-b]+", "(ba)?sh", "[^/]*", ".{2}", "A?b*", "/.*"]
ODD = [b"\xff", b"b\xffsh", b"\xc3", b"a\xe2\x82"]
SIGNED = [0, 1, 2, 5, 22, -1, -7, 40, 2**31, 2**53, 2**53 + 1, 2**63 - 1, -(2**63)]
UNSIGNED = [0, 1, 5, 2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1]
DOUBLES = [0.0, -0.0, 0.5, 2.5, 5.0, -1.5, 1e7, 1.0e-4, 9007199254740993.0, 1.8446744073709552e19, 1e300, -1e300]
IPS = ["10.0.0.1", "10.6.48.157", "192.168.0.1", "::1", "fe80::1", "::ffff:10.0.0.1"]
BLOCKS = ["10.0.0.0/8", "10.6.48.157/8", "::1", "FE80::/10", "0.0.0.0/0", "::/0", "192.168.0.0/16"]
DATES = ["1970-01-01T00:00:00Z", "1970-01-11T00:00:05.001Z", "1970-02-01", "1971-01-01T00:00:00+02:00"]


@cache
def public_rules() -> tuple[str, ...]:
    """Return the queries of the public sample; none where it is absent."""
    path = CORPORA / "elastic_linux_eql_sample.json"
    return tuple(rule["query"] for rule in json.loads(path.read_text())) if path.exists() else ()


@cache
def public_values() -> dict[str, list[str]]:
    """Return, by field, texts that public rules compare it with; wildcards stand for something in particular."""
    out: dict[str, list[str]] = {}
    for query in public_rules():
        body = parse(query).body
        filters = [body] if isinstance(body, ast.Filter) else [item.filter for item in body.items]
        for node in (n for f in filters for n in walk(f.condition)):
            if isinstance(node, ast.Compare):
                _gather(node.left, (node.right,), out)
            elif isinstance(node, ast.Match):
                _gather(node.left, node.items, out)
    return out


def _gather(left: ast.Node, items: tuple[ast.Node, ...], out: dict[str, list[str]]) -> None:
    if isinstance(left, ast.Name):
        texts = [n.value for n in items if isinstance(n, ast.Literal) and isinstance(n.value, str)]
        out.setdefault(left.name, []).extend(re.sub(r"[*]", "x", t).replace("?", "y") for t in texts)
