"""One text test over one value at a time, where no column is at hand."""

from __future__ import annotations

from kestrel_lab.engine.text.glob import Check, checker, literal_checker
from kestrel_lab.engine.text.textmatch import Matcher
from kestrel_lab.eql.leaftests import TextTest

_FEW = 8  # patterns, up to which trying each is quicker than arrays of one row


def single(test: TextTest) -> Check:
    """Return a function that says whether a value passes a test, as `Matcher` does."""
    checks = _checks(test)
    if checks is None or len(checks) > _FEW:
        matcher = Matcher([test])
        return lambda value: bool(matcher.bits([value])[0, 0])
    if test.fold:
        return lambda value: any(check(folded) for folded in (value.lower(),) for check in checks)
    return lambda value: any(check(value) for check in checks)


def _checks(test: TextTest) -> list[Check] | None:
    match test.op:
        case "like":
            return [checker(pattern) for pattern in test.patterns]
        case "equal" | "prefix" | "suffix" | "contains":
            return [literal_checker(test.op, pattern) for pattern in test.patterns]
        case _:
            return None
