"""What is executed is hashed, and kept if that is asked for: images, scripts, memfds, what has no name any more."""

from __future__ import annotations

import errno
import json
import os
import stat
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from kestrel_lab.recording import open_recording, read_content, verify

from .actors import Story
from .support import Event, joining, own_cgroup

ACTOR = r"""
import json, os, shutil, subprocess, sys, time

folder, told = sys.argv[1], {}

def copy(name, extra):
    data = open("/bin/sleep", "rb").read() + extra
    with open(f"{folder}/{name}", "wb") as file:
        file.write(data)
    os.chmod(f"{folder}/{name}", 0o755)
    return f"{folder}/{name}"

def run(name, *command, **more):
    with subprocess.Popen(command, **more) as child:
        told[name] = child.pid

run("image", copy("image", b"1"), "0")
run("again", folder + "/image", "0")
time.sleep(1)  # a link changes the file's time of change: who has ended by then cannot be asked any more
os.link(folder + "/image", folder + "/link")
run("link", folder + "/link", "0")
with open(folder + "/a script", "w") as file:
    file.write("#!/bin/sh\nexit 0\n")
os.chmod(folder + "/a script", 0o755)
run("script", folder + "/a script")
os.chdir(folder)
run("relative", "./a script")

with subprocess.Popen([copy("removed", b"2"), "0.5"]) as child:
    told["removed"] = child.pid
    os.unlink(folder + "/removed")
fd = os.memfd_create("hidden")
os.write(fd, open("/bin/sleep", "rb").read() + b"3")
run("memfd", f"/proc/self/fd/{fd}", "0.5", pass_fds=[fd])

brief = os.memfd_create("brief")
os.write(brief, open("/bin/true", "rb").read() + b"7")
run("brief", f"/proc/self/fd/{brief}", pass_fds=[brief])
with subprocess.Popen([copy("renamed", b"6"), "0.5"]) as child:
    told["renamed"] = child.pid
    os.rename(folder + "/renamed", folder + "/other name")
    os.chmod(folder + "/other name", 0o700)
path = copy("replaced", b"4")
with subprocess.Popen([path, "0"]) as child:
    told["replaced"] = child.pid
    os.unlink(path)
    copy("replaced", b"5")
for word in subprocess.check_output(["ldd", "/bin/sleep"], text=True).split():
    if word.startswith("/"):
        os.makedirs(folder + os.path.dirname(word), exist_ok=True)
        shutil.copy(word, folder + word)
os.chroot(folder)
os.makedirs("/bin", exist_ok=True)
os.rename("/image", "/bin/inner")
run("inner", "/bin/inner", "0.5")
with open("/told", "w") as file:
    json.dump(told, file)
"""


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    return Story(tmp_path_factory.mktemp("contents"), ACTOR)


def content(extra: bytes) -> bytes:
    return Path("/bin/sleep").read_bytes() + extra


def digest(data: bytes) -> bytes:
    return sha256(data).hexdigest().encode()


def hashes(story: Story, path: bytes) -> list[Event]:
    return [e for e in story.seen.of("content_hash") if e.get("file.path") == path]


def path_of(story: Story, name: str) -> bytes:
    return os.fsencode(story.folder / name)


def test_an_exec_tells_the_hash_of_its_image(story: Story) -> None:
    for child in ("image", "again", "link"):
        (event,) = story.acts(child, "exec")
        assert event["process.hash.sha256"] == digest(content(b"1"))
    (end,) = story.acts("image", "end")
    assert end["process.hash.sha256"] == digest(content(b"1")), "it is the process's, in all its events"


def test_a_file_is_told_of_once_for_each_path(story: Story) -> None:
    (event,) = hashes(story, path_of(story, "image"))
    assert event["process.pid"] == story.told["image"]
    assert (event["file.hash.sha256"], event["file.size"]) == (digest(content(b"1")), len(content(b"1")))
    assert (event["kestrel.content.role"], event["kestrel.content.kept"]) == (b"image", False)
    (exec_,) = story.acts("image", "exec")
    for name, column in (("file.inode", "inode"), ("file.Ext.device", "device")):
        assert event[name] == exec_[f"kestrel.executable.{column}"]
    assert event["event.outcome"] == b"success"
    assert event["ts"] > exec_["ts"]


