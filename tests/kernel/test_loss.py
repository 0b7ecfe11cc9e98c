from __future__ import annotations

import os
import subprocess
from pathlib import Path

from kestrel_lab.capture import CaptureConfig, LiveSource
from kestrel_lab.schema.columns import PRECISION_UNSEEN
from kestrel_lab.schema.epoch import Epoch
from kestrel_lab.schema.schema import BUILTIN

from .support import capture, own_cgroup

STORM = 'echo $$ > "$1/cgroup.procs"; i=0; while [ $i -lt $2 ]; do /bin/true storm-$i; i=$((i+1)); done'


def storm(cgroup: Path, count: int) -> None:
    subprocess.run(["sh", "-c", STORM, "sh", str(cgroup), str(count)], check=True)


def test_a_ring_of_one_page_loses_exactly_what_the_gap_map_says() -> None:
    with own_cgroup() as cgroup:

        def act(source: LiveSource) -> list[Epoch]:
            storm(cgroup, 150)
            epochs = source.poll(0)
            storm(cgroup, 50)
            return [*epochs, *source.poll(0.1)]

        seen = capture(act, CaptureConfig(cgroup=cgroup, ring_pages={"exec0": 1}))
    generated = 200
    written = len(seen.of("exec"))
    losses = [gap for gap in seen.gaps if gap.cause == "lost_ring"]
    assert 0 < written < 20
    assert sum(gap.count for gap in losses) == generated - written
    assert {gap.source for gap in losses} == {"exec0"}
    assert all(gap.ts_from_ns < gap.ts_to_ns and gap.count > 0 for gap in losses)
    assert seen.ledger.closes
    assert seen.ledger.lost_ring == generated - written
    assert len(seen.of("fork")) == generated
    assert len(seen.of("end")) == generated + 2  # and the two shells that came in from outside


def test_a_lost_exec_leaves_no_stale_arguments() -> None:
    with own_cgroup() as cgroup:
        config = CaptureConfig(cgroup=cgroup, ring_pages={"exec0": 1})
        seen = capture(lambda _: storm(cgroup, 50), config)
    written = {e["process.pid"] for e in seen.of("exec")}
    ends = [e for e in seen.of("end") if e["process.name"] == b"true"]
    lost = [e for e in ends if e["process.pid"] not in written]
    assert lost
    for end in lost:
        assert end["precision"] == PRECISION_UNSEEN
        assert "process.args" not in end
        assert "process.executable" not in end
        assert end["process.parent.name"] in (b"sh", b"dash", b"bash")


def test_outside_the_scope_nothing_is_counted(tmp_path: Path) -> None:
    with own_cgroup() as cgroup:
        seen = capture(lambda _: subprocess.run(["sh", "-c", f"/bin/true; : > {tmp_path}/x"], check=True),
                       CaptureConfig(cgroup=cgroup))  # fmt: skip
    assert seen.ledger.seen == 0
    assert seen.epochs == []


def test_a_scope_holds_its_descendants() -> None:
    with own_cgroup() as cgroup:
        inner = cgroup / "inner"
        inner.mkdir()
        seen = capture(lambda _: storm(inner, 3), CaptureConfig(cgroup=cgroup))
        inner.rmdir()
    assert len(seen.of("exec")) == 3


def test_what_is_pushed_down_is_filtered_and_counted(tmp_path: Path) -> None:
    wanted = frozenset({BUILTIN.action_code("file", "creation")})
    paths = [tmp_path / f"f{i}" for i in range(20)]

    def act(_: LiveSource) -> None:
        script = "".join(f": > '{p}'; : >> '{p}'; " for p in paths)
        subprocess.run(["sh", "-c", 'echo $$ > "$1/cgroup.procs"; eval "$2"', "sh", str(cgroup), script], check=True)

    with own_cgroup() as cgroup:
        seen = capture(act, CaptureConfig(actions=wanted, cgroup=cgroup))
    assert [e["file.path"] for e in seen.of("creation")] == [bytes(p) for p in paths]
    assert seen.of("open") == []
    assert seen.of("end")  # never pushed down
    assert seen.ledger.filtered == len(paths)
    assert seen.ledger.closes


def test_the_filter_can_be_changed_while_it_runs(tmp_path: Path) -> None:
    def act(source: LiveSource) -> None:
        subprocess.run(["sh", "-c", f": > '{tmp_path}/first'"], check=True)
        source.set_actions(None)
        subprocess.run(["sh", "-c", f": > '{tmp_path}/second'"], check=True)
        source.set_actions(frozenset())
        subprocess.run(["sh", "-c", f": > '{tmp_path}/third'"], check=True)

    seen = capture(act, CaptureConfig(actions=frozenset()))
    own = [e["file.path"] for e in seen.of("creation") if e["file.path"].startswith(bytes(tmp_path))]
    assert own == [bytes(tmp_path / "second")]


def test_the_recorders_own_files_are_filtered(tmp_path: Path) -> None:
    def act(_: LiveSource) -> None:
        for i in range(10):
            (tmp_path / f"own-{i}").write_bytes(b"x")
        (tmp_path / "own-0").rename(tmp_path / "own-10")
        (tmp_path / "own-10").unlink()

    seen = capture(act)
    own = [e for e in seen.events() if e.get("process.pid") == os.getpid() and "file.path" in e]
    assert {e["event.action"] for e in own} <= {b"content_hash"}, "its image is told of as any other's"
    assert seen.ledger.filtered >= 12
    assert seen.ledger.closes
