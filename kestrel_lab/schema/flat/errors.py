"""Why an event cannot be taken in."""

from __future__ import annotations


class RejectedError(ValueError):
    """An event is no event: its text says why, without saying which one it is."""
