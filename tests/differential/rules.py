"""Rules from the whole grammar. What the compiler refuses (arrays read too often, say) is drawn again."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from random import Random

from tests.differential import vocabulary as v

_ORDER = ["==", "!=", "<", "<=", ">", ">="]
_KEYS = ["host.id", "process.entity_id", "process.parent.entity_id", "process.pid", "user.id", "process.args", "t.flag",
         "t.float", "file.inode", "source.ip", "t.ints"]  # fmt: skip
_UNKNOWN = "?t.nowhere"


class Rules:
    """Draws rules."""

    def __init__(self, rng: Random) -> None:
        """Take the source of chance."""
        self._rng = rng

    def rule(self) -> str:
        """Return the text of a rule."""
        kind = self._rng.random()
        if kind < 0.6:
            return self._filter(3)
        return self._sample() if kind > 0.92 else self._sequence()

    # queries

    def _filter(self, depth: int) -> str:
        category = self._rng.choice(["any", "any", *v.CATEGORIES, '"process"'])
        return f"{category} where {self.condition(depth)}"

    def _sequence(self) -> str:
        count = self._rng.choice([2, 2, 3])
        keys = self._rng.choice([0, 1, 1, 2])
        by = self._by(keys)
        missing = self._chance(0.4)
        span = f"with maxspan={self._rng.choice(['1ms', '2s', '1m', '1h'])}" if missing or self._chance(0.6) else ""
        own = self._rng.choice([0, 0, 1])
        kinds = [own] * count
        items = [f"[{self._filter(1)}]{self._by(k)}{self._runs()}" for k in kinds]
        for _ in range(self._rng.choice([1, 2]) if missing else 0):
            items.insert(self._rng.randrange(len(items) + 1), f"![{self._filter(1)}]{self._by(own)}{self._runs()}")
        until = f" until [{self._filter(1)}]{self._by(own)}" if self._chance(0.3) else ""
        return f"sequence{by} {span} {' '.join(items)}{until}"

    def _sample(self) -> str:
        items = [f"[{self._filter(1)}]" for _ in range(self._rng.choice([2, 2, 3]))]
        return f"sample{self._by(self._rng.choice([1, 2]))} {' '.join(items)}"

    def _by(self, count: int) -> str:
        """Return keys; those of an item are of one type, so that items go with each other."""
        names = [f"{'?' * self._chance(0.3)}{self._rng.choice(_KEYS)}" for _ in range(count)]
        return f" by {', '.join(names)}" if names else ""

    def _runs(self) -> str:
        return " with runs=2" if self._chance(0.15) else ""

    # conditions

    def condition(self, depth: int) -> str:
        """Return a condition."""
        chance = self._rng.random()
        if depth and chance < 0.35:
            word = self._rng.choice([" and ", " or "])
            return f"({word.join(self.condition(depth - 1) for _ in range(self._rng.choice([2, 2, 3])))})"
        if depth and chance < 0.5:
            return f"not ({self.condition(depth - 1)})"
        if depth and chance < 0.6:
            return f"(({self.condition(depth - 1)}) {self._rng.choice(['==', '!='])} {self._truth()})"
        return self._leaf()

    def _truth(self) -> str:
        return self._rng.choice(["true", "false", "null"])

    def _leaf(self) -> str:
        kinds: Sequence[Callable[[], str]] = (
            self._text_leaf, self._text_leaf, self._match, self._match, self._member, self._test, self._test,
            self._number_leaf, self._number_leaf, self._number_member, self._address, self._flag, self._null,
            self._date,
        )  # fmt: skip
        return self._rng.choice(kinds)()

    def _text_leaf(self) -> str:
        sides = [self.text(2), self._word()]
        self._rng.shuffle(sides)
        if self._chance(0.15):
            sides = [f"concat({self._text_field()}, {self._word()})", self._text_field()]
        return f"{sides[0]} {self._rng.choice(_ORDER)} {sides[1]}"

    def _match(self) -> str:
        op = self._rng.choice([":", "like", "like~", "regex", "regex~"])
        pool = v.REGEXES if op.startswith("regex") else v.PATTERNS
        items = [_quoted(self._rng.choice(pool)) for _ in range(self._rng.choice([1, 2, 3]))]
        right = items[0] if len(items) == 1 else f"({', '.join(items)})"
        return f"{self.text(2)} {op} {right}"

    def _member(self) -> str:
        op = self._rng.choice(["in", "in~", "not in", "not in~"])
        items = [self._word() for _ in range(self._rng.choice([1, 2, 3]))] + ["null"] * self._chance(0.1)
        return f"{self.text(1)} {op} ({', '.join(items)})"

    def _test(self) -> str:
        name = self._rng.choice(["startsWith", "endsWith", "stringContains", "startsWith~", "endswith~",
                                 "stringcontains~"])  # fmt: skip
        arguments = [self.text(1), self._rng.choice([self._word(), self.text(1), self._text_field()])]
        return f"{name}({', '.join(arguments)})" + self._rng.choice(["", "", f" == {self._truth()}"])

    def _number_leaf(self) -> str:
        left = self.number(2)
        right = self.number(1) if self._chance(0.3) else self._numeral()
        bare = all(c.isalnum() or c in "._?" for c in left + right) and not right[0].isdigit()
        return f"{left} {self._rng.choice(_ORDER)} {f'{right} + 0' if bare else right}"

    def _number_member(self) -> str:
        items = ", ".join(self._numeral() for _ in range(self._rng.choice([1, 2, 3])))
        return f"{self.number(1)} {self._rng.choice(['in', 'not in'])} ({items})"

    def _address(self) -> str:
        name = self._rng.choice([*v.ADDRESSES, *v.ADDRESS_ARRAYS])
        if self._chance(0.5):
            blocks = ", ".join(_quoted(self._rng.choice(v.BLOCKS)) for _ in range(self._rng.choice([1, 2])))
            of = self._rng.choice([name, name, self.text(1)])
            return f"cidrMatch({of}, {blocks})" + self._rng.choice(["", f" == {self._truth()}"])
        if self._chance(0.3):
            return f"startswith~(string({name}), string({self._rng.choice(v.ADDRESSES)}))"
        return f"{name} {self._rng.choice(['==', '!='])} {_quoted(self._rng.choice(v.IPS))}"

    def _flag(self) -> str:
        name = self._rng.choice([*v.FLAGS, *v.FLAG_ARRAYS, _UNKNOWN])
        return self._rng.choice([name, f"{name} == {self._truth()}", f'string({name}) : "*e"', f"not {name}"])

    def _null(self) -> str:
        what = self._rng.choice([self.text(2), self.number(2), self._rng.choice([*v.ARRAYS, *v.ADDRESSES, _UNKNOWN])])
        return f"{what} {self._rng.choice(['==', '!='])} null"

    def _date(self) -> str:
        right = self._rng.choice(
            [_quoted(self._rng.choice(v.DATES)), str(self._rng.choice([0, 864_000_000, 864_000_500]))]
        )
        return f"@timestamp {self._rng.choice(_ORDER)} {right}"

    # expressions

    def text(self, depth: int) -> str:
        """Return an expression that is a text."""
        if not depth or self._chance(0.4):
            return self._text_field()
        inner, small = self.text(depth - 1), self._small
        return self._rng.choice([
            lambda: f"concat({inner}, {self._rng.choice([self._word(), self.number(0), self._text_field()])})",
            lambda: f"substring({inner}, {small()})",
            lambda: f"substring({inner}, {small()}, {self._rng.choice([small(), 'null', self.number(0)])})",
            lambda: f"between{'~' * self._chance(0.5)}({inner}, {self._word()}, {self._word()}"
                    f"{self._rng.choice(['', ', true', ', false'])})",
            lambda: f"string({self._rng.choice([self.number(depth - 1), inner, '@timestamp', 't.flag', 'source.ip'])})",
        ])()  # fmt: skip

    def number(self, depth: int) -> str:
        """Return an expression that is a number."""
        if not depth or self._chance(0.35):
            return self._rng.choice([*v.INTS, *v.INTS, *v.UINTS, *v.FLOATS, *v.NUMBER_ARRAYS, _UNKNOWN])
        left, right = self.number(depth - 1), self._rng.choice([self._numeral(), self.number(depth - 1)])
        return self._rng.choice([
            lambda: f"({left} {self._rng.choice('+-*/%')} {right})",
            lambda: f"({left} {self._rng.choice('+-*/%')} {right})",
            lambda: f"{self._rng.choice(['add', 'subtract', 'multiply', 'divide', 'modulo'])}({left}, {right})",
            lambda: f"-{left}",
            lambda: f"length({self.text(depth - 1)})",
            lambda: f"indexOf{'~' * self._chance(0.5)}({self.text(depth - 1)}, {self._word()}"
                    f"{self._rng.choice(['', ', ' + self._small(), ', null'])})",
            lambda: f"number({self.text(depth - 1)}{self._rng.choice(['', ', 10', ', 16', ', 13', ', null'])})",
        ])()  # fmt: skip

    def _text_field(self) -> str:
        return self._rng.choice([*v.TEXTS, *v.ARRAYS, f"?{self._rng.choice(v.TEXTS)}"])

    def _word(self) -> str:
        return _quoted(self._rng.choice(v.WORDS))

    def _small(self) -> str:
        return str(self._rng.choice([-3, -1, 0, 1, 2, 5, 100]))

    def _numeral(self) -> str:
        value = self._rng.choice([*v.SIGNED, *v.UNSIGNED, *v.DOUBLES, 3, 4, 10])
        return repr(value).replace("e+", "e") if isinstance(value, float) else str(value)

    def _chance(self, share: float) -> bool:
        return self._rng.random() < share


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
