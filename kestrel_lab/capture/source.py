"""The live kernel as a source of epochs."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from kestrel_lab.capture.btf import Btf
from kestrel_lab.capture.cgroups import cgroups_below
from kestrel_lab.capture.checks import require
from kestrel_lab.capture.config import CaptureConfig
from kestrel_lab.capture.contents import HASHED, PATIENCE_S, Contents, Keeper
from kestrel_lab.capture.epochs import EpochBuilder
from kestrel_lab.capture.executed import executed, identity_of, own_mounts, running
from kestrel_lab.capture.existing import Existing
from kestrel_lab.capture.gaps import Loss, Recursion, Sequences
from kestrel_lab.capture.headers import find_headers
from kestrel_lab.capture.hooks import ALWAYS, hooks_for
from kestrel_lab.capture.host import boot_id, boot_ns, cgroup_scope, source_info
from kestrel_lab.capture.made import RECORDER, Made, Stamps, file_records
from kestrel_lab.capture.memory import release_compiler
from kestrel_lab.capture.offsets import Offsets, resolve_offsets
from kestrel_lab.capture.order import Order
from kestrel_lab.capture.program import HOOKS, Counts, Program
from kestrel_lab.capture.ring import Records
from kestrel_lab.capture.start_state import read_start_state
from kestrel_lab.schema.actions import ON_REQUEST
from kestrel_lab.schema.epoch import Epoch, Gap, Ledger, SourceInfo
from kestrel_lab.schema.schema import BUILTIN

BUSY_POLL_S = 0.02
IDLE_POLL_S = 0.05
#: a ring filled beyond this is drained again at once
HASTE = 0.25
RECURSION_CHECK_NS = 1_000_000_000
_END_OF_TIME = 2**63
#: how long the end waits for files that are still being read
STOP_PATIENCE_S = 2.0


class LiveSource:
    """Captures the running kernel. Use it as a context manager, `poll` it, `stop` it, then read its ledger.

    Args:
        config: what to capture.
        load: gives the loaded programs for offsets, headers and ring sizes.

    Attributes:
        info: what is true of the whole source.
        facts: for the manifest: kernel, BTF hash, BPF source hash, header path, offsets, rings, what is off.
    """

    def __init__(
        self, config: CaptureConfig | None = None,
        load: Callable[[Offsets, Path, Mapping[str, int]], Program] = Program,
    ) -> None:  # fmt: skip
        self._load = load
        self.config = config or CaptureConfig()
        self.info: SourceInfo = source_info()
        self.facts: dict[str, Any] = {}
        self._losses: list[Loss] = []
        self._counters: dict[str, list[Counts]] | None = None
        self._scope = (0, 0)
        self._processes_at_start = 0
        self._running = False
        self._contents, self._own_mounts = Contents(), own_mounts()

    def __enter__(self) -> LiveSource:
        """Load and attach the programs and read the start state.

        Raises:
            PermissionMissingError: without root or the capabilities.
            UnavailableError: if the machine lacks what is needed; each says what to do.
            UsageError: if the configured cgroup is none.
        """
        require()
        if self.config.cgroup is not None:
            self._scope = cgroup_scope(self.config.cgroup)
        btf = Btf.of_kernel()
        offsets = resolve_offsets(btf)
        headers = find_headers()
        self._program = self._load(offsets, headers, self.config.ring_pages)
        try:
            self._start(offsets)
        except BaseException:
            self._program.close()
            raise
        self.facts = self._describe(btf, offsets, str(headers))
        release_compiler()
        self._running = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Detach and release everything; events not yet drained are gone unless `stop` was called."""
        self._contents.stop()
        self._program.close()

    def _start(self, offsets: Offsets) -> None:
        now = boot_ns()
        config = self.config
        self._sequences, self._stamps = Sequences(now), Stamps()
        self._recursion = Recursion(self._program.recursion(), now)
        self._builder = EpochBuilder(config, boot_id(), lambda exec_: self._contents.known(identity_of(exec_)))
        self._order = Order(config.epoch_ns, config.epoch_rows, config.epoch_bytes)
        self._watermark = self._checked_recursion = now
        self._program.set_filters(config.filters)
        self.set_actions(config.actions)
        missing = sorted({*self._program.off, *(hook for hook in offsets.disabled if hook in HOOKS)})
        self._losses += [Loss("off", hook, -1, -1, now, now) for hook in missing]
        if config.start_state:
            self._processes_at_start = read_start_state(self._program.tasks, self._builder.images, now)
            below = None if config.cgroup is None else cgroups_below(config.cgroup)
            existing = Existing(self._program, below)
            for made in existing.records(self._wanted):
                self._add(made)
            if existing.unread:
                self._losses.append(Loss("off", "existing_socket", -1, -1, now, now))
            if config.hashes:
                for who, mounts in existing.processes():
                    image = running(who, near=mounts in (0, self._own_mounts))
                    if image is not None:
                        self._contents.want(image)

    def keep_contents(self, keeper: Keeper) -> None:
        """Let the contents of what is executed be kept too; before the first `poll`."""
        self._contents.keeper = keeper

    def _add(self, made: Made) -> None:
        """Take records of the recorder's own."""
        if len(made[1]):
            self._losses += self._sequences.observe(self._stamps.stamp(made))
            self._order.add(*made)

    def _describe(self, btf: Btf, offsets: Offsets, headers: str) -> dict[str, Any]:
        return {
            "kernel": os.uname().release,
            "kernel_version": os.uname().version,
            "btf_sha256": btf.sha256,
            "bpf_sha256": self._program.text_sha256,
            "headers": headers,
            "offsets": dict(offsets.values),
            "disabled": {name: list(paths) for name, paths in offsets.disabled.items()},
            "off": dict(self._program.off),
            "walk_depth": self._program.walk_depth,
            "rings": {ring.name: ring.size for ring in self._program.rings},
            "clock": {"boot_ns": boot_ns(), "wall_ns": time.time_ns()},
            "reads": self.config.reads,
            "env": self.config.env,
            "hashes": self.config.hashes,
            "filters": list(self.config.filters.texts),
            "cgroup": None if self.config.cgroup is None else str(self.config.cgroup),
            "processes_at_start": self._processes_at_start,
        }

    @property
    def captured(self) -> frozenset[int]:
        """Codes of the actions that are captured now."""
        return self._wanted

    @property
    def filters(self) -> tuple[str, ...]:
        """What is left out of them all the same."""
        return self.config.filters.texts

    def set_actions(self, actions: frozenset[int] | None) -> None:
        """Capture these action codes (None: all) from now on; fork, exec and end always are, opens for reading and
        hashes of contents if the configuration says so."""
        wanted = frozenset(a.code for a in BUILTIN.actions) if actions is None else actions | ALWAYS
        if not self.config.reads:
            wanted -= ON_REQUEST
        wanted = wanted | {HASHED} if self.config.hashes else wanted - {HASHED}
        self._wanted = wanted
        bits = sum(1 << code for code in wanted)
        self._program.configure(bits, *self._scope, os.getpid(), env=self.config.env, filters=self.config.filters.bits)
        self._program.attach(hooks_for(wanted))

    def poll(self, timeout_s: float) -> list[Epoch]:
        """Return the epochs that have closed, waiting up to `timeout_s` seconds for one.

        It comes back sooner while events come: what is drained twice in a row is final, and its epoch may close.
        """
        deadline = time.monotonic() + timeout_s
        if self.config.hashes:
            self._contents.start()
        while True:
            active = self._cycle()
            epochs = self._cut()
            if active:
                deadline = min(deadline, time.monotonic() + BUSY_POLL_S)
            left = deadline - time.monotonic()
            if epochs or left <= 0:
                return epochs
            if max(ring.fill for ring in self._program.rings) < HASTE:
                time.sleep(min(left, BUSY_POLL_S if active else IDLE_POLL_S))

    def stop(self) -> list[Epoch]:
        """Detach, drain to the end, and return the last epochs. Then the ledger is final."""
        if not self._running:
            return []
        self._running = False
        self._program.attach(frozenset())
        time.sleep(BUSY_POLL_S)  # a program that was running on another CPU has ended by then
        while self._cycle():
            pass
        self._contents.stop(STOP_PATIENCE_S)
        self._cycle()
        self._counters = self._program.counters()
        now = boot_ns()
        self._losses += self._sequences.finish(self._counters, now)
        self._losses += self._recursion.observe(self._program.recursion(), now)
        self._order.advance(_END_OF_TIME)
        return self._cut(flush=True)

    def _cycle(self) -> bool:
        """Drain every ring once; return whether anything came."""
        now = boot_ns()
        came, whole = False, True
        for index, ring in enumerate(self._program.rings):
            words, complete = ring.drain()
            whole &= complete
            if not len(words):
                continue
            came = True
            records = ring.kind.view(words)
            self._losses += self._sequences.observe(records)
            self._order.add(index, words)
            if self.config.hashes and ring.name.startswith("exec"):
                self._want(records)
        facts = self._contents.facts()
        if facts:
            self._add(file_records(facts))
        if whole:
            self._order.advance(self._watermark)
            self._watermark = now
        if now - self._checked_recursion > RECURSION_CHECK_NS:
            self._checked_recursion = now
            self._losses += self._recursion.observe(self._program.recursion(), now)
        return came or not whole

    def _want(self, execs: Records) -> None:
        """Ask for the files that were executed. An epoch waits for them a moment, unless a ring is filling."""
        patience = PATIENCE_S if max(ring.fill for ring in self._program.rings) < HASTE else 0.0
        for one in execs:
            for wanted in executed(one, self._own_mounts):
                self._contents.want(wanted, patience)

    def _cut(self, *, flush: bool = False) -> list[Epoch]:
        epochs = []
        while pieces := self._order.cut(flush=flush):
            self._contents.settle()
            epochs.append(self._builder.build(pieces, self._take_gaps))
        return epochs

    def _take_gaps(self, event_id: int) -> tuple[Gap, ...]:
        losses, self._losses = self._losses, []
        return tuple(loss.gap(event_id) for loss in losses)

    def pending_gaps(self) -> tuple[Gap, ...]:
        """Return (once) the gaps found after the last epoch."""
        return self._take_gaps(self._builder.next_event_id)

    def ledger_by_source(self) -> dict[str, Ledger]:
        """Return the ledger of every source, and of every hook that missed events through recursion.

        While it runs, events on their way are in `seen` and not yet in `received`.
        """
        counters = self._counters or self._program.counters()
        out = {}
        for source, cpus in counters.items():
            made = self._sequences.received[source] if source == RECORDER else 0
            out[source] = Ledger(
                seen=sum(c.seen for c in cpus) + made,
                filtered=sum(c.filtered for c in cpus),
                lost_ring=sum(c.lost for c in cpus),
                received=self._sequences.received[source],
            )
        return out | {n: Ledger(recursion=count) for n, count in self._recursion.by_hook().items() if count}

    def hooks(self) -> dict[str, bool]:
        """Return whether each hook that what is captured needs is attached."""
        return {hook: hook in self._program.attached for hook in sorted(hooks_for(self._wanted))}

    def ledger(self) -> Ledger:
        """Return the sum over all sources; `written` and `lost_user` are the recorder's to fill in."""
        parts = self.ledger_by_source().values()
        names = ("seen", "filtered", "lost_ring", "received", "recursion")
        return Ledger(**{name: sum(getattr(part, name) for part in parts) for name in names})
