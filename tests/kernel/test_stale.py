from __future__ import annotations

from pathlib import Path
from unittest import mock

from kestrel_lab.capture import CaptureConfig, LiveSource
from kestrel_lab.capture.ring import Ring, Words
from kestrel_lab.schema.epoch import Epoch
from kestrel_lab.schema.schema import BUILTIN

from .support import capture, own_cgroup, run_in, settle

SECRET = b"S3CRET"


def new_texts(epoch: Epoch, since: dict[str, int]) -> bytes:
    """Return every byte of text that the dictionaries got since."""
    keys = [key for table in (*epoch.tables, "entity") for key in BUILTIN.dictionary_keys(table)]
    texts = [t for key in keys for t in epoch.segment.strings(key).values(max(since.get(key, 1), 1), 1 << 30)]
    return b"\0".join(texts)


def test_bytes_of_earlier_records_never_reach_a_row(tmp_path: Path) -> None:
    raw: list[bytes] = []
    drain = Ring.drain

    def watched(self: Ring) -> tuple[Words, bool]:
        start = int(self._consumer[0])
        count = (int(self._producer[0]) - start) // (self.kind.words * 8)
        raw.append(self._span(start % self.size // 8, count * self.kind.words).tobytes())
        return drain(self)

    epochs: list[Epoch] = []
    counts: dict[str, int] = {}
    long = SECRET.decode() * 30
    fresh = f"cd {tmp_path}; : > $0; mv $0 b; rm b"

    def act(source: LiveSource) -> None:
        for i in range(30):
            run_in(cgroup, "/bin/true", long)
            run_in(cgroup, "sh", "-c", ': > "$0"; mv "$0" "$0+"; rm "$0+"', str(tmp_path / f"{long[:100]}-{i}"))
            source.poll(0)
        settle(source)
        counts.update(source._builder.segment.string_counts())
        raw.clear()
        for i in range(40):
            run_in(cgroup, "/bin/true", f"{i}")
            run_in(cgroup, "sh", "-c", fresh, f"a{i}")
            epochs.extend(source.poll(0))
        epochs.extend(settle(source))

    pages = {"exec0": 2, "file0": 1, "proc": 1}
    with own_cgroup() as cgroup, mock.patch.object(Ring, "drain", watched):
        seen = capture(act, CaptureConfig(ring_pages=pages, cgroup=cgroup))
    assert any(SECRET in part for part in raw), "the rings did not come round: nothing was tested"
    assert len([epoch for epoch in epochs if "file" in epoch.tables and "process" in epoch.tables]) > 0
    for epoch in epochs:
        assert SECRET not in new_texts(epoch, counts)
    assert seen.ledger.closes
