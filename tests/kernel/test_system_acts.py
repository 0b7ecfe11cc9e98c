"""What is done to the system: modules, BPF programs, clocks, io_uring; and programs that were not to be run. By the
64-bit system calls and by the 32-bit ones. No clock is set: what is asked for is refused.
"""

from __future__ import annotations

import errno
import os

import pytest

from kestrel_lab.schema.columns import FLAG_TRUNCATED_PATH

from .actors import CALLS, Story
from .support import Event

ACTOR = (
    CALLS
    + r"""
import struct
FULL = os.fsencode(sys.argv[1])
LONG = b"/" + b"l" * 300
NUMBERS = {
    "64": (call64, dict(execve=59, execveat=322, init=175, finit=313, delete=176, bpf=321, clock=227, day=164,
                        clock_adjust=305, adjust=159, ring=425)),
    "32": (call32, dict(execve=11, execveat=358, init=128, finit=350, delete=129, bpf=357, clock=264, day=79,
                        clock_adjust=343, adjust=124, ring=425, clock64=404)),
}
CODE = bytes.fromhex("b700000000000000 9500000000000000")  # mov r0, 0; exit

def program(kind, name):
    code, license = put(CODE), text(b"GPL")
    return put(struct.pack("IIQQIIQII16s", kind, 2, code, license, 0, 0, 0, 0, 0, name).ljust(128, b"\0"))

def acts(abi, call, nr):
    os.chdir(FULL)
    module = os.open(FULL + b"/" + abi.encode() + b".ko", os.O_CREAT | os.O_RDWR)
    wide = abi == "64"
    time = put(struct.pack("qq" if wide else "ii", 1_700_000_000, 5))
    day = put(struct.pack("qq" if wide else "ii", 1_700_000_000, 7))
    setting = put(struct.pack("I", 0x0100 | 0x2000).ljust(256, b"\0"))
    reading = put(bytes(256))
    got = dict(
        exec=[call(nr["execve"], text(b"./no program\n"), 0, 0), call(nr["execveat"], -100, text(LONG), 0, 0, 0)],
        modules=[call(nr["finit"], module, text(b"a=1"), 3), call(nr["init"], 0, 0, text(b"")),
                 call(nr["delete"], text(b"no_module"), 0o4000)],
        bpf=[call(nr["bpf"], 5, program(1, b"a_filter"), 128), call(nr["bpf"], 5, program(99, b"none"), 128),
             call(nr["bpf"], 0, program(1, b"a_map"), 128)],
        ring=[call(nr["ring"], 4, put(bytes(120))), call(nr["ring"], 0, put(bytes(120)))],
    )
    os.setresuid(1001, 1001, 1001)
    got["clock"] = [
        call(nr["clock"], 0, time), call(nr["day"], day, 0), call(nr["clock_adjust"], 0, setting),
        call(nr["adjust"], setting), call(nr["clock"], 1, put(struct.pack("qq", -1, -1))),
    ]
    call(nr["adjust"], reading)
    if not wide:
        got["clock"].append(call(nr["clock64"], 0, put(struct.pack("qq", 1 << 33, 9))))
    return got

for abi, (call, nr) in NUMBERS.items():
    child(abi, lambda: acts(abi, call, nr))
tell()
"""
)
ABIS = pytest.mark.parametrize("abi", ["64", "32"])


class Calls(Story):
    """The story, and what its calls gave."""

    def gave(self, abi: str, kind: str) -> list[int]:
        """Return what calls gave."""
        found: list[int] = self.told[abi + " gave"][kind]
        return found


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Calls:
    return Calls(tmp_path_factory.mktemp("story"), ACTOR)


def rets(events: list[Event]) -> list[int]:
    return [event["kestrel.ret"] for event in events]


@ABIS
def test_programs_that_could_not_be_run(story: Calls, abi: str) -> None:
    events = story.acts(abi, "exec_failed")
    assert rets(events) == story.gave(abi, "exec") == [-errno.ENOENT, -errno.ENAMETOOLONG]
    assert [e["process.Ext.filename"] for e in events] == [b"./no program\n", b"/" + b"l" * 254]
    assert [e["kestrel.flags"] for e in events] == [0, FLAG_TRUNCATED_PATH]
    assert {e["event.outcome"] for e in events} == {b"failure"}
    assert {e["process.executable"] for e in events} == {os.readlink("/proc/self/exe").encode()}


@ABIS
def test_modules(story: Calls, abi: str) -> None:
    loads, (removal,) = story.acts(abi, "load_module"), story.acts(abi, "unload_module")
    assert rets([*loads, removal]) == story.gave(abi, "modules")
    assert all(ret < 0 for ret in rets(loads))
    by_file, by_memory = loads
    assert by_file["file.path"] == os.fsencode(story.folder / f"{abi}.ko")
    assert by_file["file.inode"] == os.stat(story.folder / f"{abi}.ko").st_ino
    assert by_file["kestrel.call_flags"] == (b"ignore_modversions", b"ignore_vermagic")
    assert "file.path" not in by_memory
    assert (removal["kestrel.name"], removal["kestrel.call_flags"]) == (b"no_module", (b"nonblock",))
    assert {e["event.category"] for e in (*loads, removal)} == {(b"driver",)}


@ABIS
def test_bpf_programs(story: Calls, abi: str) -> None:
    done, refused = story.acts(abi, "bpf_load")
    assert rets([done, refused]) == story.gave(abi, "bpf")[:2]
    assert done["kestrel.ret"] > 0 > refused["kestrel.ret"]
    assert [(e["kestrel.request"], e["kestrel.name"]) for e in (done, refused)] == [
        (b"socket_filter", b"a_filter"), (b"99", b"none"),
    ]  # fmt: skip


@ABIS
def test_clocks(story: Calls, abi: str) -> None:
    events = story.acts(abi, "clock_change")
    assert rets(events) == story.gave(abi, "clock")
    second = 1_700_000_000
    wanted = [
        (b"realtime", second * 10**9 + 5), (b"realtime", second * 10**9 + 7000), (b"realtime", None),
        (b"realtime", None), (b"monotonic", None),
    ]  # fmt: skip
    if abi == "32":
        wanted.append((b"realtime", (1 << 33) * 10**9 + 9))
    assert [(e["kestrel.request"], e.get("kestrel.clock_ns")) for e in events] == wanted
    assert {e["event.outcome"] for e in events} == {b"failure"}


@ABIS
def test_rings(story: Calls, abi: str) -> None:
    events = story.acts(abi, "io_uring_setup")
    assert rets(events) == story.gave(abi, "ring")
    assert rets(events)[1] == -errno.EINVAL
