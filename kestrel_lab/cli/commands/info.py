"""`kestrel-lab info`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kestrel_lab.cli import output, units
from kestrel_lab.cli.options import RECORDING, format_option

if TYPE_CHECKING:
    from kestrel_lab.recording import Recording


@click.command("info")
@click.argument("recording", type=RECORDING)
@format_option()
def command(recording: Path, fmt: output.Format) -> None:
    """Say what RECORDING holds, and what was lost.

    Reads no events, so it is instant. With `--format ndjson` it is exactly one object; the ledger's words are among
    its keys, null where the recording was cut before they were known.

    \b
    Examples:
      kestrel-lab info case.krec
      kestrel-lab info case.krec --format ndjson | jq '{seen, lost_ring, written}'
    """
    from kestrel_lab.recording import open_recording

    found = describe(open_recording(recording))
    if fmt == "ndjson":
        output.emit(found)
    else:
        output.facts([(name, _text(value)) for name, value in found.items()])


def describe(source: Recording) -> dict[str, Any]:
    """Return what a recording holds as one JSON object."""
    from kestrel_lab.cli import ledger
    from kestrel_lab.schema.epoch import Ledger

    index = source.index
    counts = ledger.words(source.ledger) if source.ledger else {field.name: None for field in fields(Ledger)}
    return {
        "recording": str(source.path),
        "complete": source.complete,
        "end": source.end,
        "missing": source.missing,
        **_origin(source),
        **_times(source),
        "epochs": len(index),
        "segments": len({entry.segment for entry in index}),
        "events": sum(entry.rows for entry in index),
        **counts,
        "gaps": _gaps(source),
        "packs": [
            {"from_event_id": use.from_event_id, "pack": use.pack_hash, "files": len(files)}
            for use, files in source.packs
        ],
        **_captured(source),
        "contents": len(source.contents),
        "live_alerts": len(source.live_alerts),
        "skips": len(source.skips),
        "exhausted": len(source.exhausted),
    }


def _origin(source: Recording) -> dict[str, Any]:
    from kestrel_lab.schema.mark import mark_of

    facts: Mapping[str, Any] = source.manifest.get("facts", {})
    version, mark = source.manifest["format"], mark_of(source.info, facts)
    return {
        "recording_id": source.info.recording_id,
        "format": f"{version['major']}.{version['minor']}",
        "schema": source.info.schema.fingerprint,
        "host": source.info.host.get("host.name"),
        "kernel": facts.get("kernel"),
        "boot_id": source.info.boot_id,
        **({"imported": facts["import"]} if "import" in facts else {}),
        **({"synthetic": dict(mark)} if mark is not None else {}),
    }


def _times(source: Recording) -> dict[str, Any]:
    if not source.index:
        return {"first_event": None, "last_event": None, "seconds": 0.0}
    first, last = source.index[0], source.index[-1]
    offset = first.clock_wall_ns - first.clock_boot_ns
    return {
        "first_event": units.wall(first.ts_min_ns + offset),
        "last_event": units.wall(last.ts_max_ns + offset),
        "seconds": round((last.ts_max_ns - first.ts_min_ns) / 1e9, 3),
    }


def _captured(source: Recording) -> dict[str, Any]:
    """Return what was not captured all the time, and the filters."""
    from kestrel_lab.schema.captured import captured_throughout

    captured = captured_throughout(source.captures)
    if captured is None:
        return {}
    missing = [action.name for action in source.info.schema.actions if action.code not in captured]
    return {"not_captured": missing, "filters": sorted({text for use in source.captures for text in use.filters})}


def _gaps(source: Recording) -> dict[str, int]:
    """Return the missing events by cause; -1 where a gap of unknown size is among them."""
    out: Counter[str] = Counter()
    for gap in source.gaps:
        out[gap.cause] = -1 if gap.count < 0 or out[gap.cause] < 0 else out[gap.cause] + gap.count
    return dict(out)


def _text(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return units.count(value)
    if isinstance(value, dict):
        return ", ".join(f"{name} {_text(part)}" for name, part in value.items()) or "none"
    if isinstance(value, list):
        return "; ".join(_text(part) for part in value) or "none"
    return str(value)
