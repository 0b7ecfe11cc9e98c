"""Figures of a recorder that runs, in the OpenMetrics format: https://prometheus.io/docs/specs/om/open_metrics_spec/."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from kestrel_lab.schema.errors import UsageError

if TYPE_CHECKING:
    from kestrel_lab.session import RecordProgress

LOOPBACK = "127.0.0.1"
_COUNTS = ("seen", "filtered", "lost_ring", "received", "recursion")


class RecorderFigures(Collector):
    """The figures of the last progress that was told."""

    def __init__(self) -> None:
        self.now: RecordProgress | None = None

    def collect(self) -> Iterator[Metric]:
        """Yield every metric; none before there is anything to tell."""
        now = self.now
        if now is None:
            return
        events = CounterMetricFamily("kestrel_events", "Events by source and by word of the ledger.",
                                     labels=("source", "count"))  # fmt: skip
        for source, ledger in now.sources.items():
            for name, count in asdict(ledger).items():
                if name in _COUNTS:
                    events.add_metric((source, name), count)
        hooks = GaugeMetricFamily("kestrel_hook_attached", "Whether a hook is attached.", labels=("hook",))
        for hook, attached in now.hooks.items():
            hooks.add_metric((hook,), int(attached))
        yield events
        yield hooks
        for name, text, value in (
            ("kestrel_events_written", "Events committed to the recording.", now.written),
            ("kestrel_alerts", "Alerts raised.", now.alerts),
            ("kestrel_segments_expired", "Segments removed to keep the recording small.", now.expired),
        ):
            yield CounterMetricFamily(name, text, value=value)
        for name, text, figure in (
            ("kestrel_recording_bytes", "Bytes of events, strings and processes on disk.", now.bytes),
            ("kestrel_recording_seconds", "How long the recorder has recorded.", now.seconds),
            ("kestrel_rules_up", "Whether the rules run.", int(now.epochs_behind is not None)),
            ("kestrel_rules_epochs_behind", "Committed epochs that the rules have not seen.", now.epochs_behind or 0),
        ):
            yield GaugeMetricFamily(name, text, value=figure)


@contextmanager
def serving(port: int) -> Iterator[Callable[[RecordProgress], None]]:
    """Serve figures on a port of the loopback address; gives what is to be called with each progress.

    Raises:
        UsageError: if the port is taken.
    """
    figures, registry = RecorderFigures(), CollectorRegistry()
    registry.register(figures)
    try:
        server, thread = start_http_server(port, LOOPBACK, registry)
    except OSError as error:
        raise UsageError(f"port {port} cannot be served ({error.strerror})", do="choose another one") from error

    def told(now: RecordProgress) -> None:
        figures.now = now

    try:
        yield told
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
