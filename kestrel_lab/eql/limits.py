"""How large a query may be. What is larger is refused before it is compiled."""

from __future__ import annotations

MAX_BYTES = 1 << 20  #: of source, UTF-8
MAX_TOKENS = 45_000  #: of a query: names, values, operators, brackets
MAX_ITEMS = 20_000  #: of one list
MAX_RUNS = 100  #: of one item of a sequence
MAX_STAGES = 1_000  #: of a sequence, runs counted
MAX_TESTS = 8_192  #: different text tests of a program
MAX_DEPTH = 200  #: of parentheses, `not` and calls around one another
MAX_REGEX_CHARACTERS = 4_096  #: of one regular expression
MAX_REGEX_REPEATS = 1_000  #: of one part of it: numbers in braces, multiplied where they nest
MAX_REGEX_SIZE = 8_000  #: of one regular expression compiled, in instructions
MAX_REGEXES = 1_000  #: of one test
MAX_REGEXES_SIZE = 20_000  #: of all of them, in instructions
MAX_RESULTS = (1 << 31) - 1  #: that a pipe may ask for
MAX_ARRAYS = 3  #: times that a computed condition may read an array
