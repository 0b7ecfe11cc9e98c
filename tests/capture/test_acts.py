"""What processes do to themselves and to one another, from raw records to fields."""

from __future__ import annotations

from typing import Any

import pytest

from kestrel_lab.capture.credentials import CAPABILITIES, capability_names
from kestrel_lab.capture.flags import OF_ACTS
from kestrel_lab.capture.records import ACT_HAS_TIME, ACT_PID_IS_GLOBAL
from kestrel_lab.schema.columns import PRECISION_UNSEEN
from tests.capture.support import STALE, act_record, exec_record, process_record
from tests.capture.test_epochs import build, rows


def acts(*records: Any) -> list[dict[str, Any]]:
    found = rows(*build([*records]))
    return [row for row in found if row["event.action"] not in (b"fork", b"exec", b"end")]


def test_a_target_that_is_known() -> None:
    (kill,) = acts(
        exec_record(1, b"victim\0-x\0", tgid=20, start=5),
        exec_record(2, b"killer\0"),
        act_record(3, "kill", args=(9,), target=(20, 5, 1)),
    )
    assert (kill["Target.process.pid"], kill["Target.process.command_line"]) == (20, b"victim -x")
    assert (kill["kestrel.signal"], kill["process.args"]) == (9, (b"killer",))
    assert "kestrel.ret" not in kill


def test_a_target_that_nothing_is_known_of_has_a_row_all_the_same() -> None:
    (epoch,) = build([exec_record(1, b"killer\0"), act_record(2, "kill", target=(77, 7, 3))])
    (kill,) = [row for row in rows(epoch) if row["event.action"] == b"kill"]
    ref = int(epoch.tables["process"].column("target")[1])
    entities = epoch.segment.entities
    assert (entities.column("pid")[ref], entities.column("precision")[ref]) == (77, PRECISION_UNSEEN)
    assert kill["Target.process.entity_id"] != kill["process.entity_id"]


@pytest.mark.parametrize(
    ("own", "present", "found"),
    [(10, 0, True), (3, 0, False), (3, ACT_PID_IS_GLOBAL, True), (0, 0, False)],
    ids=["in the initial namespace", "in another", "in another, but the number is global", "nobody knows"],
)
def test_a_pid_alone_is_a_process_where_it_means_one(own: int, present: int, found: bool) -> None:
    """In a pid namespace of its own a caller's numbers are not ours."""
    (write,) = acts(
        exec_record(1, b"victim\0", tgid=20, start=5),
        exec_record(2, b"caller\0", standing={"vpid": own}),
        act_record(3, "process_vm_writev", ret=8, pid=20, present=present),
    )
    assert write["Target.process.pid"] == 20
    assert ("Target.process.entity_id" in write) is found


def test_a_failed_act_and_the_ids_before_it() -> None:
    (change,) = acts(act_record(1, "uid_change", ret=-1, ids=(1, 2, 3, 4, 5, 6), ruid=1, suid=3, euid=5))
    assert (change["kestrel.ret"], change["event.outcome"]) == (-1, b"failure")
    names = ("real_user.id", "real_group.id", "saved_user.id", "saved_group.id", "user.id", "group.id")
    assert [change[f"kestrel.before.{name}"] for name in names] == [b"%d" % n for n in range(1, 7)]
    (other,) = acts(act_record(1, "uid_change"))
    assert not [name for name in other if name.startswith("kestrel.before")]


def test_flags_by_name_and_by_number_where_they_have_none() -> None:
    known = dict.fromkeys(OF_ACTS["unshare"].values())
    (act,) = acts(act_record(1, "unshare", args=(sum(OF_ACTS["unshare"]) | 1 << 20,)))
    assert act["kestrel.call_flags"] == (*known, b"0x100000")
    (none,) = acts(act_record(1, "setns", args=(5, 0)))
    assert "kestrel.call_flags" not in none


def test_an_address_is_no_failure_and_a_number_that_is_too_large_is_cut() -> None:
    (memory,) = acts(act_record(1, "memory_executable", args=(2**64 - 4096, 4096, 7)))
    assert (memory["kestrel.memory.address"], memory["event.outcome"]) == (2**64 - 4096, b"success")
    (write,) = acts(act_record(1, "process_vm_writev", ret=2**40))
    assert (write["kestrel.ret"], write["event.outcome"]) == (2**31 - 1, b"success")


def test_bytes_past_a_text_stay_out() -> None:
    epochs = build([act_record(1, "memfd_create", text=b"short", args=(0, 4)), process_record(2, "end")])
    (memfd, _) = rows(*epochs)
    assert (memfd["kestrel.name"], memfd["kestrel.call_flags"]) == (b"short", (b"hugetlb",))
    segment = epochs[0].segment
    for key in epochs[0].string_counts:
        assert all(bytes([STALE]) not in value for value in segment.strings(key).values(1, 99))


def test_capabilities() -> None:
    assert capability_names(0) == ()
    assert capability_names(1 << 21 | 1) == (b"CAP_CHOWN", b"CAP_SYS_ADMIN")
    assert capability_names(1 << 63) == (b"CAP_63",)
    assert (len(CAPABILITIES), CAPABILITIES[40]) == (41, b"CAP_CHECKPOINT_RESTORE")


def test_what_a_clock_was_to_be_set_to() -> None:
    valid = {"present": ACT_HAS_TIME, "action": "clock_change"}
    set_, past, unread, other = acts(
        act_record(1, args=(0, 1_700_000_000, 5), **valid),
        act_record(2, args=(1, 2**64 - 1, 0), ret=-22, **valid),
        act_record(3, "clock_change", args=(0, 3, 4)),
        act_record(4, args=(77, 1, 10**9), **valid),
    )
    assert (set_["kestrel.request"], set_["kestrel.clock_ns"]) == (b"realtime", 1_700_000_000 * 10**9 + 5)
    assert (past["kestrel.request"], past["event.outcome"]) == (b"monotonic", b"failure")
    assert other["kestrel.request"] == b"77"
    assert not any("kestrel.clock_ns" in act for act in (past, unread, other))


def test_a_program_that_could_not_be_run_is_a_file_name_and_no_name() -> None:
    failed, memfd = acts(
        act_record(1, "exec_failed", ret=-2, text=b"./none"), act_record(2, "memfd_create", ret=3, text=b"name")
    )
    assert (failed["process.Ext.filename"], failed["event.outcome"]) == (b"./none", b"failure")
    assert memfd["kestrel.name"] == b"name"
    assert "kestrel.name" not in failed
    assert "process.Ext.filename" not in memfd


def test_types_of_bpf_programs() -> None:
    known, new = acts(act_record(1, "bpf_load", args=(29,), ret=3), act_record(2, "bpf_load", args=(1000,), ret=-22))
    assert [act["kestrel.request"] for act in (known, new)] == [b"lsm", b"1000"]