def test_a_script_is_hashed_and_so_is_what_runs_it(story: Story) -> None:
    shell = os.path.realpath("/bin/sh")
    for child in ("script", "relative"):
        (exec_,) = story.acts(child, "exec")
        assert exec_["process.hash.sha256"] == digest(Path(shell).read_bytes())
    (event,) = hashes(story, path_of(story, "a script"))
    assert event["kestrel.content.role"] == b"script"
    assert event["file.hash.sha256"] == digest(b"#!/bin/sh\nexit 0\n")
    assert event["process.pid"] == story.told["script"]


def test_what_has_no_name_any_more_is_read_through_the_process(story: Story) -> None:
    for child, extra in (("removed", b"2"), ("memfd", b"3"), ("renamed", b"6")):
        (exec_,) = story.acts(child, "exec")
        assert exec_["process.hash.sha256"] == digest(content(extra)), child


def test_what_has_no_name_and_has_ended_is_read_through_who_holds_it(story: Story) -> None:
    (exec_,) = story.acts("brief", "exec")
    assert exec_["process.hash.sha256"] == digest(Path("/bin/true").read_bytes() + b"7")


def test_what_took_its_place_is_not_taken_for_it(story: Story) -> None:
    (exec_,) = story.acts("replaced", "exec")
    assert exec_.get("process.hash.sha256") in (None, digest(content(b"4")))
    for event in hashes(story, path_of(story, "replaced")):
        if "file.hash.sha256" in event:
            assert event["file.hash.sha256"] == digest(content(b"4"))
        else:
            assert event["kestrel.ret"] in (-errno.ESTALE, -errno.ENOENT)
            assert event["event.outcome"] == b"failure"


def test_in_another_root(story: Story) -> None:
    (exec_,) = story.acts("inner", "exec")
    assert exec_["process.hash.sha256"] == digest(content(b"1"))


def record(tmp_path: Path, *options: str, script: str) -> Path:
    with own_cgroup() as cgroup:
        command = [sys.executable, "-m", "kestrel_lab.cli.main", "record", "-o", str(tmp_path / "a.krec"), "--no-rules",
                   "--cgroup", str(cgroup), *options, "--", *joining(cgroup, "sh", "-c", script)]  # fmt: skip
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL, timeout=120)
    return tmp_path / "a.krec"


def listed(recording: Path) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", "kestrel_lab.cli.main", "contents", str(recording), "--format", "ndjson"]
    out = subprocess.run(command, check=True, stdout=subprocess.PIPE, timeout=60).stdout
    return [json.loads(line) for line in out.splitlines()]


def test_contents_are_kept_and_given_back(tmp_path: Path) -> None:
    tool = tmp_path / "tool"
    tool.write_bytes(content(b"kept"))
    tool.chmod(0o755)
    path = record(tmp_path, "--collect", script=f"{tool} 0.1; {tool} 0.1; true")
    found = open_recording(path)
    (one,) = (row for row in listed(path) if row["path"] == str(tool))
    assert one["kept"] is True
    assert one["sha256"] == digest(content(b"kept")).decode()
    assert b"".join(read_content(found, one["sha256"])) == content(b"kept")
    assert verify(path).ok
    command = [sys.executable, "-m", "kestrel_lab.cli.main", "contents", str(path), one["sha256"][:9]]
    subprocess.run([*command, "-o", str(tmp_path / "out")], check=True, timeout=60)
    assert (tmp_path / "out").read_bytes() == content(b"kept")
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o600


def test_nothing_is_read_if_that_is_not_wanted(tmp_path: Path) -> None:
    path = record(tmp_path, "--no-hash", "--collect", script="true")
    assert listed(path) == []
    assert not open_recording(path).contents
    assert not (path / "contents").exists()
