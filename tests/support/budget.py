"""Processor time as a limit: seconds of a common server, so that a slow or a busy machine fails nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

#: Seconds that `_work` takes on a server processor of about 3 GHz under CPython 3.11.
COMMON = 0.006


@contextmanager
def at_most(seconds: float, what: str = "") -> Iterator[None]:
    """Fail if the block takes more processor time than `seconds` of a common server."""
    slow = _slowness()
    began = time.process_time()
    yield
    took = time.process_time() - began
    limit = seconds * max(slow, _slowness())
    assert took < limit, f"{took:.2f} s of at most {limit:.2f} {what}"


def _slowness() -> float:
    return max(1.0, min(_work() for _ in range(3)) / COMMON)


def _work() -> float:
    began, total = time.process_time(), 0
    for number in range(100_000):
        total += number
    return time.process_time() - began
