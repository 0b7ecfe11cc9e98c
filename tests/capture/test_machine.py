from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from kestrel_lab.capture import CaptureConfig, bcc_module, checks, headers, host
from kestrel_lab.capture.entities import Images
from kestrel_lab.capture.records import KINDS, RINGS, SOURCES, TASK
from kestrel_lab.capture.source import ALWAYS, hooks_for
from kestrel_lab.capture.start_state import proc_texts, read_start_state
from kestrel_lab.capture.syscalls import OPENAT, OPENAT2, SETSID, SOCKETCALL, dispatch_entries, named_calls
from kestrel_lab.schema.actions import ACTIONS
from kestrel_lab.schema.build import GrowingSegment
from kestrel_lab.schema.columns import PRECISION_ITERATOR, PRECISION_PROCFS
from kestrel_lab.schema.errors import PermissionMissingError, UnavailableError, UsageError
from kestrel_lab.schema.schema import BUILTIN


def tree(folder: Path, *files: str) -> Path:
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(str(folder.name))
    return folder


@pytest.fixture
def debian(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Headers split in two, as Debian ships them; every path is taken for safe."""
    monkeypatch.delenv("BCC_KERNEL_SOURCE", raising=False)
    monkeypatch.setattr(headers, "SOURCES", tmp_path / "src")
    monkeypatch.setattr(headers, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(headers, "_checked", lambda path: path)
    monkeypatch.setattr(headers.os, "uname", lambda: type("U", (), {"release": "none"}))
    tree(tmp_path / "src/linux-headers-6.1.0-9-common", "include/linux/kconfig.h", "both", "arch/x86/a")
    tree(tmp_path / "src/linux-headers-6.1.0-9-amd64", "include/generated/autoconf.h", "both", "arch/x86/b")
    return tmp_path


def test_split_headers_are_overlaid_once(debian: Path) -> None:
    found = headers.find_headers()
    assert found == debian / "cache/headers-6.1.0-9-amd64"
    assert (found / "both").read_text() == "linux-headers-6.1.0-9-amd64"
    assert (found / "arch/x86/a").is_symlink()
    assert (found / "include/generated/autoconf.h").exists()
    assert (debian / "cache").stat().st_mode & 0o777 == 0o700
    before = (found / "both").lstat().st_mtime_ns
    assert headers.find_headers() == found
    assert (found / "both").lstat().st_mtime_ns == before
    assert [p.name for p in (debian / "cache").iterdir()] == [found.name]


def test_looking_builds_nothing(debian: Path) -> None:
    assert headers.find_headers(build=False) == debian / "cache/headers-6.1.0-9-amd64"
    assert not (debian / "cache").exists()


def test_no_headers_says_what_to_install(debian: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(headers, "SOURCES", debian / "none")
    with pytest.raises(UnavailableError, match="apt-get install linux-headers"):
        headers.find_headers()


def test_headers_that_others_can_change_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "headers"
    folder.mkdir()
    folder.chmod(0o777)
    monkeypatch.setenv("BCC_KERNEL_SOURCE", str(folder))
    with pytest.raises(PermissionMissingError, match="others can change"):
        headers.find_headers()
    check = checks.check_headers()
    assert not check.ok
    assert "BCC_KERNEL_SOURCE" in check.mend


def test_a_named_folder_must_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BCC_KERNEL_SOURCE", str(tmp_path / "none"))
    with pytest.raises(UnavailableError, match="no such folder"):
        headers.find_headers()


@pytest.mark.parametrize(
    ("files", "kind"), [(("bcc/__init__.py", "bcc/libbcc.py"), "real"), (("bcc/__init__.py",), "impostor")]
)
def test_the_impostor_is_told_from_the_real_bcc(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: tuple[str, ...], kind: str
) -> None:
    tree(tmp_path, *files)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.delitem(sys.modules, "bcc", raising=False)
    found, place = bcc_module.locate_bcc()
    assert found == kind
    assert place.startswith(str(tmp_path / "bcc"))
    if kind == "impostor":
        with pytest.raises(UnavailableError, match="nothing to do with BPF"):
            bcc_module.import_bcc()
        assert "pip uninstall bcc" in checks.check_bcc().mend


def test_a_missing_bcc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.delitem(sys.modules, "bcc", raising=False)
    assert bcc_module.locate_bcc() == ("missing", "")
    with pytest.raises(UnavailableError, match="python3-bpfcc"):
        bcc_module.import_bcc()


def test_capture_is_imported_without_bcc() -> None:
    code = "import sys, kestrel_lab.capture as c; c.probe(); sys.exit('bcc' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_check_says_what_its_lack_costs() -> None:
    found = checks.probe()
    assert [c.name for c in found] == ["permission", "machine", "BTF", "bcc", "headers", "tracefs", "cgroup v2"]
    for check in found:
        assert check.found
        assert check.costs
        assert check.ok or check.mend


def test_the_first_missing_requirement_is_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def lacking(name: str) -> checks.Check:
        return checks.Check(name, False, "nothing", "all", "mend it")

    monkeypatch.setattr(checks, "CHECKS", [lambda: lacking("permission"), lambda: lacking("BTF")])
    with pytest.raises(PermissionMissingError, match="mend it"):
        checks.require()
    monkeypatch.setattr(checks, "CHECKS", [lambda: lacking("BTF")])
    with pytest.raises(UnavailableError, match="BTF"):
        checks.require()


def test_hooks_follow_from_actions() -> None:
    process = {"sched_process_fork", "sched_process_exec", "sched_process_exit"}
    rings = {"io_uring_submit_req", "io_uring_complete"}
    assert hooks_for(frozenset(ALWAYS)) == process
    assert hooks_for(frozenset({10})) == process | rings | {"sys_exit"}
    assert hooks_for(frozenset({12})) == process | rings | {"sys_enter", "sys_exit"}
    assert hooks_for(frozenset({22})) == process | {"sys_exit", "io_uring_complete"}
    assert hooks_for(frozenset({21})) == process | {"inet_sock_set_state"}
    assert hooks_for(frozenset({BUILTIN.action_code("process", "kill")})) == process | {"signal_generate"}
    modification = BUILTIN.action_code("file", "modification")
    assert hooks_for(frozenset({modification})) == process | {"writeback_mark_inode_dirty"}
    assert hooks_for(frozenset({29})) == process | {"sock_send_length", "net_dev_queue"}
    assert hooks_for(frozenset({27})) == process | {"inet_sock_set_state", "sys_exit", "io_uring_complete"}
    assert len(hooks_for(frozenset(a.code for a in ACTIONS))) == 13


def test_one_number_means_two_calls() -> None:
    entries = dispatch_entries()
    assert entries[257] & 0xFFFF == OPENAT
    assert entries[437] == OPENAT2 | OPENAT2 << 16
    assert entries[102] == SOCKETCALL << 16
    assert entries[38] >> 16
    assert entries[112] & 0xFFFF == SETSID
    calls = named_calls()
    renameat, fchmod = calls[entries[264] & 0xFFFF], calls[entries[91] & 0xFFFF]
    none = 255
    assert [*renameat[:10]] == [BUILTIN.action_code("file", "rename"), 1, 0, 2, 1, 3, none, none, none, none]
    assert [*fchmod[:10]] == [BUILTIN.action_code("file", "chmod"), 1, 0, none, none, none, 0, none, 1, none]
    assert all(len(call) == 16 for call in calls.values())
    assert max(calls) < 96  # OPS
    assert all(nr < 512 for nr in entries)


def test_records_are_whole_words_and_every_source_has_a_name() -> None:
    for kind in KINDS:
        assert kind.record.itemsize % 8 == 0
        assert kind.pages & (kind.pages - 1) == 0
    assert len(set(SOURCES)) == len(SOURCES)
    assert RINGS["exec0"].record.itemsize < 2048  # two fit a ring of one page


def test_a_folder_that_is_no_cgroup(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no cgroup v2 folder"):
        host.cgroup_scope(tmp_path)


@pytest.mark.parametrize(("pages", "words"), [({"exec9": 1}, "no ring 'exec9'"), ({"net": 3}, "power of two")])
def test_ring_sizes_are_checked(pages: dict[str, int], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        CaptureConfig(ring_pages=pages)


def test_texts_of_a_process_from_proc() -> None:
    """Field 22 of stat is the start in ticks since boot; another start time is another process."""
    ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    start = ticks * 1_000_000_000 // os.sysconf("SC_CLK_TCK") + 1
    found = proc_texts(os.getpid(), start)
    assert found is not None
    assert found[0] == os.readlink("/proc/self/exe").encode()
    assert found[1] == os.getcwd().encode()
    assert found[2] == tuple(Path("/proc/self/cmdline").read_bytes()[:-1].split(b"\0"))
    assert proc_texts(os.getpid(), start - 10**9) is None
    assert proc_texts(2**22 + 1, start) is None


class Tasks:
    """A task iterator that sees one process exec between its two runs."""

    def __init__(self, before: int, after: int) -> None:
        self._seqs = [before, after]

    def __call__(self) -> npt.NDArray[np.void]:
        ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
        rows = np.zeros(1, TASK)
        who = rows["who"]
        who["start"] = ticks * 1_000_000_000 // os.sysconf("SC_CLK_TCK") + 1
        who["tgid"], who["exec_seq"] = os.getpid(), self._seqs.pop(0)
        who["comm"] = np.frombuffer(b"old name".ljust(16, b"\0"), "u1")
        return rows


@pytest.mark.parametrize(("after", "precision"), [(4, PRECISION_PROCFS), (5, PRECISION_ITERATOR)])
def test_texts_that_may_be_of_a_later_image_are_not_taken(after: int, precision: int) -> None:
    images = Images(bytes(16), GrowingSegment(0))
    assert read_start_state(Tasks(4, after), images, 10**18) == 1
    entities = images.segment.entities
    assert entities.column("precision")[1] == precision
    assert (len(entities.lists("args")[1]) > 0) == (precision == PRECISION_PROCFS)
    name = images.segment.strings("entity:name").values(1, 2)[0]
    assert (name == b"old name") == (precision == PRECISION_ITERATOR)
