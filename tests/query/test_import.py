"""A file of events becomes a recording that is whole, sealed and the same every time."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path
from typing import Any

import pytest
import zstandard

from kestrel_lab.engine import Pack, pack_from_files
from kestrel_lab.query.importing import ImportReport, import_events, importer, lines
from kestrel_lab.recording import Recording, open_recording, repair, verify
from kestrel_lab.schema.errors import DamagedError, IncompatibleError, LimitError, UsageError
from kestrel_lab.schema.flat import Layout, source_of
from kestrel_lab.session import prove, replay
from tests.engine.support import toml
from tests.schema.flat.support import rows_of

EVENTS: list[dict[str, Any]] = [
    {"@timestamp": 1_000 - i, "event": {"category": ["process", "file"][: i % 3], "action": "a" * (i % 4)}, "n": i,
     "args": [str(i), 1.50, i % 5][: i % 4], "user.id": i % 7, "mixed": [i, str(i), True, None][i % 4],
     "u": 2**64 - 1 - i, "f": i / 3, "flag": i % 2 == 0, "source.ip": f"10.0.0.{i % 256}", "_id": f"e{i}"}
    for i in range(300)
]  # fmt: skip


def ndjson(events: list[dict[str, Any]] = EVENTS) -> bytes:
    return b"".join(json.dumps(event).encode() + b"\n" for event in events)


def run(data: bytes, out: Path, layout: Layout | None = None) -> ImportReport:
    file = out.with_suffix(".in")
    file.write_bytes(data)
    with open(file, "rb") as source:
        return import_events(source, out, layout)


@pytest.fixture
def small_epochs(monkeypatch: pytest.MonkeyPatch) -> None:
    from kestrel_lab.schema.flat import rows

    monkeypatch.setattr(rows, "SEGMENT_ROWS", 100)
    monkeypatch.setattr(importer, "EpochBuilder", lambda schema: rows.EpochBuilder(schema, 16))


@pytest.mark.usefixtures("small_epochs")
def test_the_recording_holds_what_the_file_did(tmp_path: Path) -> None:
    report = run(ndjson(), tmp_path / "a.krec")
    assert (report.lines, report.events, report.rejected, report.rejects) == (300, 300, 0, None)
    recording = open_recording(report.path)
    assert recording.end == "sealed"
    assert recording.info.schema == report.schema
    assert len({e.segment for e in recording.index}) == 3
    assert len(recording.index) == 19
    expected = source_of(EVENTS)
    assert expected.info.schema == report.schema
    assert rows_of(recording) == rows_of(expected)
    assert [r["kestrel.source_id"] for r in rows_of(recording)] == [b"e%d" % i for i in range(299, -1, -1)]
    assert verify(report.path).ok
    ledger = recording.ledger
    assert ledger is not None
    assert ledger.closes
    assert ledger.written == 300


def test_the_same_file_gives_the_same_recording(tmp_path: Path) -> None:
    one, two = run(ndjson(), tmp_path / "a.krec"), run(ndjson(), tmp_path / "b.krec")
    assert open_recording(one.path).info.recording_id == open_recording(two.path).info.recording_id
    other = run(ndjson(), tmp_path / "c.krec", Layout(unit="s"))
    assert open_recording(other.path).info.recording_id != open_recording(one.path).info.recording_id


@pytest.mark.parametrize("shape", ["gzip", "zstd", "pipe", "crlf", "bom", "spaced", "no last end"])
def test_other_shapes_of_the_same_file(shape: str, tmp_path: Path) -> None:
    data = ndjson()
    match shape:
        case "gzip":
            data = gzip.compress(data)
        case "zstd":
            data = zstandard.compress(data)
        case "crlf":
            data = data.replace(b"\n", b"\r\n")
        case "bom":
            data = b"\xef\xbb\xbf" + data
        case "spaced":
            data = b"\n  \n" + data.replace(b"\n", b" \n\n\t")
        case "no last end":
            data = data[:-1]
    if shape == "pipe":
        report = import_events(io.BytesIO(data), tmp_path / "a.krec")
    else:
        report = run(data, tmp_path / "a.krec")
    assert rows_of(open_recording(report.path)) == rows_of(source_of(EVENTS))


def test_numbers_in_texts_are_kept_as_they_were_written(tmp_path: Path) -> None:
    data = b'{"@timestamp":1,"a":1.50,"user.id":1e3,"c":[1.0,"x"]}\n{"@timestamp":2,"a":"x"}\n{"@timestamp":3,"a":-0}\n'
    rows = rows_of(open_recording(run(data, tmp_path / "a.krec").path))
    assert [r["a"] for r in rows] == [b"1.50", b"x", b"0"]
    assert rows[0]["user.id"] == b"1e3"
    assert rows[0]["c"] == (b"1.0", b"x")


BAD = {
    b"{": "broken JSON: it ends too early",
    b'{"a":1}x': "broken JSON: trailing characters (byte 8)",
    b"[1]": "it is no JSON object",
    b"3": "it is no JSON object",
    b'{"@timestamp":1,"a":NaN}': "broken JSON: invalid character (byte 20)",
    b'{"@timestamp":1,"a":"\\ud800","b":NaN}': "broken JSON: NaN is no number",
    b'{"@timestamp":1,"a":1e999}': "the number 1e999 is out of range",
    b'{"@timestamp":1,"a":"\xff"}': "it is not UTF-8 at byte 1",
    b'{"a":1}': "it has no `@timestamp`",
    b'{"@timestamp":1,"process.pid":"x"}': "`process.pid` is a field of type int, and 'x' is none",
    b'{"@timestamp":1,"a":' + b"[" * 5000 + b"]" * 5000 + b"}": "it is nested too deeply",
    b'{"@timestamp":1,"a":' + b'{"a":' * 150 + b"1" + b"}" * 151: "it is nested deeper than 100",
}


def test_bad_lines_are_told_and_kept(tmp_path: Path) -> None:
    good = b'{"@timestamp":1,"a":"\\ud800"}'
    report = run(b"\n".join([good, *BAD, good]), tmp_path / "a.krec")
    assert (report.lines, report.events, report.rejected) == (len(BAD) + 2, 2, len(BAD))
    assert [r.line for r in report.first_rejects] == list(range(2, 12))
    assert report.rejects == tmp_path / "a.krec.rejects.ndjson"
    assert report.rejects.stat().st_mode & 0o777 == 0o600
    kept = [json.loads(line) for line in report.rejects.read_bytes().splitlines()]
    assert [k["line"] for k in kept] == list(range(2, 2 + len(BAD)))
    assert [k["reason"] for k in kept] == list(BAD.values())
    assert [k["text"] for k in kept if isinstance(k["text"], str)] == [b.decode() for b in BAD if b"\xff" not in b]
    ledger = open_recording(report.path).ledger
    assert ledger is not None
    assert (ledger.seen, ledger.written, ledger.lost_user, ledger.closes) == (len(BAD) + 2, 2, len(BAD), True)


def test_a_line_that_is_too_long_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from kestrel_lab.query.importing import decode, rejects

    for module in (lines, decode, rejects):
        monkeypatch.setattr(module, "MAX_LINE", 1 << 10)
    good = b'{"@timestamp":1,"a":1}\n'
    report = run(good + b'{"@timestamp":1,"a":"' + b"x" * 5000 + b'"}\n' + good, tmp_path / "a.krec")
    assert (report.events, report.rejected, report.first_rejects[0].line) == (2, 1, 2)
    assert [r["a"] for r in rows_of(open_recording(report.path))] == [1, 1]


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "holds no events: it is empty"), (b"\n \n", "holds no events"),
        (b'[\n{"a":1}\n]', "none of 3 lines is an event; line 1: broken JSON: it ends too early"),
        (b'{"t":1}\n', "none of 1 lines is an event; line 1: it has no `@timestamp`"),
        (gzip.compress(ndjson(), mtime=0)[:100], "no whole gzip stream"),
    ],
    ids=["empty", "blank", "array", "no time", "cut"],
)  # fmt: skip
def test_nothing_to_import_leaves_nothing_behind(data: bytes, what: str, tmp_path: Path) -> None:
    with pytest.raises(DamagedError, match=what):
        run(data, tmp_path / "a.krec")
    assert [p.name for p in tmp_path.iterdir()] == ["a.in"]


def test_what_is_there_is_not_written_over(tmp_path: Path) -> None:
    run(ndjson(EVENTS[:2]), tmp_path / "a.krec")
    with pytest.raises(UsageError, match="the folder exists"):
        run(ndjson(), tmp_path / "a.krec")
    (tmp_path / "b.krec.rejects.ndjson").write_text("mine")
    with pytest.raises(UsageError, match="the reject file exists"):
        run(ndjson(), tmp_path / "b.krec")
    assert (tmp_path / "b.krec.rejects.ndjson").read_text() == "mine"
    assert not (tmp_path / "b.krec").exists()


def test_too_many_categories_are_refused(tmp_path: Path) -> None:
    with pytest.raises(LimitError, match="--category"):
        run(ndjson([{"@timestamp": 1, "event.category": str(n)} for n in range(256)]), tmp_path / "a.krec")
    assert not (tmp_path / "a.krec").exists()


def test_a_file_that_changes_meanwhile_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inner = importer._second_pass

    def changed(*args: Any) -> Any:
        (tmp_path / "a.in").write_bytes(ndjson().replace(b'"n": 5,', b'"n": 6,'))
        return inner(*args)

    monkeypatch.setattr(importer, "_second_pass", changed)
    with pytest.raises(UsageError, match="line 6 is not what it was a moment ago"):
        run(ndjson(), tmp_path / "a.krec")
    assert [p.name for p in tmp_path.iterdir()] == ["a.in"]


QUERIES = {
    "plain": 'process where user.id == "3" and f > 1.0',
    "any": "any where flag and n < 9",
    "address": 'any where cidrMatch(source.ip, "10.0.0.0/28")',
    "sequence": "sequence by user.id with maxspan=1s [file where true] [process where flag]",
}


def pack_for(recording: Recording) -> Pack:
    files = {f"{name}.toml": toml(name, query) for name, query in QUERIES.items()}
    return pack_from_files(files, schema=recording.info.schema)


@pytest.mark.slow
@pytest.mark.usefixtures("small_epochs")
def test_rules_run_on_it_and_workers_agree(tmp_path: Path) -> None:
    recording = open_recording(run(ndjson(), tmp_path / "a.krec").path)
    pack = pack_for(recording)
    found = replay(recording, pack)
    assert {a.rule_id for a in found.alerts} == set(QUERIES)
    assert replay(source_of(EVENTS), pack).digest == found.digest
    assert replay(recording, pack, mode="live", workers=2).digest == found.digest


@pytest.mark.slow
def test_the_proof_holds_on_it(tmp_path: Path) -> None:
    recording = open_recording(run(ndjson(), tmp_path / "a.krec").path)
    prove(recording, pack_for(recording)).check()


def test_a_damaged_import_is_repaired_with_its_schema(tmp_path: Path) -> None:
    report = run(ndjson(), tmp_path / "a.krec")
    repair(report.path, tmp_path / "b.krec")
    copy = open_recording(tmp_path / "b.krec")
    assert copy.info.schema == report.schema
    assert rows_of(copy) == rows_of(source_of(EVENTS))


def test_the_lock_is_checked(tmp_path: Path) -> None:
    report = run(ndjson(), tmp_path / "a.krec")
    lock = report.path / "schema.json"
    whole = lock.read_bytes()
    lock.write_bytes(whole.replace(b'"float"', b'"int"', 1))
    with pytest.raises(DamagedError, match="the schema lock is not the one that the manifest names"):
        open_recording(report.path)
    lock.write_bytes(whole[:-9])
    with pytest.raises(DamagedError, match="the schema lock is missing or damaged"):
        open_recording(report.path)
    lock.write_bytes(whole)
    manifest = report.path / "manifest.json"
    data = json.loads(manifest.read_bytes())
    data["schema"]["base"] = "00ff"
    manifest.write_text(json.dumps(data))
    with pytest.raises(IncompatibleError, match="has schema 00ff; this version has"):
        open_recording(report.path)
