"""What a recorder was to capture, over the time of a recording."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class CaptureUse:
    """What is captured from an event on.

    Attributes:
        actions: codes of the kinds of events.
        filters: what is left out of them all the same, as the recorder was told.
    """

    from_event_id: int
    actions: frozenset[int]
    filters: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON data."""
        return {"from": self.from_event_id, "actions": sorted(self.actions), "filters": list(self.filters)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> CaptureUse:
        """Return what `to_json` was given."""
        return cls(data["from"], frozenset(data["actions"]), tuple(data["filters"]))


def captured_throughout(uses: Iterable[CaptureUse]) -> frozenset[int] | None:
    """Return the codes of the actions that were captured all the time, None if that was not recorded."""
    sets = [use.actions for use in uses]
    return frozenset.intersection(*sets) if sets else None
