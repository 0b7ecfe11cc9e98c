"""What runs inside a worker process: scan the epochs it is told to, and match the shards it owns."""

from __future__ import annotations

import pickle
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from multiprocessing.connection import Connection
from queue import SimpleQueue
from threading import Thread
from typing import Any

from kestrel_lab.engine import SHARDS, Matcher, Scan, Scanner, ready
from kestrel_lab.schema.alert import Exhausted
from kestrel_lab.schema.epoch import Epoch, EpochSource
from kestrel_lab.session.drive import EngineSpec

Open = Callable[[], EpochSource]


def shards_of(index: int, workers: int) -> frozenset[int]:
    """Return the shards that worker `index` of `workers` owns."""
    return frozenset(range(index, SHARDS, workers))


def serve(connection: Connection[Any, Any], open_source: Open, spec: EngineSpec, index: int, workers: int) -> None:
    """Answer the messages of a `WorkersDriver` until it says stop or goes away.

    Messages: `("scan", numbers)`, `("skip", numbers)`, answered by `("scan", last number, summary, pickled scans)`;
    `("feed", number, pickled scans)`, answered by `("alerts", number, alerts, low)`, see `Matcher.low`;
    `("switch", files)`, answered by `("switched", pending sequences given up, evictions of rules that are gone)`;
    `("finish", end)`: answered by `("end", -1, alerts, evicted by rule, open)`; `None`: stop.
    """
    inbox: SimpleQueue[Any] = SimpleQueue()
    Thread(target=_receive, args=(connection, inbox), daemon=True).start()
    source = open_source()
    pack = spec.pack()
    scanner = Scanner(pack, source.info, spec.mode, spec.limits)
    matcher = Matcher(pack, shards_of(index, workers), spec.limits)
    cursor = _Cursor(source)
    while (message := inbox.get()) is not None:
        match message:
            case (("scan" | "skip") as what, numbers):
                epochs = [cursor.seek(number) for number in numbers]
                scans = [scanner.skip(e) for e in epochs] if what == "skip" else scanner.scan_span(epochs)
                connection.send(("scan", numbers[-1], _summary(scans), pickle.dumps([ready(scan) for scan in scans])))
            case ("feed", number, blob):
                alerts = [alert for scan in pickle.loads(blob) for alert in matcher.feed(scan)]
                connection.send(("alerts", number, alerts, matcher.low()))
            case ("switch", files):
                old, pack = matcher, replace(spec, files=files).pack()
                scanner = Scanner(pack, source.info, spec.mode, spec.limits)
                matcher = Matcher(pack, shards_of(index, workers), spec.limits)
                dropped = matcher.restore(old.dump())
                connection.send(("switched", dropped, Counter(old.evicted) - Counter(matcher.evicted)))
            case ("finish", end):
                evicted, alerts = matcher.evicted, matcher.finish(end)
                connection.send(("end", -1, alerts, evicted, matcher.open()))


def _summary(scans: Sequence[Scan]) -> tuple[Counter[str], int, list[Exhausted]]:
    """Return fuel by rule, evaluations, and the rules that ran out."""
    fuel: Counter[str] = Counter()
    for scan in scans:
        fuel.update(scan.fuel)
    return fuel, sum(scan.evaluations for scan in scans), [row for scan in scans for row in scan.exhausted]


def _receive(connection: Connection[Any, Any], inbox: SimpleQueue[Any]) -> None:
    """Empty the socket at once, so that the parent never waits to send."""
    try:
        while True:
            inbox.put(connection.recv())
    except (EOFError, OSError):
        inbox.put(None)


class _Cursor:
    """Epochs of a source by rising number."""

    def __init__(self, source: EpochSource) -> None:
        self._source = source
        self._epochs: Iterator[Epoch] | None = None

    def seek(self, number: int) -> Epoch:
        """Return epoch `number`; numbers only rise."""
        if self._epochs is None:
            self._epochs = self._source.epochs(number)
        for epoch in self._epochs:
            if epoch.number == number:
                return epoch
        raise LookupError(f"epoch {number} is gone")
