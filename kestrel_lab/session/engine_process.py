"""The live engine as a process of its own: started by the recorder, woken at each commit, never waited for."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from threading import Lock, Thread
from typing import Any

from kestrel_lab.engine import Pack
from kestrel_lab.schema.alert import Alert
from kestrel_lab.schema.errors import KestrelError
from kestrel_lab.session.child import Child
from kestrel_lab.session.drive import EngineSpec
from kestrel_lab.session.lag import DEFAULT_MAX_LAG_S
from kestrel_lab.session.live import LiveReport, run_live
from kestrel_lab.session.watch import PackWatch, RulePaths


@dataclass(frozen=True, slots=True)
class LiveOptions:
    """How the live engine runs; none of it can change an answer, except which epochs are skipped and which packs run.

    Attributes:
        watch: where the pack was read from, to look for edits every `look_s` seconds; None to let it be.
    """

    workers: int = 1
    max_lag_s: float = DEFAULT_MAX_LAG_S
    delay_per_epoch_s: float = 0.0
    watch: RulePaths | None = None
    look_s: float = 1.0


@dataclass(frozen=True, slots=True)
class NewPack:
    """A pack that may take over: its files by name, and the codes of the actions that its rules look at."""

    hash: str
    files: Mapping[str, bytes]
    actions: frozenset[int]


class EngineProcess:
    """The recorder's handle on its engine.

    The rules compile while the recorder still loads its probes; `start` then names the recording. Alerts arrive on a
    thread of their own: a slow reader of them slows the engine, never the capture.

    Attributes:
        report: what the engine did, once it has finished.
        error: what ended it, if it failed.
        reader_error: what `on_alert` raised; it is not called again after that.
        alerts: alerts received so far.
        done: number of the last epoch all of whose alerts were received, -1 for none.
    """

    def __init__(self, spec: EngineSpec, options: LiveOptions, on_alert: Callable[[Alert], None] | None = None) -> None:
        self.report: LiveReport | None = None
        self.error: KestrelError | None = None
        self.reader_error: Exception | None = None
        self.alerts, self.done = 0, -1
        self._on_alert = on_alert
        self._on_pack: Callable[[NewPack], None] = lambda _: None
        self._on_notice: Callable[[str], None] = lambda _: None
        self._started = False
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._child = Child("live engine", serve_live, spec, options, self._bell, pass_fds=(self._bell,))
        self._thread = Thread(target=self._listen, name="live-engine-alerts", daemon=True)
        self._thread.start()

    @property
    def pid(self) -> int:
        """Process id of the engine."""
        return self._child.pid

    @property
    def running(self) -> bool:
        """Whether it has neither finished nor failed."""
        return self._thread.is_alive()

    def start(
        self,
        path: Path,
        on_pack: Callable[[NewPack], None] | None = None,
        on_notice: Callable[[str], None] | None = None,
    ) -> None:
        """Let it follow the recording at `path`.

        Args:
            on_pack: called, on the thread of the alerts, with the rules as they were edited; they run once the
                recording's schedule says so.
            on_notice: called there with words for people: a pack took over, an edit is wrong.
        """
        self._on_pack, self._on_notice = on_pack or self._on_pack, on_notice or self._on_notice
        self._started = True
        self._tell(("follow", path))

    def ring(self) -> None:
        """Say that an epoch was committed. Never blocks."""
        os.eventfd_write(self._bell, 1)

    def stop(self) -> None:
        """Ask it to stop where it is, without the rest of the recording."""
        self._tell(("stop",))

    def join(self, seconds: float) -> bool:
        """Wait for it to finish; return whether it has."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def close(self, grace_s: float = 2.0) -> None:
        """End it, killing it if it does not stop within `grace_s` seconds."""
        if self.running and self._started:
            self.stop()
            self.join(grace_s)
        self._child.close(grace_s=0.5 if self._started else 0.0)
        self._thread.join(1.0)
        os.close(self._bell)

    def _tell(self, message: Any) -> None:
        try:
            self._child.connection.send(message)
        except OSError:
            return  # it is gone: the listening thread has found out why

    def _listen(self) -> None:
        try:
            while True:
                what, value = self._child.recv()
                if what == "result":
                    self.report = value
                    return
                self._take(what, value)
        except KestrelError as error:
            self.error = error
        except OSError:
            return  # closed by us

    def _take(self, what: str, value: Any) -> None:
        if what == "alerts":
            self._show(value)
        elif what == "done":
            self.done = value
        elif what == "pack":
            self._on_pack(value)
        else:
            self._on_notice(value)

    def _show(self, alerts: Sequence[Alert]) -> None:
        self.alerts += len(alerts)
        if self._on_alert is None or self.reader_error is not None:
            return
        try:
            for alert in alerts:
                self._on_alert(alert)
        except Exception as error:
            self.reader_error = error


