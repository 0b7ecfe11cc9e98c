"""Alerts as lines and tables."""

from __future__ import annotations

from collections.abc import Sequence

from kestrel_lab.cli import output, units
from kestrel_lab.schema.alert import Alert
from kestrel_lab.schema.values import Value

COLUMNS = ("time (UTC)", "severity", "rule", "events", "what")

#: Captured fields that name what an event did, the most telling first.
_TELLING = (
    "destination.ip",
    "file.path",
    "process.command_line",
    "process.args",
    "process.executable",
    "process.name",
)
_LONGEST = 100
_SHOWN_IDS = 4


def row(alert: Alert) -> tuple[str, ...]:
    """Return one alert as the cells of `COLUMNS`."""
    return (
        units.clock(alert.ts_wall_ns),
        alert.severity.label,
        alert.rule_name,
        event_ids(alert.event_ids),
        subject(alert) + (" (degraded)" if alert.degraded else ""),
    )


def show(alerts: Sequence[Alert], fmt: output.Format) -> None:
    """Write alerts to stdout in the order given."""
    if fmt == "ndjson":
        for alert in alerts:
            output.emit(alert.to_json())
    elif alerts:
        output.table(COLUMNS, [row(alert) for alert in alerts])


def line(alert: Alert) -> str:
    """Return one alert as a line for people, safe on a terminal."""
    time, severity, rule, ids, what = row(alert)
    return output.printable(f"{time}  {severity.upper():8}  {rule}  [{ids}]  {what}")


def event_ids(ids: Sequence[int | None]) -> str:
    """Return event ids as text: `12 15 -`, where `-` is a missing event; long lists are cut."""
    words = ["-" if i is None else str(i) for i in ids]
    if len(words) > _SHOWN_IDS:
        words[1 : -_SHOWN_IDS + 1] = ["…"]
    return " ".join(words)


def subject(alert: Alert) -> str:
    """Return what the alert's last event was about, from its captures; the join keys where nothing was captured."""
    for captured in filter(None, reversed(alert.captures)):
        name = _text(captured.get("process.name"))
        telling = next((_text(captured[f]) for f in _TELLING if captured.get(f) is not None), "")
        if telling:
            port = _text(captured.get("destination.port"))
            telling += f":{port}" if port and captured.get("destination.ip") is not None else ""
            return _cut(telling if not name or telling == name else f"{name}: {telling}")
    return _cut(" ".join(_text(key) for key in alert.join_keys))


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _text(value: Value) -> str:
    if value is None:
        return ""
    if isinstance(value, (list, tuple)):
        return " ".join(_text(item) for item in value)
    return output.printable(value) if isinstance(value, bytes) else str(value)
