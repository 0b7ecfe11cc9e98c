"""`kestrel-lab search`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kestrel_lab.cli import output
from kestrel_lab.cli.options import RECORDING, format_option, range_options
from kestrel_lab.cli.when import Place
from kestrel_lab.schema.errors import ExitCode

if TYPE_CHECKING:
    from kestrel_lab.recording import Recording
    from kestrel_lab.schema.alert import Alert
    from kestrel_lab.schema.values import Value
    from kestrel_lab.session import Search

#: Results whose events are looked up together.
_CHUNK = 4_096


@click.command("search")
@click.argument("recording", type=RECORDING)
@click.argument("query")
@range_options
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Print the first N results only.")
@format_option()
def command(
    recording: Path, query: str, start: Place | None, stop: Place | None, limit: int | None, fmt: output.Format
) -> int:
    """Print what the EQL query QUERY finds in RECORDING.

    An event query prints events, a sequence or a sample prints those of each result together, with the values it was
    joined by; `-` (null in ndjson) stands where a missing event does. Results come in the order of their last events.
    `--from` and `--to` choose by the last event which results are printed; the query always sees everything.

    The exit code is 0 whether or not anything is found, 3 if the recording is damaged, 5 if fuel ran out somewhere.

    \b
    Examples:
      kestrel-lab search case.krec 'process where process.name == "curl"'
      kestrel-lab search case.krec 'file where file.path : "/etc/*" | tail 5' --format ndjson
      kestrel-lab search case.krec 'sequence by process.entity_id [file where true] [network where true]' --limit 10
    """
    from kestrel_lab.cli.inputs import alert_window
    from kestrel_lab.recording import open_recording
    from kestrel_lab.session import search
    from kestrel_lab.session.replay import Window

    source = open_recording(recording)
    found = search(source, query, limit=limit, window=Window(**alert_window(source, start, stop)))
    show = _together if found.many else _events
    for text in show(source, found, fmt):
        click.echo(text)
    _note(found)
    if found.damage:
        return ExitCode.DAMAGED
    return ExitCode.LIMIT if found.exhausted else ExitCode.OK


def _events(source: Recording, found: Search, fmt: output.Format) -> Iterator[str]:
    from kestrel_lab.cli.events import Picked, by_id
    from kestrel_lab.cli.inputs import overlapping

    wanted = Picked(alert.last_event_id for alert in found.results)
    return (text for _, text in by_id(source.info, overlapping(source, wanted), wanted, fmt))


def _together(source: Recording, found: Search, fmt: output.Format) -> Iterator[str]:
    """Yield the text of each result of several events."""
    from kestrel_lab.cli.events import Picked, by_id
    from kestrel_lab.cli.inputs import overlapping

    write = _object if fmt == "ndjson" else _block
    for first in range(0, len(found.results), _CHUNK):
        part = found.results[first : first + _CHUNK]
        wanted = Picked(i for alert in part for i in alert.event_ids if i is not None)
        texts = dict(by_id(source.info, overlapping(source, wanted), wanted, fmt))
        yield from (write(alert, texts) for alert in part)


def _object(alert: Alert, texts: Mapping[int, str]) -> str:
    data = alert.to_json()
    events = ",".join("null" if i is None else texts[i] for i in alert.event_ids)
    keys = json.dumps(data["join_keys"], separators=(",", ":"))
    ids = json.dumps(data["event_ids"], separators=(",", ":"))
    return f'{{"event_ids":{ids},"join_keys":{keys},"events":[{events}]}}'


def _block(alert: Alert, texts: Mapping[int, str]) -> str:
    keys = ", ".join(_key(key) for key in alert.join_keys)
    lines = [f"{'-':>10}" if i is None else texts[i] for i in alert.event_ids]
    return "\n".join([f"by {keys}" if keys else "together", *lines, ""])


def _key(value: Value) -> str:
    return output.printable(value) if isinstance(value, bytes) else str(value)


def _note(found: Search) -> None:
    output.note_damage(found.damage)
    if found.evicted:
        output.note(f"{found.evicted} pending sequences were given up for want of room")
    if found.exhausted:
        output.note(f"the query ran out of fuel in {found.exhausted} epochs and found nothing in them")
    output.note(f"{len(found.results)} found")