def serve_live(
    connection: Connection[Any, Any], spec: EngineSpec, options: LiveOptions, bell: int
) -> LiveReport | None:
    """Run in the engine process: compile, wait for the recording's name, follow it to its end."""
    pack = spec.pack()
    what, *rest = connection.recv()
    if what != "follow":
        return None
    line = _Line(connection, bell)
    compiled: dict[str, Pack] = {}
    if options.watch is not None:
        watch = PackWatch(options.watch, pack.hash, spec.limits)
        Thread(target=_watch, args=(watch, options.look_s, compiled, line), name="rules-watch", daemon=True).start()
    return run_live(
        rest[0],
        pack,
        mode=spec.mode,
        workers=options.workers,
        limits=spec.limits,
        max_lag_s=options.max_lag_s,
        on_alerts=lambda alerts: line.tell("alerts", list(alerts)),
        on_done=lambda number: line.tell("done", number),
        on_switch=lambda switch: line.tell("notice", switch.render()),
        compiled=compiled,
        wait=line.wait,
        delay_per_epoch_s=options.delay_per_epoch_s,
    )


#: Compiled packs kept for when the schedule comes to them; older ones are compiled again.
_KEPT = 2


def _watch(watch: PackWatch, look_s: float, compiled: dict[str, Pack], line: _Line) -> None:
    """Look for edits for ever; tell the recorder of each, and keep what was compiled."""
    while True:
        time.sleep(look_s)
        found = watch.look()
        if isinstance(found, Pack):
            for pack_hash in list(compiled)[: 1 - _KEPT]:
                del compiled[pack_hash]
            compiled[found.hash] = found
            for error in found.broken:
                line.tell("notice", f"left out: {error.render()}")
            line.tell("pack", NewPack(found.hash, dict(found.files), found.actions()))
        elif found is not None:
            line.tell("notice", f"the edited rules are not taken, the others go on: {found.render()}")


class _Line:
    """The engine's end of the line to its recorder.

    If the recorder goes away without sealing, the engine goes on to the end of what was committed, and nobody hears.
    """

    def __init__(self, connection: Connection[Any, Any], bell: int) -> None:
        self._connection, self._bell = connection, bell
        self._cut = False
        self._sending = Lock()

    def tell(self, what: str, value: Any) -> None:
        """Send alerts, a pack or a notice to the recorder; from any thread."""
        try:
            with self._sending:
                self._connection.send((what, value))
        except OSError:
            self._cut = True

    def wait(self, seconds: float, handles: Sequence[Any]) -> bool:
        """Wait for the bell, a word from the recorder, or a handle; return False when told to stop."""
        listen = () if self._cut else (self._connection,)
        ready = wait([*listen, self._bell, *handles], seconds)
        if self._bell in ready:
            os.eventfd_read(self._bell)
        return not (self._connection in ready and self._told_to_stop())

    def _told_to_stop(self) -> bool:
        try:
            return bool(self._connection.recv() == ("stop",))
        except (EOFError, OSError):
            self._cut = True
            return False
