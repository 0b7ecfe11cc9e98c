"""What a Lua rule is once it is compiled."""

from __future__ import annotations

from dataclasses import dataclass

from kestrel_lab.eql.leaftests import TextTest
from kestrel_lab.eql.slots import Slot


@dataclass(frozen=True, slots=True)
class LuaScript:
    """A Lua rule, checked and rewritten.

    Attributes:
        source: Lua text that runs within the library of the engine and nothing else; see `rewrite`.
        fields: what it reads, by number from 1; numbers of `K.field` there.
        tests: of those fields, by number from 1; numbers of `K.test` there.
        patterns: tests of any text (their field is empty), by number from 1; numbers of `K.pattern` there.
        slots: columns and tables of the tests.
        captures: names under which its `capture` adds values to an alert.
    """

    source: str
    fields: tuple[str, ...]
    tests: tuple[TextTest, ...]
    patterns: tuple[TextTest, ...]
    slots: tuple[Slot, ...]
    captures: tuple[str, ...]
