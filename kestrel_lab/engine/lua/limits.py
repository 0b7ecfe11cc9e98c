"""What a Lua rule may use beside the fuel of users' rules."""

from __future__ import annotations

LOAD_FUEL = 1 << 20  #: of what runs when a rule is loaded
MEMORY = 4 << 20  #: bytes that one event may make it take
TEXT = 1 << 20  #: bytes of a text that it makes
DEPTH = 150  #: of calls in one another
REMEMBERED = 10_000  #: texts that are no fields whose tests are remembered
VALUES = 100_000  #: distinct values of a field that LuaJIT holds at once
