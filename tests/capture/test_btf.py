from __future__ import annotations

import struct
from pathlib import Path

import pytest

from kestrel_lab.capture.btf import Btf
from kestrel_lab.capture.offsets import CORE, SOCKETS, resolve_offsets
from kestrel_lab.schema.errors import UnavailableError


class Maker:
    """Writes BTF: types are numbered from 1 in the order they are added."""

    def __init__(self) -> None:
        self.text, self.types, self.count = b"\0", b"", 0

    def name(self, text: str) -> int:
        if not text:
            return 0
        at = len(self.text)
        self.text += text.encode() + b"\0"
        return at

    def add(self, kind: int, name: str, ref: int, tail: bytes = b"", count: int = 0, flag: int = 0) -> int:
        self.types += struct.pack("<III", self.name(name), flag << 31 | kind << 24 | count, ref) + tail
        self.count += 1
        return self.count

    def struct(self, name: str, *members: tuple[str, int, int], flag: int = 0, kind: int = 4) -> int:
        tail = b"".join(struct.pack("<III", self.name(n), t, bits) for n, t, bits in members)
        return self.add(kind, name, 64, tail, len(members), flag)

    def data(self) -> bytes:
        head = struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(self.types), len(self.types), len(self.text))
        return head + self.types + self.text


@pytest.fixture
def maker() -> Maker:
    return Maker()


def test_members_are_found_through_typedefs_and_unnamed_unions(maker: Maker) -> None:
    number = maker.add(1, "int", 4, b"\0" * 4)
    inner = maker.struct("", ("low", number, 0), ("high", number, 32))
    union = maker.struct("", ("whole", number, 0), ("", inner, 0), kind=5)
    const = maker.add(10, "", union)
    alias = maker.add(8, "alias_t", const)
    maker.struct("outer", ("first", number, 0), ("", alias, 64), ("bits", number, 3 << 24 | 136), flag=1)
    btf = Btf(maker.data())
    assert btf.offset("outer.first") == 0
    assert btf.offset("outer.high") == 12
    assert btf.offset("outer.bits") == 17
    assert btf.offset("outer.none") is None
    assert btf.offset("none.first") is None
    assert btf.offset("outer.first.deeper") is None


def test_every_kind_is_stepped_over(maker: Maker) -> None:
    for kind, tail, count in ((1, 4, 0), (2, 0, 0), (3, 12, 0), (6, 16, 2), (7, 0, 0), (12, 0, 0), (13, 24, 3),
                              (14, 4, 0), (15, 24, 2), (16, 0, 0), (17, 4, 0), (18, 0, 0), (19, 36, 3)):  # fmt: skip
        maker.add(kind, f"k{kind}", 0, b"\0" * tail, count)
    number = maker.add(1, "int", 4, b"\0" * 4)
    maker.struct("last", ("x", number, 0), ("y", number, 32))
    assert Btf(maker.data()).offset("last.y") == 4


def test_a_tracepoints_arguments_are_counted(maker: Maker) -> None:
    proto = maker.add(13, "", 0, struct.pack("<6I", 0, 0, 0, 0, 0, 0), 3)
    pointer = maker.add(2, "", proto)
    maker.add(8, "btf_trace_sched_process_exit", pointer)
    btf = Btf(maker.data())
    assert btf.tracepoint_args("sched_process_exit") == 2
    assert btf.tracepoint_args("none") == 0


def test_bit_fields_have_their_place_in_bits(maker: Maker) -> None:
    number = maker.add(1, "int", 4, b"\0" * 4)
    maker.struct("flags", ("one", number, 1 << 24 | 32), ("two", number, 1 << 24 | 33), flag=1)
    btf = Btf(maker.data())
    assert (btf.bit("flags.one"), btf.bit("flags.two"), btf.bit("flags.three")) == (32, 33, None)
    assert btf.bit("other.one") is None
    assert btf.offset("flags.two") == 4


def test_enumerators(maker: Maker) -> None:
    members = b"".join(struct.pack("<Ii", maker.name(name), value) for name, value in (("FIRST", 0), ("LAST", -3)))
    maker.add(6, "kinds", 4, members, 2)
    btf = Btf(maker.data())
    assert (btf.enumerator("kinds.FIRST"), btf.enumerator("kinds.LAST")) == (0, -3)
    assert (btf.enumerator("kinds.NONE"), btf.enumerator("others.FIRST")) == (None, None)


def test_a_helper_is_known_by_the_type_that_its_definition_makes(maker: Maker) -> None:
    maker.add(8, "btf_bpf_task_pt_regs", maker.add(2, "", maker.add(13, "", 0, struct.pack("<2I", 0, 0), 1)))
    btf = Btf(maker.data())
    assert btf.has_helper("bpf_task_pt_regs")
    assert not btf.has_helper("bpf_other")


@pytest.mark.parametrize("data", [b"", b"\0" * 64, b"\xeb\x9f" + b"\0" * 64])
def test_what_is_no_btf_is_refused(data: bytes) -> None:
    with pytest.raises(UnavailableError, match="BTF"):
        Btf(data)


def test_a_kernel_without_btf_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="CONFIG_DEBUG_INFO_BTF"):
        Btf.of_kernel(tmp_path / "none")


class Fake(Btf):
    """Knows every member but some."""

    def __init__(self, *missing: str, args: int = 2) -> None:
        self.missing, self.args = missing, args

    def offset(self, path: str) -> int | None:
        return None if path in self.missing else 8

    def has_helper(self, name: str) -> bool:
        return self.args == 2

    def bit(self, path: str) -> int | None:
        return None if path in self.missing else 34

    def enumerator(self, path: str) -> int | None:
        return 5

    def tracepoint_args(self, name: str) -> int:
        return self.args


def test_a_missing_member_disables_its_hooks_by_name() -> None:
    found = resolve_offsets(Fake("sock_common.skc_family", "sock.sk_err"))
    assert found.disabled == dict.fromkeys(SOCKETS.needed_by, ("sock_common.skc_family", "sock.sk_err"))
    assert "-DOFF_SK_FAMILY=0" in found.cflags()


def test_another_path_of_a_member_is_taken() -> None:
    found = resolve_offsets(Fake("dentry.d_name.len", "task_struct.start_boottime", args=1))
    assert found.disabled == {}
    assert {"-DEXIT_HAS_GROUP_DEAD=0", "-DHAS_TASK_REGS=0"} <= set(found.cflags())


def test_of_two_ways_to_list_mounts_one_is_missing_without_a_word() -> None:
    found = resolve_offsets(Fake("mount.mnt_instance"))
    assert found.disabled == {}
    assert not any(flag.startswith("-DOFF_MNT_INSTANCE") for flag in found.cflags())


def test_what_nothing_can_do_without_is_an_error() -> None:
    with pytest.raises(UnavailableError, match=r"mm_struct\.arg_start"):
        resolve_offsets(Fake(*CORE.paths["ARG_START"]))


def test_without_the_compat_member_the_macro_is_left_out() -> None:
    found = resolve_offsets(Fake("task_struct.thread_info.status"))
    assert not any("TI_STATUS" in flag for flag in found.cflags())
    assert "32-bit calls" in found.disabled
