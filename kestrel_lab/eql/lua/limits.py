"""How large a Lua rule may be. What is larger is refused before it is compiled."""

from __future__ import annotations

MAX_BYTES = 64 << 10  #: of source, UTF-8
MAX_DEPTH = 60  #: of expressions and blocks in one another; LuaJIT's own parser stops at 200 of its levels
MAX_ENTRIES = 20_000  #: of one table
MAX_FIELDS = 200  #: that a rule reads
MAX_TESTS = 1_000  #: patterns
