"""A synthetic recording is like any other, and says what it is wherever one may ask."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kestrel_lab.recording import RecordingWriter, open_recording, pack, repair, verify
from kestrel_lab.schema.errors import DamagedError, LimitError, UsageError
from kestrel_lab.schema.mark import mark_of
from kestrel_lab.session import Stop, synthesize
from kestrel_lab.synth import GENERATOR, SyntheticSource, SynthOptions, maker, world
from tests.synth.told import digest, epochs

OPTIONS = {"events": 9_000, "seed": 5, "gaps": 2, "alerts": 1, "fresh": 0.05, "duration_s": 600.0}
MARK = {"generator": GENERATOR, "processes": 900, "epoch_rows": 16_384, **OPTIONS}


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several segments of few events."""
    monkeypatch.setattr(world, "WINDOW", 1_000)
    monkeypatch.setattr(maker, "SEGMENT_ROWS", 2_500)


@pytest.mark.usefixtures("few")
def test_it_holds_what_was_made_verifies_and_its_ledger_closes(tmp_path: Path) -> None:
    report = synthesize(SynthOptions(**OPTIONS), tmp_path / "a.krec")
    found = open_recording(tmp_path / "a.krec")
    assert digest(found.epochs()) == digest(epochs(**OPTIONS))
    assert len({epoch.segment.index for epoch in found.epochs()}) > 2
    assert not verify(tmp_path / "a.krec").damage
    assert (found.complete, found.end) == (True, "sealed")
    ledger = found.ledger
    assert ledger is not None
    assert ledger == report.ledger
    assert ledger.closes
    assert (ledger.written, ledger.seen - ledger.written) == (9_000, sum(gap.count for gap in found.gaps))
    assert (len(found.gaps), report.events, report.interrupted) == (2, 9_000, False)


@pytest.mark.usefixtures("few")
def test_a_gap_lies_before_the_event_that_found_it(tmp_path: Path) -> None:
    synthesize(SynthOptions(**OPTIONS), tmp_path / "a.krec")
    found = open_recording(tmp_path / "a.krec")
    for gap, event_id in zip(found.gaps, (2_251, 6_751), strict=True):
        assert (gap.event_id, gap.source, gap.cause) == (event_id, "synthetic", "lost_ring")
        (epoch,) = (e for e in found.epochs() if e.first_event_id <= event_id <= e.last_event_id)
        assert epoch.ts_min_ns - 1_000_000 <= gap.ts_from_ns < gap.ts_to_ns <= epoch.ts_max_ns


def mark(path: Path) -> Any:
    recording = open_recording(path)
    assert recording.info.host["host.name"] == "synthetic"
    assert recording.info.recording_id.startswith("synthetic-")
    for epoch in recording.epochs():
        identities = epoch.segment.entities.column("entity_id")[1 : epoch.entity_count]
        assert all(bytes(identity).startswith(b"synth") for identity in identities)
    return mark_of(recording.info, recording.manifest["facts"])


def test_every_way_to_write_one_marks_it(tmp_path: Path) -> None:
    """Also with a writer that was told nothing, and in copies."""
    source = SyntheticSource(SynthOptions(**OPTIONS))
    synthesize(source.options, tmp_path / "a.krec")
    writer = RecordingWriter(tmp_path / "b.krec", source.info)
    for epoch in source.epochs():
        writer.commit(epoch)
    writer.close(None)
    repair(tmp_path / "a.krec", tmp_path / "c.krec")
    pack(tmp_path / "a.krec", tmp_path / "d.krec.tar.zst")
    assert [mark(path) for path in sorted(tmp_path.iterdir())] == [MARK] * 4
    manifest = json.loads((tmp_path / "a.krec/manifest.json").read_bytes())
    assert manifest["facts"]["synthetic"] == manifest["source"]["extra"]["synthetic"] == MARK


def test_a_mark_cannot_be_taken_away_unseen(tmp_path: Path) -> None:
    synthesize(SynthOptions(events=100), tmp_path / "a.krec")
    path = tmp_path / "a.krec/manifest.json"
    manifest = json.loads(path.read_bytes())
    del manifest["source"]["extra"]["synthetic"], manifest["facts"]["synthetic"]
    path.write_text(json.dumps(manifest))
    with pytest.raises(DamagedError, match="is not what was recorded"):
        open_recording(tmp_path / "a.krec")


def test_no_other_recording_has_the_mark() -> None:
    demo = open_recording(Path(__file__).parents[2] / "recordings/demo.krec.tar.zst")
    assert mark_of(demo.info, demo.manifest["facts"]) is None


def test_asked_to_stop_it_seals_what_there_is(tmp_path: Path) -> None:
    stop = Stop()
    seen: list[int] = []

    def tell(events: int, size: int) -> None:
        assert size > 0
        seen.append(events)
        stop.request()

    report = synthesize(SynthOptions(events=10_000_000), tmp_path / "a.krec", on_progress=tell, stop=stop)
    found = open_recording(tmp_path / "a.krec")
    assert 0 < seen[0] <= report.events < 10_000_000
    assert sum(epoch.rows for epoch in found.epochs()) == report.events
    assert found.complete
    assert found.ledger is not None
    assert (found.ledger.written, found.ledger.closes) == (report.events, True)


def test_a_full_disk_seals_what_there_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = RecordingWriter.commit

    def full(self: RecordingWriter, epoch: Any) -> None:
        if epoch.number == 3:
            raise LimitError("the disk is full")
        commit(self, epoch)

    monkeypatch.setattr(RecordingWriter, "commit", full)
    report = synthesize(SynthOptions(events=50_000, epoch_rows=1_000), tmp_path / "a.krec")
    assert report.failure is not None
    assert (report.events, report.ledger.written, report.ledger.closes) == (3_000, 3_000, True)
    assert open_recording(tmp_path / "a.krec").complete


def test_a_folder_that_exists_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "a.krec").mkdir()
    with pytest.raises(UsageError, match="exists"):
        synthesize(SynthOptions(events=10), tmp_path / "a.krec")
    assert not [*(tmp_path / "a.krec").iterdir()]


@pytest.mark.parametrize(("options", "words"), [
    ({"events": 0}, "events: 0 is not from 1"),
    ({"events": 10**11}, "is not from 1 to 10,000,000,000"),
    ({"seed": -1}, "seed: -1"),
    ({"seed": 2**63}, "seed"),
    ({"fresh": 0.26}, "fresh: 0.26 is not from 0 to 0.25"),
    ({"fresh": float("nan")}, "fresh: nan"),
    ({"duration_s": 0.5}, "duration: 0.5 s"),
    ({"duration_s": float("inf")}, "duration: inf s"),
    ({"events": 10**9, "duration_s": 10.0}, "do not fit into 10 s"),
    ({"epoch_rows": 65_537}, "epoch rows"),
    ({"processes": -1}, "processes: -1"),
    ({"events": 299, "processes": 100}, "cannot hold 100 processes"),
    ({"events": 330, "processes": 100, "alerts": 2}, "at least 332 events"),
    ({"alerts": 200_000, "events": 10**9}, "alerts"),
    ({"gaps": 11, "events": 10}, "gaps"),
])  # fmt: skip
def test_what_cannot_be_made_is_refused_in_one_message(options: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        SynthOptions(**options)


def test_what_just_fits_is_made() -> None:
    found = epochs(events=332, processes=100, alerts=2)
    assert sum(epoch.rows for epoch in found) == 332
    assert sum(epoch.rows for epoch in epochs(events=1, processes=0)) == 1
