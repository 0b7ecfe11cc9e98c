"""What is captured while rules change: said in the recording so that it never claims more than it holds."""

from __future__ import annotations

from typing import Protocol

from kestrel_lab.schema.captured import CaptureUse
from kestrel_lab.schema.epoch import Epoch
from kestrel_lab.session.lag import boot_clock_ns
from kestrel_lab.session.record_report import Capture


class Log(Protocol):
    """Where it is said: a recording that is being written."""

    def add_capture(self, use: CaptureUse) -> None:
        """Say what is captured from an event on."""
        ...


class Capturing:
    """Changes what a source captures, and says so.

    A kind of event that is no longer captured is given up in words at once, with the next event; one that is new is
    claimed with the first epoch all of whose events came after the kernel's programs were told of it.
    """

    def __init__(self, source: Capture, log: Log) -> None:
        self._source, self._log = source, log
        self._since_ns: int | None = None  # when the kernel was told of more than is said

    def begin(self) -> None:
        """Say what is captured from the first event on."""
        self._say(1, self._source.captured)

    def change(self, actions: frozenset[int], event_id: int) -> None:
        """Capture these actions from now on.

        Args:
            event_id: the next that will be committed.
        """
        before = self._source.captured
        self._source.set_actions(actions)
        after = self._source.captured
        if not before <= after:
            self._say(event_id, before & after)
        if not after <= before:
            self._since_ns = boot_clock_ns()

    def committing(self, epoch: Epoch) -> None:
        """Look at an epoch that is about to be committed."""
        if self._since_ns is not None and epoch.ts_min_ns >= self._since_ns:
            self._since_ns = None
            self._say(epoch.first_event_id, self._source.captured)

    def _say(self, event_id: int, actions: frozenset[int]) -> None:
        self._log.add_capture(CaptureUse(event_id, actions, self._source.filters))
