from __future__ import annotations

from kestrel_lab.capture.entities import GRACE_NS, MAX_ANCESTORS, Images, ImageTexts, Key, file_name
from kestrel_lab.schema.build import GrowingSegment
from kestrel_lab.schema.fields import PRECISION_EVENT, PRECISION_UNSEEN
from kestrel_lab.schema.ids import entity_id

BOOT = bytes(16)
SHELL = ImageTexts(b"sh", b"/bin/sh", b"/tmp", [b"sh", b"-c", b"sh"])
TRUE = ImageTexts(b"true", b"/bin/true", b"/", [b"true"])


def made() -> Images:
    return Images(BOOT, GrowingSegment(0))


def row(images: Images, ref: int) -> dict[str, object]:
    images.flush()
    segment, entities = images.segment, images.segment.entities
    texts: dict[str, object] = {}
    for name in ("name", "executable", "working_directory"):
        code = int(entities.column(name)[ref])
        texts[name] = segment.strings(f"entity:{name}").values(code, code + 1)[0] if code else None
    offsets, codes = entities.lists("args")
    texts["args"] = [
        segment.strings("entity:args").values(c, c + 1)[0] for c in codes[offsets[ref] : offsets[ref + 1]].tolist()
    ]
    numbers = {n: int(entities.column(n)[ref]) for n in ("pid", "start_ns", "exec_seq", "parent", "precision")}
    return texts | numbers | {"entity_id": bytes(entities.column("entity_id")[ref])}


def at(images: Images, key: Key) -> dict[str, object]:
    ref = images.ref(key)
    assert ref is not None
    return row(images, ref)


def test_a_fork_carries_its_creators_texts_and_an_exec_brings_its_own() -> None:
    images = made()
    images.exec((5, 50, 1), (1, 1, 1), 1, SHELL, 10)
    images.fork((6, 60, 1), (5, 50, 1), 2, b"sh", 11)
    images.exec((6, 60, 2), (9, 9, 9), 3, TRUE, 12)
    shell, fork, true = at(images, (5, 50, 1)), at(images, (6, 60, 1)), at(images, (6, 60, 2))
    assert (fork["args"], fork["executable"], fork["name"]) == (shell["args"], b"/bin/sh", b"sh")
    assert (true["args"], true["executable"], true["precision"]) == ([b"true"], b"/bin/true", PRECISION_EVENT)
    assert fork["parent"] == true["parent"] == images.ref((5, 50, 1))  # frozen at fork, whatever real_parent says
    assert fork["entity_id"] == true["entity_id"] == entity_id(BOOT, 6, 60)


def test_a_lost_exec_uses_nothing_of_the_image_before() -> None:
    images = made()
    images.exec((5, 50, 1), (1, 1, 1), 1, SHELL, 10)
    images.fork((6, 60, 1), (5, 50, 1), 2, b"sh", 11)
    images.unseen((6, 60, 2), 3, b"what", 12)
    lost = at(images, (6, 60, 2))
    assert (lost["name"], lost["executable"], lost["args"]) == (b"what", None, [])
    assert (lost["precision"], lost["parent"]) == (PRECISION_UNSEEN, images.ref((5, 50, 1)))


def test_a_child_of_an_image_whose_exec_was_lost() -> None:
    images = made()
    images.exec((5, 50, 1), (1, 1, 1), 1, SHELL, 10)
    images.fork((6, 60, 7), (5, 50, 7), 2, b"other", 11)  # its creator had six more execs
    child = at(images, (6, 60, 7))
    assert (child["name"], child["args"]) == (b"other", [])
    assert child["parent"] == images.ref((5, 50, 7)) != images.ref((5, 50, 1))


def test_a_lost_fork_takes_the_parent_that_the_exec_names() -> None:
    images = made()
    images.exec((5, 50, 1), (1, 1, 1), 1, SHELL, 10)
    images.exec((6, 60, 2), (5, 50, 1), 2, TRUE, 11)
    assert at(images, (6, 60, 2))["parent"] == images.ref((5, 50, 1))


def test_a_pid_used_again_is_another_process() -> None:
    images = made()
    images.exec((5, 50, 1), (1, 1, 1), 1, SHELL, 10)
    images.exec((5, 90, 1), (1, 1, 1), 2, TRUE, 95)
    first, second = at(images, (5, 50, 1)), at(images, (5, 90, 1))
    assert first["entity_id"] != second["entity_id"]
    images.end((5, 50, 1), 96)  # late: it is not the one that runs now
    images.forget(96 + 2 * GRACE_NS)
    assert images.ref((5, 90, 1)) is not None


def test_nobody_is_row_zero() -> None:
    images = made()
    assert images.unseen((0, 0, 0), 1, b"", 1).ref == 0
    images.flush()
    assert images.ref((0, 0, 0)) is None


def test_the_dead_are_forgotten_after_their_grace() -> None:
    images = made()
    images.exec((5, 50, 1), (1, 1, 1), 1, SHELL, 10)
    images.exec((6, 60, 1), (5, 50, 1), 2, TRUE, 11)
    images.end((6, 60, 1), 1000)
    images.forget(1000 + GRACE_NS - 1)
    assert images.ref((6, 60, 1)) is not None
    images.forget(1000 + GRACE_NS)
    assert images.ref((6, 60, 1)) is None
    assert images.ref((5, 50, 1)) is not None


def test_a_new_segment_holds_the_living_and_their_ancestors() -> None:
    images = made()
    images.exec((5, 50, 1), (1, 1, 1), 1, SHELL, 10)
    images.fork((6, 60, 1), (5, 50, 1), 2, b"sh", 11)
    images.exec((6, 60, 2), (5, 50, 1), 3, TRUE, 12)
    images.exec((7, 70, 1), (1, 1, 1), 4, ImageTexts(b"gone", b"/gone", None, [b"only mine"]), 13)
    images.end((5, 50, 1), 20)
    images.end((7, 70, 1), 20)
    images.flush()
    images.forget(20 + GRACE_NS)
    before = at(images, (6, 60, 2))
    images.move(GrowingSegment(1))
    after = at(images, (6, 60, 2))
    assert {k: v for k, v in after.items() if k != "parent"} == {k: v for k, v in before.items() if k != "parent"}
    parent = after["parent"]
    assert isinstance(parent, int)
    assert row(images, parent)["args"] == list(SHELL.args)
    assert b"only mine" not in images.segment.strings("entity:args").values(1, 99)
    images.fork((8, 80, 2), (6, 60, 2), 9, b"true", 30)  # goes on as if nothing had happened
    assert at(images, (8, 80, 2))["args"] == [b"true"]


def test_a_line_of_daemons_does_not_grow_for_ever() -> None:
    images = made()
    for i in range(1, 4 * MAX_ANCESTORS):
        images.exec((i + 1, i + 1, 1), (i, i, 1), i, TRUE, i)
        images.end((i, i, 1), i)
        images.flush()
        images.forget(i + GRACE_NS)
        if i % 16 == 0:
            images.move(GrowingSegment(i))
    images.move(GrowingSegment(0))
    assert MAX_ANCESTORS <= len(images.segment.entities) <= MAX_ANCESTORS + 2


def test_process_name() -> None:
    assert file_name(b"/usr/bin/x", b"comm") == b"x"
    assert file_name(None, b"comm") == b"comm"
    assert file_name(None, b"") is None
