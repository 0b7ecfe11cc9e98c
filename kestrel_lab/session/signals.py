"""Signals while recording: the first Ctrl-C, SIGTERM or lost terminal asks to stop, the second to hurry; SIGUSR1 to
keep what is there."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Stop:
    """How often somebody asked to stop. Also to be set by hand, from any thread."""

    def __init__(self) -> None:
        self.count = 0
        self.signal: int | None = None  #: the first signal that asked, None if none did
        self.keeps = 0  #: how often somebody asked to keep what is there

    def request(self) -> None:
        """Ask to stop."""
        self.count += 1

    @property
    def requested(self) -> bool:
        """Whether anybody asked."""
        return self.count > 0

    @property
    def hurry(self) -> bool:
        """Whether somebody asked again."""
        return self.count > 1


@contextmanager
def stop_on_signals(stop: Stop) -> Iterator[None]:
    """Turn SIGINT, SIGTERM and SIGHUP into requests, if this is the main thread; restore the handlers afterwards."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(number: int, frame: FrameType | None) -> None:
        stop.signal = stop.signal or number
        stop.request()

    def keep(number: int, frame: FrameType | None) -> None:
        stop.keeps += 1

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    before[signal.SIGUSR1] = signal.signal(signal.SIGUSR1, keep)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
