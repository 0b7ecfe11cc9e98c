"""How large a query may be. What is larger is refused before it is compiled."""

from __future__ import annotations

MAX_BYTES = 1 << 20  #: of source, UTF-8
MAX_ITEMS = 20_000  #: of one list
MAX_RUNS = 100  #: of one item of a sequence
MAX_STAGES = 1_000  #: of a sequence, runs counted
MAX_TESTS = 8_192  #: different text tests of a program
MAX_DEPTH = 200  #: of parentheses, `not` and calls around one another
