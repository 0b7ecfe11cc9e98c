"""The engine: a scanner and a matcher of all shards, in one process."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from kestrel_lab.engine.hits.scan import Scan
from kestrel_lab.engine.limits import Limits
from kestrel_lab.engine.matching import state as states
from kestrel_lab.engine.matching.matcher import Matcher
from kestrel_lab.engine.matching.pipes import Pipes
from kestrel_lab.engine.packs.pack import Pack
from kestrel_lab.engine.predicate import Backend
from kestrel_lab.engine.scanning.scanner import Scanner
from kestrel_lab.schema.alert import Alert, Exhausted, Mode, Open
from kestrel_lab.schema.epoch import End, Epoch, SourceInfo


@dataclass(frozen=True, slots=True)
class EpochResult:
    """What the engine says about one epoch; alerts in `sort_key` order."""

    alerts: Sequence[Alert] = ()
    exhausted: Sequence[Exhausted] = ()


class Engine:
    """Runs a pack over epochs, given in order.

    Attributes:
        fuel: used so far by rule id, every rule of the pack listed.
        evaluations: rows handed to predicates so far, over all rules and stages.
    """

    def __init__(
        self, pack: Pack, info: SourceInfo, mode: Mode, limits: Limits | None = None, backend: Backend = "wasm"
    ) -> None:
        """Compile the pack.

        Args:
            backend: what EQL rules are lowered to.

        Raises:
            RuleError: if a module is refused.
            LimitError: if the pack needs more memory than there is.
        """
        self._pack = pack
        self._scanner = Scanner(pack, info, mode, limits, backend)
        self._matcher = Matcher(pack, limits=limits)
        self._pipes = Pipes(pack.rules)
        self.fuel: Counter[str] = Counter({rule.id: 0 for rule in pack.rules})
        self.evaluations = 0

    def process(self, epoch: Epoch) -> EpochResult:
        """Evaluate the next epoch."""
        return self._take(self._scanner.scan(epoch))

    def process_span(self, epochs: Sequence[Epoch]) -> EpochResult:
        """Evaluate the next epochs, consecutive and of one segment; the same as one by one, but faster."""
        results = [self._take(scan) for scan in self._scanner.scan_span(epochs)]
        return EpochResult([a for r in results for a in r.alerts], [x for r in results for x in r.exhausted])

    def skip(self, epoch: Epoch) -> EpochResult:
        """Pass over the next epoch: no rule sees its events, but time goes on."""
        return self._take(self._scanner.skip(epoch))

    def finish(self, end: End) -> list[Alert]:
        """Return the alerts that the end of the source resolves; what it does not is `open`."""
        return self._pipes.finish(self._matcher.finish(end), end)

    @property
    def open(self) -> list[Open]:
        """What waits: sequences for time to pass, results for a sealed end."""
        return [*self._matcher.open(), *self._pipes.open()]

    @property
    def evicted(self) -> dict[str, int]:
        """Pending sequences given up so far, by rule id."""
        return self._matcher.evicted

    def state(self) -> bytes:
        """Return what `restore` needs to go on after the last epoch, as canonical bytes keyed by rule content."""
        hashes = {rule.id: rule.hash for rule in self._pack.rules}
        fuel = {hashes[rule_id]: used for rule_id, used in self.fuel.items()}
        return self._matcher.dump({"fuel": fuel, "evaluations": self.evaluations, "pipes": self._pipes.dump()})

    def restore(self, state: bytes) -> int:
        """Go on from a stored state; changed rules start empty.

        Returns:
            how many pending sequences were dropped because their rules changed or are gone.

        Raises:
            IncompatibleError: if another version of the engine made it.
        """
        data = states.load(state).data
        used = data.get("fuel", {})
        self.fuel = Counter({rule.id: used.get(rule.hash, 0) for rule in self._pack.rules})
        self.evaluations = data.get("evaluations", 0)
        self._pipes.load(data.get("pipes", {}))
        return self._matcher.restore(state)

    def _take(self, scan: Scan) -> EpochResult:
        self.fuel.update(scan.fuel)
        self.evaluations += scan.evaluations
        return EpochResult(self._pipes.take(self._matcher.feed(scan), self._matcher.low()), scan.exhausted)
