from __future__ import annotations

import os
import subprocess

from kestrel_lab.capture import CaptureConfig, LiveSource
from kestrel_lab.schema.epoch import Epoch

from .support import capture


def test_every_segment_holds_the_processes_it_names() -> None:
    """A parent made in the first segment is known, under the same identity, in all that follow."""
    script = "i=0; while [ $i -lt 300 ]; do /bin/true child-$i; i=$((i+1)); done"

    def act(source: LiveSource) -> list[Epoch]:
        epochs = []
        child = subprocess.Popen(["sh", "-c", script, "long lived"])
        while child.poll() is None:
            epochs += source.poll(0.02)
        return epochs

    seen = capture(act, CaptureConfig(segment_rows=150, epoch_ns=10_000_000))
    assert len({epoch.segment.index for epoch in seen.epochs}) > 3
    indexes = [epoch.segment.index for epoch in seen.epochs]
    assert indexes == sorted(indexes)
    (mother,) = [e for e in seen.of("exec") if e["process.args"][-1:] == (b"long lived",)]
    children = [e for e in seen.of("exec") if e["process.args"][-1].startswith(b"child-")]
    assert [e["process.args"][-1] for e in children] == [b"child-%d" % i for i in range(300)]
    for child in children:
        assert child["process.parent.entity_id"] == mother["process.entity_id"]
        assert child["process.parent.args"] == mother["process.args"]
        assert child["process.parent.executable"] == mother["process.executable"]
    (end,) = seen.of("end", process__pid=mother["process.pid"])
    assert end["process.parent.pid"] == os.getpid()
    assert end["process.parent.args"]
    first, last = seen.epochs[0].segment, seen.epochs[-1].segment
    assert len(last.entities) < len(first.entities) + 1000  # the dead do not pile up


def test_epochs_keep_their_limits() -> None:
    def act(source: LiveSource) -> list[Epoch]:
        subprocess.run(["sh", "-c", "i=0; while [ $i -lt 200 ]; do /bin/true; i=$((i+1)); done"], check=True)
        return source.poll(1)

    seen = capture(act, CaptureConfig(epoch_rows=64))
    assert all(1 <= epoch.rows <= 64 for epoch in seen.epochs)
    assert [e.number for e in seen.epochs] == list(range(len(seen.epochs)))
    ids = [e.first_event_id for e in seen.epochs]
    assert ids == [1, *(e.last_event_id + 1 for e in seen.epochs[:-1])]
    for before, after in zip(seen.epochs, seen.epochs[1:], strict=False):
        assert after.event_time_ns == before.event_time_after_ns
        assert after.entity_count >= before.entity_count or after.segment is not before.segment
    assert all(e.ts_max_ns - e.ts_min_ns < 50_000_000 for e in seen.epochs)
