"""What cgroups are called, and which of them are containers."""

from __future__ import annotations

from pathlib import Path

import pytest

from kestrel_lab.capture import cgroups
from kestrel_lab.capture.cgroups import Cgroups, container_id

ID = b"0123456789abcdef" * 4
OTHER = b"f" * 64


@pytest.fixture
def trees(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Folders that stand for the v2 hierarchy and for that of pids, number 7."""
    unified, pids = tmp_path / "unified", tmp_path / "pids"
    (unified / "a" / "b").mkdir(parents=True)
    (pids / "c").mkdir(parents=True)
    mounts, own = tmp_path / "mountinfo", tmp_path / "cgroup"
    mounts.write_text(
        f"30 1 0:26 / {unified} rw - cgroup2 cgroup2 rw\n"
        f"31 1 0:27 / {pids} rw shared:9 - cgroup cgroup rw,pids\n"
        f"32 1 0:27 /part {tmp_path}/other rw - cgroup cgroup rw,pids\n"
        f"33 1 0:28 / {tmp_path}/cpu rw - cgroup cgroup rw,cpu,cpuacct\n"
    )
    own.write_text("7:pids:/c\n4:cpu,cpuacct:/\n1:name=systemd:/x:y\n0::/a\n")
    monkeypatch.setattr(cgroups, "MOUNTS", mounts)
    monkeypatch.setattr(cgroups, "OWN", own)
    return unified, pids


def test_paths_by_id(trees: tuple[Path, Path]) -> None:
    unified, pids = trees
    known = Cgroups()
    deep, root, c = ((unified / "a/b").stat().st_ino, unified.stat().st_ino, (pids / "c").stat().st_ino)
    assert known.path(deep, 0) == known.path(deep, c) == b"/a/b"
    assert known.path(root, 0) == b"/"
    assert known.path(root, c) == known.path(0, c) == b"/c"
    assert known.path(0, 0) is None


def test_new_ones_are_told_of_or_looked_for(trees: tuple[Path, Path]) -> None:
    unified, _ = trees
    known = Cgroups()
    known.add(0, 1 << 50, b"/told")
    known.add(3, 1 << 51, b"/of another hierarchy")
    assert known.path(1 << 50, 0) == b"/told"
    assert known.path(1 << 51, 0) is None
    (unified / "late").mkdir()
    assert known.path((unified / "late").stat().st_ino, 0) == b"/late"


def test_what_is_nowhere_is_looked_for_once(trees: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    known = Cgroups()
    scans = []
    monkeypatch.setattr(known, "scan", lambda: scans.append(1))
    assert [known.path(1 << 52, 0) for _ in range(5)] == [None] * 5
    assert len(scans) == 1


def test_a_machine_without_cgroups(trees: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "mountinfo").write_text("30 1 0:26 / / rw - ext4 /dev/a rw\n")
    assert Cgroups().path(5, 6) is None


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (b"/docker/" + ID, ID),
        (b"/system.slice/docker-" + ID + b".scope", ID),
        (b"/kubepods.slice/kubepods-pod1f.slice/cri-containerd-" + ID + b".scope", ID),
        (b"/machine.slice/libpod-" + ID + b".scope/container", ID),
        (b"/docker/" + ID + b"/docker/" + OTHER, OTHER),
        (b"/" + ID + b"0", None),
        (b"/" + ID.upper(), None),
        (b"/user.slice", None),
        (None, None),
    ],
    ids=["docker", "systemd", "containerd", "podman", "nested", "too long", "upper case", "none", "unknown"],
)
def test_ids_of_containers(path: bytes | None, found: bytes | None) -> None:
    assert container_id(path) == found
