"""An engine spread over worker processes.

Spans of epochs are scanned by turns (worker k takes every N-th), because predicates are pure. Scans then go to every
worker in epoch order, and each matches the shards of keys it owns. Neither the turn nor the number of workers can
change an answer: a scan depends on its epochs alone, a shard on the scans in their order.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from typing import Any

from kestrel_lab.engine import Pack, Pipes
from kestrel_lab.schema.alert import Alert, Exhausted, Open
from kestrel_lab.schema.epoch import End, Epoch
from kestrel_lab.session.child import Child
from kestrel_lab.session.drive import Answer, EngineSpec, Gathering
from kestrel_lab.session.schedule import PackSwitch, switch_between, with_dropped
from kestrel_lab.session.worker import Open as OpenSource
from kestrel_lab.session.worker import serve

#: Spans in flight per worker: one being scanned, one waiting, so that memory stays flat and nobody starves.
_WINDOW = 2


@dataclass(slots=True)
class _Flight:
    """A span between `feed` and its answer; `number` is its last epoch's, `scans` the pickled list of its scans."""

    number: int
    scans: bytes | None = None
    exhausted: Sequence[Exhausted] = ()
    alerts: list[Alert] = field(default_factory=list)
    low: dict[str, int] = field(default_factory=dict)
    waiting: int = 0


class WorkersDriver:
    """Satisfies `Driver`. Every worker opens the source by itself with `open_source`.

    Args:
        span_rows: gather epochs up to so many rows before a worker gets them; the answers are the same, but later.
        pack: that of the specification, if it is at hand.

    Raises (from any method):
        ProcessDiedError: if a worker died.
    """

    def __init__(
        self, spec: EngineSpec, open_source: OpenSource, workers: int, span_rows: int = 0, pack: Pack | None = None
    ) -> None:
        self._span = Gathering(span_rows)
        self._pack = pack or spec.pack()
        self._pipes = Pipes(self._pack.rules)
        self._end: End | None = None
        self.open: list[Open] = []
        self.switches: list[PackSwitch] = []
        self.fuel: Counter[str] = Counter()
        self.evicted: Counter[str] = Counter()
        self.evaluations = 0
        self._flights: deque[_Flight] = deque()
        self._fed = 0  # flights, from the left, whose scan has been sent to the matchers
        self._turn = 0
        self._children = [
            Child(f"engine worker {k + 1} of {workers}", serve, open_source, spec, k, workers) for k in range(workers)
        ]

    @property
    def pids(self) -> list[int]:
        """Process ids of the workers."""
        return [child.pid for child in self._children]

    def feed(self, epoch: Epoch, *, skip: bool = False) -> list[Answer]:
        """Give the next epoch to a worker, or keep it until there are enough; waits while too many are in flight."""
        answers: list[Answer] = []
        for span in self._span.add(epoch, apart=skip):
            answers += self._send("skip" if skip and span[0] is epoch else "scan", span)
        return answers + self.ready()

    def ready(self) -> list[Answer]:
        """Return the answers that are there."""
        return self._advance(0)

    def flush(self) -> list[Answer]:
        """Wait for every answer."""
        answers: list[Answer] = []
        for span in self._span.rest():
            answers += self._send("scan", span)
        while self._flights:
            answers += self._advance(None)
        return answers

    def switch(self, pack: Pack, from_event_id: int) -> list[Answer]:
        """Let another pack run over the epochs that follow, once every worker is done with those before."""
        answers = self.flush()
        for child in self._children:
            child.send(("switch", dict(pack.files)))
        dropped = 0
        for child in self._children:
            _, lost, evicted = child.recv()
            dropped += lost
            self.evicted.update(evicted)
        self.switches.append(with_dropped(switch_between(self._pack, pack, from_event_id), dropped))
        self._pack, before = pack, self._pipes.dump()
        self._pipes = Pipes(pack.rules)
        self._pipes.load(before)
        return answers

    def finish(self, end: End) -> list[Answer]:
        """Wait for every answer, then for what the end resolves."""
        answers = self.flush()
        self._end = end
        last = _Flight(-1, scans=b"", waiting=len(self._children))
        self._flights.append(last)
        self._fed = 1
        for child in self._children:
            child.send(("finish", end))
        while self._flights:
            answers += self._advance(None)
        self.open = sorted(self.open, key=lambda o: o.sort_key) + self._pipes.open()
        return answers

    def handles(self) -> Sequence[Any]:
        """Return the workers' sockets."""
        return [child.connection for child in self._children]

    def close(self) -> None:
        """Stop the workers."""
        for child in self._children:
            child.close()

    def _send(self, what: str, span: Sequence[Epoch]) -> list[Answer]:
        answers: list[Answer] = []
        while len(self._flights) >= _WINDOW * len(self._children):
            answers += self._advance(None)
        self._children[self._turn].send((what, tuple(epoch.number for epoch in span)))
        self._turn = (self._turn + 1) % len(self._children)
        self._flights.append(_Flight(span[-1].number))
        return answers

    def _advance(self, timeout: float | None) -> list[Answer]:
        """Take what the workers have sent, pass scans on in epoch order, return finished answers."""
        for connection in wait(self.handles(), timeout):
            child = next(c for c in self._children if c.connection is connection)
            self._take(child.recv())
        self._pass_on()
        answers: list[Answer] = []
        while self._fed and not self._flights[0].waiting:
            done = self._flights.popleft()
            self._fed -= 1
            answers.append(Answer(done.number, self._passed(done), done.exhausted))
        return answers

    def _passed(self, done: _Flight) -> list[Alert]:
        """Return what `head` and `tail` let pass: they count over all shards, so they are here."""
        if done.number < 0 and self._end is not None:
            return self._pipes.finish(done.alerts, self._end)
        return self._pipes.take(done.alerts, done.low)

    def _take(self, message: tuple[Any, ...]) -> None:
        flight = next(f for f in self._flights if f.number == message[1])
        if message[0] == "scan":
            fuel, evaluations, flight.exhausted = message[2]
            self._count(fuel, evaluations)
            flight.scans = message[3]
        else:
            flight.alerts += message[2]
            flight.waiting -= 1
            if message[0] == "end":
                self.evicted.update(message[3])
                self.open += message[4]
            else:
                for rule_id, low in message[3].items():
                    flight.low[rule_id] = min(low, flight.low.get(rule_id, low))

    def _count(self, fuel: Mapping[str, int], evaluations: int) -> None:
        self.fuel.update(fuel)
        self.evaluations += evaluations

    def _pass_on(self) -> None:
        while self._fed < len(self._flights) and self._flights[self._fed].scans is not None:
            flight = self._flights[self._fed]
            for child in self._children:
                child.send(("feed", flight.number, flight.scans))
            flight.scans = b""
            flight.waiting = len(self._children)
            self._fed += 1
