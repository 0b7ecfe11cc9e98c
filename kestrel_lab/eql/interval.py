"""A regular expression for the decimal numbers of an interval: Lucene's `<n-m>`."""

from __future__ import annotations


def interval(low: int, high: int, digits: int) -> str:
    """Return RE2 text for the numbers from the lower to the higher one, both included.

    Args:
        digits: how many digits each has, zeros before it filled in; 0 for any number of zeros before it.
    """
    low, high = sorted((low, high))
    if digits:
        return "|".join(_between(str(low).zfill(digits), str(high).zfill(digits)))
    parts: list[str] = []
    for width in range(len(str(low)), len(str(high)) + 1):
        first = max(low, 10 ** (width - 1) if width > 1 else 0)
        parts += _between(str(first), str(min(high, 10**width - 1)))
    return f"0*(?:{'|'.join(parts)})"


def _between(low: str, high: str) -> list[str]:
    """Return alternatives for the texts of equal length from `low` to `high`, in rising order."""
    if low == high:
        return [low]
    common = next(i for i, (a, b) in enumerate(zip(low, high, strict=True)) if a != b)
    prefix, first, last, rest = low[:common], int(low[common]), int(high[common]), len(low) - common - 1
    out: list[str] = []
    if low[common + 1 :].strip("0"):
        out += [prefix + low[common] + tail for tail in _between(low[common + 1 :], "9" * rest)]
        first += 1
    upper: list[str] = []
    if high[common + 1 :].strip("9"):
        upper = [prefix + high[common] + tail for tail in _between("0" * rest, high[common + 1 :])]
        last -= 1
    if first <= last:
        out.append(prefix + (f"[{first}-{last}]" if first < last else str(first)) + ("[0-9]" * rest))
    return out + upper
