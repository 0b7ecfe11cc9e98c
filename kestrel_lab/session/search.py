"""Search: one query over a whole source, as if it were the only rule of a pack."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from kestrel_lab.engine import PATIENT, SPAN_ROWS, Limits, query_pack
from kestrel_lab.recording import Damage
from kestrel_lab.schema.alert import Alert, Mode
from kestrel_lab.schema.epoch import EpochSource
from kestrel_lab.session.drive import Answer, EngineSpec, LocalDriver
from kestrel_lab.session.replay import Window
from kestrel_lab.session.sources import PassingDamage, as_source


@dataclass(frozen=True, slots=True)
class Search:
    """What a search found.

    Attributes:
        results: in the order of their last events; an event query's have one event each.
        many: whether results are of several events: those of a sequence or a sample.
        damage: ranges that could not be read.
        evicted: pending sequences given up for want of room.
        exhausted: epochs in which the query ran out of fuel and found nothing.
    """

    results: Sequence[Alert]
    many: bool
    damage: Sequence[Damage] = ()
    evicted: int = 0
    exhausted: int = 0


def search(
    source: EpochSource,
    query: str,
    *,
    mode: Mode = "live",
    limits: Limits = PATIENT,
    limit: int | None = None,
    window: Window | None = None,
) -> Search:
    """Return what an EQL query finds in a source.

    Args:
        mode: runtime of the query; the results do not depend on it.
        limit: the most results to return, the first ones.
        window: bounds on the results; the query always sees everything.

    Raises:
        RuleError: if the query is wrong, with its place and a caret.
    """
    source, bounds = as_source(source), window or Window()
    pack = query_pack(query, limits, source.info.schema)
    driver = LocalDriver(EngineSpec.of(pack, mode, limits), source.info, pack, SPAN_ROWS)
    program = pack.rules[0].program
    answers = list[Answer]()
    found = (alert for answer in _answers(driver, source, answers) for alert in answer.alerts if bounds.shows(alert))
    if program.kind == "event" and not program.pipes:
        results = list(islice(found, limit))  # in order, so it may stop early
    else:
        results = sorted(found, key=lambda alert: alert.sort_key)[:limit]
    return Search(
        results,
        program.kind != "event",
        tuple(source.damage) if isinstance(source, PassingDamage) else (),
        sum(driver.evicted.values()),
        sum(len(answer.exhausted) for answer in answers),
    )


def _answers(driver: LocalDriver, source: EpochSource, seen: list[Answer]) -> Iterator[Answer]:
    for epoch in source.epochs():
        yield from _noted(driver.feed(epoch), seen)
    yield from _noted(driver.finish(source.end), seen)


def _noted(answers: Sequence[Answer], seen: list[Answer]) -> Iterator[Answer]:
    for answer in answers:
        if answer.exhausted:
            seen.append(answer)
        yield answer
