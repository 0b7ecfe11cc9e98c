from __future__ import annotations

from typing import Any

from kestrel_lab.capture.config import CaptureConfig
from kestrel_lab.capture.epochs import EpochBuilder
from kestrel_lab.capture.order import Order
from kestrel_lab.capture.ring import Words
from kestrel_lab.schema.access import python_values, resolve
from kestrel_lab.schema.columns import FLAG_RELATIVE_PATH, FLAG_TRUNCATED_ARGS, PRECISION_UNSEEN
from kestrel_lab.schema.epoch import Epoch, SourceInfo
from kestrel_lab.schema.fields import FIELDS

from .support import exec_record, file_record, net_record, process_record

INFO = SourceInfo("t", {"host.os.type": "linux"})
Made = tuple[int, Words]


def build(records: list[Made], builder: EpochBuilder | None = None, rows: int = 65_536) -> list[Epoch]:
    builder = builder or EpochBuilder(CaptureConfig(), bytes(16))
    order = Order(10**9, rows, 32 << 20)
    for ring, words in records:
        order.add(ring, words)
    order.advance(2**62)
    epochs = []
    while pieces := order.cut(flush=True):
        epochs.append(builder.build(pieces, lambda _: ()))
    return epochs


def rows(*epochs: Epoch) -> list[dict[str, Any]]:
    out = []
    for epoch in epochs:
        for table, data in epoch.tables.items():
            names = [f.name for f in FIELDS if table in f.tables and not f.name.startswith("host.")]
            columns = {name: python_values(resolve(INFO, epoch, table, name)) for name in names}
            for i in range(len(data)):
                out.append({n: v[i] for n, v in columns.items() if v[i] is not None})
    return sorted(out, key=lambda r: int(r["event.sequence"]))


def test_rings_become_one_order_over_all_tables() -> None:
    epochs = build([
        file_record(30, "open", b"/c"),
        exec_record(20, b"x\0y z\0", exe=b"/bin/x", cwd=b"/w", filename=b"./x"),
        process_record(40, "end", status=0x0300),
        process_record(10, "fork", exec_seq=0),
        net_record(25, "connection_attempted", b"\x7f\0\0\1", b"\x0a\0\0\1", (0, 80), ret=1),
    ])  # fmt: skip
    found = rows(*epochs)
    assert [r["event.action"] for r in found] == [b"fork", b"exec", b"connection_attempted", b"open", b"end"]
    assert [r["event.sequence"] for r in found] == [1, 2, 3, 4, 5]
    assert {r["process.pid"] for r in found} == {10}
    assert {r["process.args"] for r in found[1:]} == {(b"x", b"y z")}
    assert found[1]["process.Ext.filename"] == b"./x"
    assert found[4]["process.exit_code"] == 3
    assert (found[3]["file.path"], found[3]["file.inode"]) == (b"/c", 7)
    assert epochs[0].ts_min_ns == 10
    assert epochs[0].ts_max_ns == 40


def test_stale_bytes_stay_out() -> None:
    """The records of these tests are full of 0xA5 wherever nothing was written."""
    epochs = build([
        file_record(1, "open", b"/a"), file_record(2, "rename", b"/d", b"o", b"/d", b"n"),
        exec_record(3, b"x\0"), process_record(4, "end"),
        file_record(5, "deletion", b"", b"/" + b"long" * 100),
    ])  # fmt: skip
    texts = [
        text
        for key in epochs[0].string_counts
        for text in epochs[0].segment.strings(key).values(1, 1000)
    ]  # fmt: skip
    assert not any(b"\xa5" in text for text in texts)
    found = rows(*epochs)
    assert (found[1]["file.Ext.original.path"], found[1]["file.path"]) == (b"/d/o", b"/d/n")
    assert found[4]["file.path"] == b"/" + b"long" * 100


def test_records_of_two_widths_in_one_epoch() -> None:
    found = rows(*build([file_record(i, "open", b"/" + b"p" * i) for i in (1, 100, 9, 250)]))
    assert [len(r["file.path"]) for r in found] == [2, 10, 101, 251]


def test_what_could_not_be_resolved_says_so() -> None:
    (row,) = rows(*build([file_record(1, "deletion", b"", b"name")]))
    assert row["file.path"] == b"name"
    assert row["kestrel.flags"] & FLAG_RELATIVE_PATH


def test_arguments_that_could_not_be_read() -> None:
    ring, words = exec_record(1, b"x\0y\0")
    from kestrel_lab.capture.records import KINDS

    KINDS[ring].view(words)["args_len"] = 0
    (epoch,) = build([(ring, words)])
    assert "process.args" not in rows(epoch)[0]
    assert epoch.segment.entities.column("truncated")[-1] == FLAG_TRUNCATED_ARGS


def test_an_empty_argument_is_an_argument() -> None:
    (row,) = rows(*build([exec_record(1, b"x\0\0\0")]))
    assert row["process.args"] == (b"x", b"", b"")


def test_the_first_act_of_an_unknown_process_makes_an_image() -> None:
    epochs = build([file_record(1, "open", b"/a", comm=b"mystery"), file_record(2, "open", b"/b", comm=b"mystery")])
    found = rows(*epochs)
    assert {r["process.name"] for r in found} == {b"mystery"}
    assert epochs[0].entity_count == 2
    assert epochs[0].segment.entities.column("precision")[1] == PRECISION_UNSEEN
    assert epochs[0].segment.entities.column("first_event_id")[1] == 1


def test_a_result_of_nobody_has_no_user() -> None:
    (row,) = rows(*build([
        net_record(1, "connection_result", b"\x7f\0\0\1", b"\x7f\0\0\1", (5, 80), ret=-111, tgid=0, start=0, exec_seq=0)
    ]))  # fmt: skip
    assert "user.id" not in row
    assert "process.pid" not in row
    assert (row["kestrel.ret"], row["event.outcome"]) == (-111, b"failure")


def test_users_are_decimal_text() -> None:
    (row,) = rows(*build([file_record(1, "open", b"/a", euid=1000, egid=4294967295, ruid=0, rgid=7)]))
    names = ("user.id", "group.id", "process.real_user.id", "process.real_group.id")
    assert [row[n] for n in names] == [b"1000", b"4294967295", b"0", b"7"]


def test_accept_turns_source_and_destination() -> None:
    local, remote = bytes([1, 1, 1, 1]), bytes([2, 2, 2, 2])
    (row,) = rows(*build([net_record(1, "connection_accepted", local, remote, (80, 5000))]))
    assert (row["source.ip"], row["source.port"]) == (b"2.2.2.2", 5000)
    assert (row["destination.ip"], row["destination.port"]) == (b"1.1.1.1", 80)
    assert row["network.direction"] == b"ingress"


def test_segments_are_rolled_and_ids_go_on() -> None:
    builder = EpochBuilder(CaptureConfig(segment_rows=4), bytes(16))
    records = [exec_record(1, b"mother\0", tgid=10)]
    records += [exec_record(i, b"child-%d\0" % i, tgid=10 + i, creator=(10, 1, 1)) for i in range(2, 12)]
    epochs = build(records, builder, rows=2)
    assert [e.segment.index for e in epochs] == [0, 0, 1, 1, 2, 2]
    assert [e.first_event_id for e in epochs] == [1, 3, 5, 7, 9, 11]
    found = rows(*epochs)
    assert {r["process.parent.args"] for r in found[1:]} == {(b"mother",)}
    assert len({r["process.parent.entity_id"] for r in found[1:]}) == 1
