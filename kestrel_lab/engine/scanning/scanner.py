"""The scan of an epoch: index, columns, one call per (rule, stage, window), hits. It remembers nothing but caches.

Fuel is counted so that it does not depend on how rows are cut into calls: what a call costs without rows is charged
once per (stage, table, epoch) that has rows to look at, whatever calls there were.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from kestrel_lab.engine.hits.captures import Captures
from kestrel_lab.engine.hits.keys import JoinKeys
from kestrel_lab.engine.hits.scan import Hits, Scan
from kestrel_lab.engine.limits import Limits
from kestrel_lab.engine.packs.pack import Pack
from kestrel_lab.engine.predicate import Backend, Predicate, TrappedError
from kestrel_lab.engine.scanning.columns import ColumnMemory
from kestrel_lab.engine.scanning.index import TableIndex
from kestrel_lab.engine.scanning.plan import StagePlan, TablePlan, plan_tables
from kestrel_lab.engine.scanning.progress import Holding, Made, Progress
from kestrel_lab.engine.scanning.refine import Refiner
from kestrel_lab.engine.scanning.runtimes import Runtimes
from kestrel_lab.engine.scanning.span import Span
from kestrel_lab.engine.scanning.times import event_times, found_gaps, ticks_of
from kestrel_lab.engine.scanning.window import Window
from kestrel_lab.engine.text.classes import TooManyClassesError
from kestrel_lab.schema.alert import Exhausted, Mode
from kestrel_lab.schema.epoch import Array, Epoch, SourceInfo


class Scanner:
    """Evaluates a pack's predicates over epochs, in any order, in one mode."""

    def __init__(
        self, pack: Pack, info: SourceInfo, mode: Mode, limits: Limits | None = None, backend: Backend = "wasm",
        *, every: bool = False,
    ) -> None:  # fmt: skip
        """Compile the pack's modules.

        Args:
            backend: what EQL rules are lowered to.
            every: look for the hits of rules, too, that can never fire; else they cost nothing.

        Raises:
            RuleError: if a module is refused.
            LimitError: if the pack needs more memory than there is.
            ValueError: if the pack is compiled against another schema than the source's.
        """
        if pack.schema != info.schema:
            raise ValueError("the pack is compiled against another schema than the source's: see `Pack.for_schema`")
        self._pack, self._info, self._limits = pack, info, limits or Limits()
        self._plans = plan_tables(pack.rules, pack.schema, every=every)
        self._runtimes = Runtimes(mode, pack.schema, backend)  # holds the column memory
        self._columns = ColumnMemory(self._runtimes.memory, pack.rules, self._plans, pack.schema)
        self._indexes = {table: TableIndex(plan, self._columns, pack.schema) for table, plan in self._plans.items()}
        self._predicates: list[Predicate] = [self._runtimes.load(rule) for rule in pack.rules]
        self._marked = np.zeros(self._columns.window_rows, np.bool_)
        self._refiner = Refiner(pack.rules, info, mode, self._limits, self._columns)

    def scan(self, epoch: Epoch) -> Scan:
        """Return what the pack's predicates find in an epoch."""
        return self._scan(Span((epoch,)))

    def scan_span(self, epochs: Sequence[Epoch]) -> list[Scan]:
        """Return what the predicates find in consecutive epochs of one segment: the same as one by one, but faster.

        It is one scan, or one for each epoch if a rule trapped or ran out of fuel: which epoch that was must be found.
        """
        found = self._scan(Span(epochs))
        return [self.scan(epoch) for epoch in epochs] if found.exhausted and len(epochs) > 1 else [found]

    def _scan(self, span: Span) -> Scan:
        epoch = span.whole
        progress = Progress(self._limits.fuel)
        for classes in self._columns.classes.values():
            classes.enter(epoch.segment.index)
        for table, plan in self._plans.items():
            if table in epoch.tables:
                actions = epoch.tables[table].column("action")
                size = self._columns.window_rows
                for start in range(0, len(actions), size):
                    stop = min(start + size, len(actions))
                    window = Window(self._info, epoch, table, start, stop)
                    self._scan_window(plan, window, span.starts[table], progress)
        self._refiner.refine(span, progress)
        return self._result(span, progress)

    def skip(self, epoch: Epoch) -> Scan:
        """Return the scan of an epoch that is passed over: no hits, but time goes on."""
        return Scan(
            epoch=epoch.number,
            segment=epoch.segment.index,
            first_event_id=epoch.first_event_id,
            last_event_id=epoch.last_event_id,
            event_time_before_ns=epoch.event_time_ns,
            event_time_ns=epoch.event_time_after_ns,
            wall=(),
            hits={},
            fuel={},
            evaluations=0,
            exhausted=(),
            gaps=found_gaps(epoch),
            skipped=True,
        )

    def _scan_window(self, plan: TablePlan, window: Window, starts: Array, progress: Progress) -> None:
        try:
            found = self._indexes[plan.table].candidates(window)
            self._columns.fill(plan, window, found)
        except TooManyClassesError:
            for part in window.halves():
                self._scan_window(plan, part, starts, progress)
            return
        distinct = {id(rows): rows for _, rows in found}
        held = {which: Holding.of(rows, starts - window.start) for which, rows in distinct.items()}
        done: dict[int, _Done] = {}
        passed: dict[int, Array] = {}
        for stage, rows in found:
            if stage.rule in progress.stopped:
                continue
            if stage.decided:
                if id(rows) not in passed:
                    passed[id(rows)] = rows.astype(np.int64) + window.start
                progress.hits.setdefault((plan.table, stage), []).append(passed[id(rows)])
                continue
            begun = progress.epochs_begun((plan.table, stage), held[id(rows)])
            self._evaluate(plan.table, stage, rows, window.start, begun, progress, done)

    def _evaluate(
        self, table: str, stage: StagePlan, rows: Array, start: int, begun: int, progress: Progress,
        done: dict[int, _Done],
    ) -> None:  # fmt: skip
        """Find what passes of a stage's rows, counted from the table's row `start`.

        Args:
            begun: the epochs to charge.
            done: what was found of other stages' rows; twins find the same and use the same fuel.
        """
        before = progress.fuel_left(stage.rule)
        empty = self._predicates[stage.rule].cost_of_a_call(stage.number)
        progress.evaluations += len(rows)
        known = done.get(stage.twins)
        if known is None or known.rows is not rows or 2 * (empty + known.fuel) > before:
            try:
                hits, used = self._run(table, stage, rows, before)
            except TrappedError as error:
                progress.stop(stage.rule, self._limits.fuel, trapped=not error.out_of_fuel)
                return
            known = done[stage.twins] = _Done(rows, hits.astype(np.int64) + start, used - empty)
        progress.left[stage.rule] = before - empty - known.fuel
        progress.used[stage.rule] = progress.used.get(stage.rule, 0) + known.fuel + empty * begun
        if len(known.hits):
            progress.hits.setdefault((table, stage), []).append(known.hits)

    def _run(self, table: str, stage: StagePlan, rows: Array, fuel: int) -> tuple[Array, int]:
        """Return which of its rows pass a stage, and the fuel used.

        Raises:
            TrappedError: if it traps, runs out of fuel, or says what cannot be.
        """
        columns, predicate = self._columns, self._predicates[stage.rule]
        columns.put_rows(rows)
        predicate.refuel(fuel)
        frame = columns.frame(table, stage.rule)
        count = predicate.run(stage.number, frame, columns.rows_at, len(rows), columns.out_at)
        hits = columns.hits(count)
        if count and not self._are_among(hits, rows):
            raise TrappedError
        return hits, fuel - predicate.fuel_left()

    def _are_among(self, hits: Array, rows: Array) -> bool:
        """Return whether the hits rise and are all among the rows, which rise."""
        if len(hits) == len(rows):
            return bool((hits == rows).all())
        self._marked[rows] = True
        among = hits[-1] < len(self._marked) and (hits[1:] > hits[:-1]).all() and self._marked[hits].all()
        self._marked[rows] = False
        return bool(among)

    def _result(self, span: Span, progress: Progress) -> Scan:
        epoch = span.whole
        rules = self._pack.rules
        times = event_times(epoch) if progress.hits else {}
        hits: dict[str, list[Hits]] = {}
        stamps: dict[tuple[int, ...], _Stamps] = {}  # twins have the same
        for (table, stage), rows in sorted(progress.hits.items(), key=lambda item: item[0][1].rule):
            if stage.rule not in progress.stopped:
                which = tuple(map(id, rows))
                if which not in stamps:
                    stamps[which] = _Stamps.of(epoch, table, np.concatenate(rows), times[table])
                block = self._hits(epoch, table, stage, stamps[which], progress.made.get((table, stage)))
                hits.setdefault(stage.rule_id, []).append(block)
        return Scan(
            epoch=epoch.number,
            segment=epoch.segment.index,
            first_event_id=epoch.first_event_id,
            last_event_id=epoch.last_event_id,
            event_time_before_ns=epoch.event_time_ns,
            event_time_ns=epoch.event_time_after_ns,
            wall=span.wall,
            hits=hits,
            fuel={rules[r].id: used for r, used in sorted(progress.used.items())},
            evaluations=progress.evaluations,
            exhausted=tuple(
                Exhausted(rules[r].id, epoch.number, epoch.first_event_id, epoch.last_event_id, limit, trapped)
                for r, (limit, trapped) in sorted(progress.stopped.items())
            ),
            ticks=ticks_of(epoch, self._limits.tick),
            gaps=found_gaps(epoch),
        )

    def _hits(self, epoch: Epoch, table: str, stage: StagePlan, stamps: _Stamps, made: Made | None) -> Hits:
        return Hits(
            rule_id=stage.rule_id,
            stage=stage.number,
            event_id=stamps.event_id,
            event_time=stamps.event_time,
            ts_boot_ns=stamps.boot,
            keys=JoinKeys(self._info, epoch, table, stage.by, stamps.rows),
            captures=Captures(self._info, epoch, table, stage.captures, stamps.rows, made),
        )


class _Done(NamedTuple):
    """What a stage found: of which rows, the table's rows that passed, and the fuel used beside that of a call."""

    rows: Array
    hits: Array
    fuel: int


class _Stamps(NamedTuple):
    """Rows of a table, and what tells when they happened."""

    rows: Array
    event_id: Array
    event_time: Array
    boot: Array

    @classmethod
    def of(cls, epoch: Epoch, table: str, rows: Array, times: Array) -> _Stamps:
        data = epoch.tables[table]
        return cls(rows, data.column("event_id").take(rows), times.take(rows), data.column("ts_boot_ns").take(rows))
