"""`kestrel-lab record` as a child process whose alerts are heard as they come."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, Queue
from threading import Event, Thread
from types import TracebackType
from typing import IO, Any

from kestrel_lab.schema.alert import Alert
from kestrel_lab.schema.errors import UnavailableError

#: The recorder ends by itself after this long, in case nobody stops it, seconds.
_LONGEST_S = 110
_START_S = 60.0
_SEAL_S = 60.0


@dataclass(frozen=True, slots=True)
class Heard:
    """An alert, and how long after its last event it was heard, ns."""

    alert: Alert
    delay_ns: int


class Recorder:
    """A recorder in a process of its own; a context manager that seals the recording when left."""

    def __init__(self, out: Path, rules: Path) -> None:
        self._command = [
            sys.executable, "-m", "kestrel_lab.cli.main", "record", "-o", str(out), "--rules", str(rules),
            "--alerts", "-", "--duration", str(_LONGEST_S),
        ]  # fmt: skip
        self._heard: Queue[Heard] = Queue()
        self._ready = Event()
        self._words: list[str] = []
        self.summary: dict[str, Any] = {}  #: its last ndjson object, once it has ended

    def __enter__(self) -> Recorder:
        """Start it and wait until it records.

        Raises:
            UnavailableError: if it ends instead; the message is its own.
        """
        # A session of its own: Ctrl-C reaches the demo, and the demo stops the recorder.
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            start_new_session=True,
        )  # fmt: skip
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._threads = [
            Thread(target=self._listen, args=(self._process.stdout,), daemon=True),
            Thread(target=self._watch, args=(self._process.stderr,), daemon=True),
        ]
        for thread in self._threads:
            thread.start()
        try:
            started = self._ready.wait(_START_S) and self._process.poll() is None
        except BaseException:  # Ctrl-C while it loads
            self._stop()
            raise
        if not started:
            self._stop()
            raise UnavailableError("the recorder did not start", detail="".join(self._words).rstrip())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it, and wait until the recording is sealed."""
        self._stop()

    def alerts(self, seconds: float) -> Iterator[Heard]:
        """Yield what is heard in the next `seconds`, as it comes."""
        ends = time.monotonic() + seconds
        while (left := ends - time.monotonic()) > 0:
            try:
                yield self._heard.get(timeout=left)
            except Empty:
                return

    def _stop(self) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(_SEAL_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for thread in self._threads:
            thread.join(5)

    def _listen(self, stdout: IO[str]) -> None:
        for line in stdout:
            data = json.loads(line)
            if "rule_id" in data:
                alert = Alert.from_json(data)
                now = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
                self._heard.put(Heard(alert, now - alert.ts_boot_ns))
            else:
                self.summary = data
        stdout.close()

    def _watch(self, stderr: IO[str]) -> None:
        for line in stderr:
            self._words.append(line)
            if line.startswith("recording into "):
                self._ready.set()
        self._ready.set()
        stderr.close()
