"""The proof: the same replay in every configuration that must not matter, each in a process of its own."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from typing import Any

from kestrel_lab.engine import Limits, Pack
from kestrel_lab.recording import Damage
from kestrel_lab.schema.alert import Alert, Mode, PackUse, alert_digest
from kestrel_lab.schema.epoch import EpochSource
from kestrel_lab.schema.errors import DivergedError
from kestrel_lab.session.causes import describe
from kestrel_lab.session.checkpoint import Checkpoint, checkpoint_key, restore, take
from kestrel_lab.session.child import Child
from kestrel_lab.session.drive import EngineSpec, LocalDriver
from kestrel_lab.session.replay import Collector, Playing, Window, as_schedule, fuel_of, replay
from kestrel_lab.session.schedule import PackSchedule
from kestrel_lab.session.sources import as_source, opener, segment_hashes
from kestrel_lab.session.worker import Open


@dataclass(frozen=True, slots=True)
class Configuration:
    """One way to replay. `env` is what the process's environment differs in."""

    name: str
    mode: Mode = "deterministic"
    workers: int = 1
    seek: bool = False
    env: Mapping[str, str | None] = field(default_factory=dict)


_ASCII = {"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}

#: The first is the reference.
CONFIGURATIONS: tuple[Configuration, ...] = (
    Configuration("deterministic", env={"PYTHONHASHSEED": "0"}),
    Configuration("live", mode="live", env={"PYTHONHASHSEED": "0"}),
    Configuration("deterministic, 2 workers", workers=2, env={"PYTHONHASHSEED": "0"}),
    Configuration("live, 2 workers", mode="live", workers=2, env={"PYTHONHASHSEED": "0"}),
    Configuration("hash seed 1", env={"PYTHONHASHSEED": "1"}),
    Configuration("hash seed 4294967295", env={"PYTHONHASHSEED": "4294967295"}),
    Configuration("TZ=Pacific/Kiritimati LANG=C LC_ALL=C", env={"TZ": "Pacific/Kiritimati", **_ASCII}),
    Configuration("seek into the middle", seek=True, env={"PYTHONHASHSEED": "0"}),
)


@dataclass(frozen=True, slots=True)
class ProofRow:
    """What one configuration gave."""

    configuration: str
    digest: str
    fuel: int
    alerts: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Proof:
    """The rows, the reference first. `difference` names the first alert or figure two of them disagree on.

    `damage`: ranges that no configuration could read, so that the proof is about the rest.
    """

    rows: Sequence[ProofRow]
    difference: str = ""
    damage: Sequence[Damage] = ()

    @property
    def equal(self) -> bool:
        """Whether every configuration gave the same alerts and the same fuel."""
        return not self.difference

    def check(self) -> None:
        """Do nothing if all agree.

        Raises:
            DivergedError: if two configurations differ.
        """
        if self.difference:
            raise DivergedError(self.difference, do="This is a defect of the engine: please report it with the pack.")


@dataclass(frozen=True, slots=True)
class _Result:
    alerts: Sequence[Alert]
    digest: str
    fuel: Mapping[str, int]
    seconds: float
    damage: Sequence[Damage] = ()


@dataclass(frozen=True, slots=True)
class _Job:
    """One configuration's work, as it travels: the packs are compiled where they run."""

    spec: EngineSpec
    configuration: Configuration
    uses: tuple[PackUse, ...]
    files: Mapping[str, Mapping[str, bytes]]

    def schedule(self) -> PackSchedule:
        """Return the schedule, compiled in this process."""
        packs = {pack_hash: replace(self.spec, files=files).pack() for pack_hash, files in self.files.items()}
        return PackSchedule(self.uses, packs)


def prove(
    source: EpochSource,
    rules: Pack | PackSchedule,
    *,
    limits: Limits | None = None,
    configurations: Sequence[Configuration] = CONFIGURATIONS,
    on_row: Callable[[ProofRow], None] | None = None,
) -> Proof:
    """Replay a source in every configuration and compare alerts and fuel.

    Args:
        source: a recording, or any picklable source.
        rules: a pack to run from the start, or a schedule of packs.
        on_row: called with each row, in order, as soon as it is known.

    Returns:
        The proof; `Proof.check` raises if it failed.
    """
    source = as_source(source)
    open_source = opener(source)
    schedule = as_schedule(rules).for_schema(source.info.schema)
    files = {pack_hash: dict(pack.files) for pack_hash, pack in schedule.packs.items()}
    jobs = [_Job(EngineSpec.of(schedule.first, c.mode, limits), c, schedule.uses, files) for c in configurations]
    rows: list[ProofRow] = []
    reference: _Result | None = None
    difference = ""
    with ThreadPoolExecutor(max_workers=max(1, min(4, os.cpu_count() or 1))) as pool:
        for configuration, result in zip(
            configurations, pool.map(lambda job: _in_process(open_source, job), jobs), strict=True
        ):
            row = ProofRow(
                configuration.name, result.digest, sum(result.fuel.values()), len(result.alerts), result.seconds
            )
            rows.append(row)
            if on_row:
                on_row(row)
            if reference is None:
                reference = result
            else:
                difference = difference or _compare(configurations[0].name, reference, configuration.name, result)
    return Proof(rows, difference, reference.damage if reference else ())


def _in_process(open_source: Open, job: _Job) -> _Result:
    name = f"replay ({job.configuration.name})"
    child = Child(name, run_configuration, open_source, job, env=job.configuration.env)
    try:
        result = child.result()
        assert isinstance(result, _Result)
        return result
    finally:
        child.close()


def run_configuration(connection: Connection[Any, Any], open_source: Open, job: _Job) -> _Result:
    """Replay in the process of one configuration, under the locale and time zone of its environment."""
    import locale
    import time

    locale.setlocale(locale.LC_ALL, "")
    time.tzset()
    source = open_source()
    schedule = job.schedule()
    if job.configuration.seek:
        return _seek(open_source, job.spec, schedule)
    spec = job.spec
    found = replay(source, schedule, mode=spec.mode, workers=job.configuration.workers, limits=spec.limits)
    return _Result(found.alerts, found.digest, found.fuel, found.seconds, found.damage)


def _seek(open_source: Open, spec: EngineSpec, schedule: PackSchedule) -> _Result:
    """Replay to the middle, store the state, go on from it with another engine over the source opened anew."""
    import time

    began = time.perf_counter()
    source = open_source()
    middle = sum(1 for _ in source.epochs()) // 2
    first, stored, collected = LocalDriver(spec, source.info, schedule.first), b"", Collector(Window())
    playing, key = Playing(first, schedule), ""
    for place, epoch in enumerate(open_source().epochs()):
        if place == middle:
            key = checkpoint_key(segment_hashes(source), spec, playing.running.hash, schedule=schedule.uses)
            stored = take(first, epoch.number, key).to_bytes()
            break
        collected.take(playing.feed(epoch)[0])
    second, checkpoint = LocalDriver(spec, source.info, playing.running), Checkpoint.from_bytes(stored)
    restore(second, checkpoint, key)
    source = open_source()
    playing = Playing(second, schedule, playing.running)
    for epoch in source.epochs(checkpoint.next_epoch):
        collected.take(playing.feed(epoch)[0])
    collected.take(second.finish(source.end))
    alerts = collected.alerts
    fuel = Counter(first.fuel_given_up) + Counter(second.fuel)
    return _Result(alerts, alert_digest(alerts), fuel_of(schedule, fuel), time.perf_counter() - began)


def _compare(left: str, a: _Result, right: str, b: _Result) -> str:
    """Return what two results first disagree on, in words; empty if nothing."""
    if a.digest != b.digest:
        return f"`{left}` and `{right}` disagree: {_first_difference(a.alerts, b.alerts)}"
    for rule in sorted({*a.fuel, *b.fuel}):
        if a.fuel.get(rule, 0) != b.fuel.get(rule, 0):
            spent = f"{a.fuel.get(rule, 0)} against {b.fuel.get(rule, 0)}"
            return f"`{left}` and `{right}` disagree on the fuel of rule {rule}: {spent}"
    return ""


def _first_difference(a: Sequence[Alert], b: Sequence[Alert]) -> str:
    left, right = sorted(a, key=lambda x: x.sort_key), sorted(b, key=lambda x: x.sort_key)
    for one, other in zip(left, right, strict=False):
        if one != other:
            return f"the first alert that differs is {describe(min(one, other, key=lambda x: x.sort_key))}"
    more = left if len(left) > len(right) else right
    return f"only one of them has {describe(more[min(len(left), len(right))])}"
