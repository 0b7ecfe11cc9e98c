from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from kestrel_lab.capture import bcc_module, checks, headers, host
from kestrel_lab.capture.records import KINDS, RINGS, SOURCES
from kestrel_lab.capture.source import ALWAYS, hooks_for
from kestrel_lab.capture.syscalls import OPEN, RENAMEAT, SOCKETCALL, dispatch_entries
from kestrel_lab.schema.actions import ACTIONS
from kestrel_lab.schema.errors import PermissionMissingError, UnavailableError, UsageError


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
    assert hooks_for(frozenset(ALWAYS)) == process
    assert hooks_for(frozenset({10})) == process | {"sys_exit"}
    assert hooks_for(frozenset({12})) == process | {"sys_enter", "sys_exit"}
    assert hooks_for(frozenset({22})) == process | {"sys_exit"}
    assert hooks_for(frozenset({21})) == process | {"inet_sock_set_state"}
    assert len(hooks_for(frozenset(a.code for a in ACTIONS))) == 6


def test_one_number_means_two_calls() -> None:
    entries = dispatch_entries()
    assert entries[257] & 0xFFFF == OPEN
    assert entries[437] == OPEN | OPEN << 16
    assert entries[102] == SOCKETCALL << 16
    assert entries[38] >> 16
    assert entries[264] == RENAMEAT
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
