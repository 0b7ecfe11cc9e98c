"""The live engine as a process of its own: started by the recorder, woken at each commit, never waited for."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from threading import Thread
from typing import Any

from kestrel_lab.schema.alert import Alert
from kestrel_lab.schema.errors import KestrelError
from kestrel_lab.session.child import Child
from kestrel_lab.session.drive import EngineSpec
from kestrel_lab.session.lag import DEFAULT_MAX_LAG_S
from kestrel_lab.session.live import LiveReport, run_live


@dataclass(frozen=True, slots=True)
class LiveOptions:
    """How the live engine runs; none of it can change an answer, except which epochs are skipped."""

    workers: int = 1
    max_lag_s: float = DEFAULT_MAX_LAG_S
    delay_per_epoch_s: float = 0.0


class EngineProcess:
    """The recorder's handle on its engine.

    The rules compile while the recorder still loads its probes; `start` then names the recording. Alerts arrive on a
    thread of their own: a slow reader of them slows the engine, never the capture.

    Attributes:
        report: what the engine did, once it has finished.
        error: what ended it, if it failed.
        reader_error: what `on_alert` raised; it is not called again after that.
        alerts: alerts received so far.
    """

    def __init__(self, spec: EngineSpec, options: LiveOptions, on_alert: Callable[[Alert], None] | None = None) -> None:
        self.report: LiveReport | None = None
        self.error: KestrelError | None = None
        self.reader_error: Exception | None = None
        self.alerts = 0
        self._on_alert = on_alert
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

    def start(self, path: Path) -> None:
        """Let it follow the recording at `path`."""
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
                self._show(value)
        except KestrelError as error:
            self.error = error
        except OSError:
            return  # closed by us

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
    return run_live(
        rest[0],
        pack,
        mode=spec.mode,
        workers=options.workers,
        limits=spec.limits,
        max_lag_s=options.max_lag_s,
        on_alerts=line.tell,
        wait=line.wait,
        delay_per_epoch_s=options.delay_per_epoch_s,
    )


class _Line:
    """The engine's end of the line to its recorder.

    If the recorder goes away without sealing, the engine goes on to the end of what was committed, and nobody hears.
    """

    def __init__(self, connection: Connection[Any, Any], bell: int) -> None:
        self._connection, self._bell = connection, bell
        self._cut = False

    def tell(self, alerts: Sequence[Alert]) -> None:
        """Send alerts to the recorder."""
        try:
            self._connection.send(("alerts", list(alerts)))
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
