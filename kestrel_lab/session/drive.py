"""One engine driven over epochs, in this process or spread over workers: the same answers either way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from kestrel_lab.engine import Engine, Limits, Pack, pack_from_files, usual_limits
from kestrel_lab.schema.alert import Alert, Exhausted, Mode, Open
from kestrel_lab.schema.epoch import End, Epoch, SourceInfo
from kestrel_lab.schema.schema import BUILTIN, Schema
from kestrel_lab.session.schedule import PackSwitch, switch_between, with_dropped


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """What decides an engine's answers, in a form that travels between processes.

    Attributes:
        files: the pack's files by name.
        mode: `live` (compiled) or `deterministic` (interpreted); the answers are the same.
        schema: that of the source.
    """

    files: Mapping[str, bytes]
    mode: Mode
    limits: Limits
    schema: Schema = BUILTIN

    @classmethod
    def of(cls, pack: Pack, mode: Mode, limits: Limits | None = None) -> EngineSpec:
        """Return the specification of an engine for a loaded pack."""
        return cls(dict(pack.files), mode, limits or usual_limits(pack.schema), pack.schema)

    def pack(self) -> Pack:
        """Return the pack, compiled in this process."""
        return pack_from_files(self.files, self.limits, self.schema)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the engine said about one epoch; number -1 for what it said at the end of the source."""

    epoch: int
    alerts: Sequence[Alert] = ()
    exhausted: Sequence[Exhausted] = ()


class Driver(Protocol):
    """An engine that is given epochs in order and answers in the same order, perhaps later."""

    @property
    def fuel(self) -> Mapping[str, int]:
        """Fuel used so far by rule id."""
        ...

    @property
    def evaluations(self) -> int:
        """Rule evaluations so far, counted in rows."""
        ...

    @property
    def evicted(self) -> Mapping[str, int]:
        """Pending sequences given up for want of room, by rule id; known once `finish` has returned."""
        ...

    @property
    def switches(self) -> Sequence[PackSwitch]:
        """The packs that took over so far."""
        ...

    @property
    def open(self) -> Sequence[Open]:
        """What the end of the source did not resolve; known once `finish` has returned."""
        ...

    def feed(self, epoch: Epoch, *, skip: bool = False) -> list[Answer]:
        """Give the next epoch, to be evaluated or (`skip`) passed over; return the answers that are ready."""
        ...

    def switch(self, pack: Pack, from_event_id: int) -> list[Answer]:
        """Let another pack run over the epochs that follow; wait for the answers of those fed so far.

        Rules with the same content keep what they remember.
        """
        ...

    def ready(self) -> list[Answer]:
        """Return the answers that became ready since, without waiting."""
        ...

    def flush(self) -> list[Answer]:
        """Wait for the answers of every epoch fed so far, and return them."""
        ...

    def finish(self, end: End) -> list[Answer]:
        """Wait for all answers; resolve what only the end of the source can."""
        ...

    def handles(self) -> Sequence[Any]:
        """Return what to wait on (`multiprocessing.connection.wait`) for `ready` to have something."""
        ...

    def close(self) -> None:
        """Stop the processes behind it, if any."""
        ...


class Gathering:
    """Epochs kept until there are enough of them to be evaluated together.

    Args:
        rows: how many rows are enough; 0 keeps nothing.
    """

    def __init__(self, rows: int) -> None:
        self._enough, self._kept, self._rows = rows, list[Epoch](), 0

    def add(self, epoch: Epoch, *, apart: bool = False) -> list[list[Epoch]]:
        """Take the next epoch and return the spans that are complete; `apart`: the epoch is one of its own."""
        apart = apart or epoch.rows >= self._enough
        spans = self.rest() if apart or not self._goes_on(epoch) else []
        if apart:
            return [*spans, [epoch]]
        self._kept.append(epoch)
        self._rows += epoch.rows
        return spans + self.rest() if self._rows >= self._enough else spans

    def rest(self) -> list[list[Epoch]]:
        """Return what was kept as a span, if there is any."""
        kept, self._kept, self._rows = self._kept, [], 0
        return [kept] if kept else []

    def _goes_on(self, epoch: Epoch) -> bool:
        if not self._kept:
            return True
        last = self._kept[-1]
        return epoch.segment is last.segment and epoch.first_event_id == last.last_event_id + 1


class LocalDriver:
    """An engine in this process. Satisfies `Driver`.

    Args:
        span_rows: gather epochs up to so many rows before they are evaluated; the answers are the same, but later.
    """

    def __init__(self, spec: EngineSpec, info: SourceInfo, pack: Pack | None = None, span_rows: int = 0) -> None:
        self._spec, self._info, self._pack = spec, info, pack or spec.pack()
        self.engine = self._engine()
        self.evicted: Counter[str] = Counter()
        self.open: Sequence[Open] = ()
        self.switches: list[PackSwitch] = []
        self.fuel_given_up: Counter[str] = Counter()  #: used by rules that do not run any more, by rule id
        self._span = Gathering(span_rows)

    @property
    def fuel(self) -> Mapping[str, int]:
        """Fuel used so far by rule id."""
        return self.fuel_given_up + self.engine.fuel

    @property
    def evaluations(self) -> int:
        """Rule evaluations so far, counted in rows."""
        return self.engine.evaluations

    def feed(self, epoch: Epoch, *, skip: bool = False) -> list[Answer]:
        """Evaluate (or pass over) an epoch, or keep it until there are enough; a span has one answer."""
        spans = self._span.add(epoch, apart=skip)
        return [self._answer(span, skip=skip and span[0] is epoch) for span in spans]

    def ready(self) -> list[Answer]:
        """Return nothing: every answer was returned by `feed`."""
        return []

    def flush(self) -> list[Answer]:
        """Evaluate the epochs that were kept."""
        return [self._answer(span) for span in self._span.rest()]

    def switch(self, pack: Pack, from_event_id: int) -> list[Answer]:
        """Let another pack run over the epochs that follow."""
        answers, old = self.flush(), self.engine
        switch = switch_between(self._pack, pack, from_event_id)
        for rule_id in (*switch.removed, *switch.changed):
            self.fuel_given_up[rule_id] += old.fuel[rule_id]
            self.evicted[rule_id] += old.evicted.get(rule_id, 0)
        self._pack = pack
        self.engine = self._engine()
        self.switches.append(with_dropped(switch, self.engine.restore(old.state())))
        return answers

    def _engine(self) -> Engine:
        return Engine(self._pack, self._info, self._spec.mode, self._spec.limits)

    def finish(self, end: End) -> list[Answer]:
        """Return what is left, and what the end of the source resolves."""
        answers = self.flush()
        last = Answer(-1, self.engine.finish(end))
        self.evicted.update(self.engine.evicted)
        self.open = self.engine.open
        return [*answers, last]

    def handles(self) -> Sequence[Any]:
        """Return nothing to wait on."""
        return ()

    def close(self) -> None:
        """Do nothing: there is no process behind it."""

    def _answer(self, span: Sequence[Epoch], *, skip: bool = False) -> Answer:
        found = self.engine.skip(span[0]) if skip else self.engine.process_span(span)
        return Answer(span[-1].number, found.alerts, found.exhausted)
