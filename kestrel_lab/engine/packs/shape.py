"""The shape of a sequence: which of its items are events, and between, before and after which none may stand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kestrel_lab.eql import Program, Stage

#: An interval of event time, ns, both ends included.
Interval = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Shape:
    """Attributes are numbers of stages in the program, each the first of those that are the same object.

    Attributes:
        events: the items that are events, in order.
        places: for each item of the program, its place in `events`; None for a missing event.
        gaps: for each place in `events` but the last, the items that must not stand after it.
        lead, trail: the items that must not stand before the first event, and after the last.
        until: the stage that ends sequences.
    """

    events: tuple[int, ...]
    places: tuple[int | None, ...]
    gaps: tuple[tuple[int, ...], ...]
    lead: tuple[int, ...]
    trail: tuple[int, ...]
    until: int | None

    @property
    def stages(self) -> tuple[int, ...]:
        """Every stage that hits are wanted of."""
        until = () if self.until is None else (self.until,)
        gaps = (number for gap in self.gaps for number in gap)
        return tuple(dict.fromkeys((*self.events, *self.lead, *gaps, *self.trail, *until)))

    @property
    def follows(self) -> Mapping[int, range]:
        """For each stage, the places one of which a sequence must have come to before its events matter to it.

        Those that may begin a sequence, or must not stand before it, are absent: their events always matter.
        """
        pairs = [(number, place) for place, number in enumerate(self.events[1:])]
        pairs += [(number, place) for place, gap in enumerate((*self.gaps, self.trail)) for number in gap]
        places: dict[int, list[int]] = {} if self.until is None else {self.until: [0, len(self.gaps)]}
        for number, place in pairs:
            places.setdefault(number, []).append(place)
        free = (self.events[0], *self.lead)
        return {n: range(min(of), max(of) + 1) for n, of in places.items() if n not in free}

    @property
    def has_missing(self) -> bool:
        """Whether any item is a missing event."""
        return None in self.places

    def windows(self, times: Sequence[int], maxspan_ns: int | None) -> list[Interval]:
        """Return where, in event time, an event that nobody saw could have changed the answer.

        Args:
            times: of the events, ns.
        """
        span = maxspan_ns or 0
        out = [(a, b) for a, b, gap in zip(times, times[1:], self.gaps, strict=False) if gap]
        if self.lead:
            out.append((times[-1] - span, times[0]))
        if self.trail:
            out.append((times[-1], times[0] + span))
        return out


def numbered_stages(program: Program) -> tuple[tuple[int, Stage], ...]:
    """Return the distinct stages with their numbers: an item with runs stands once, under its first number."""
    numbers = {id(stage): number for number, stage in reversed(list(enumerate(program.all_stages)))}
    return tuple((numbers[id(stage)], stage) for stage in program.distinct_stages)


def shape_of(program: Program) -> Shape:
    """Return the shape of a sequence."""
    first = {id(stage): number for number, stage in numbered_stages(program)}
    events: list[int] = []
    places: list[int | None] = []
    between: list[list[int]] = [[]]
    for stage in program.stages:
        number = first[id(stage)]
        places.append(None if stage.missing else len(events))
        if stage.missing:
            if number not in between[-1]:
                between[-1].append(number)
        else:
            events.append(number)
            between.append([])
    lead, *gaps, trail = map(tuple, between) if len(between) > 1 else ((), ())
    until = None if program.until is None else len(program.stages)
    return Shape(tuple(events), tuple(places), tuple(gaps), lead, trail, until)
