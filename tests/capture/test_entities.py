from __future__ import annotations

from pathlib import Path

import pytest

from kestrel_lab.capture.entities import GRACE_NS, MAX_ANCESTORS, Images, file_name
from kestrel_lab.capture.image import ImageTexts
from kestrel_lab.capture.leaders import entry_type
from kestrel_lab.capture.standing import Key, Standing
from kestrel_lab.capture.users import Names, parse_names
from kestrel_lab.schema.build import GrowingSegment
from kestrel_lab.schema.columns import ENTITY_COLUMNS, PRECISION_EVENT, PRECISION_UNSEEN
from kestrel_lab.schema.ids import entity_id
from kestrel_lab.schema.types import Physical

BOOT = bytes(16)
_NUMBERS = (Physical.U8, Physical.U32, Physical.U64, Physical.REF)
SHELL = ImageTexts(b"sh", b"/bin/sh", b"/tmp", [b"sh", b"-c", b"sh"])
TRUE = ImageTexts(b"true", b"/bin/true", b"/", [b"true"])


def made() -> Images:
    return Images(BOOT, GrowingSegment(0))


def row(images: Images, ref: int) -> dict[str, object]:
    images.flush()
    segment, entities = images.segment, images.segment.entities
    texts: dict[str, object] = {}
    for name in (c.name for c in ENTITY_COLUMNS if c.physical is Physical.CODE):
        code = int(entities.column(name)[ref])
        texts[name] = segment.strings(f"entity:{name}").values(code, code + 1)[0] if code else None
    offsets, codes = entities.lists("args")
    texts["args"] = [
        segment.strings("entity:args").values(c, c + 1)[0] for c in codes[offsets[ref] : offsets[ref + 1]].tolist()
    ]
    numbers = {c.name: int(entities.column(c.name)[ref]) for c in ENTITY_COLUMNS if c.physical in _NUMBERS}
    return texts | numbers | {"entity_id": bytes(entities.column("entity_id")[ref])}


def at(images: Images, key: Key) -> dict[str, object]:
    ref = images.ref(key)
    assert ref is not None
    return row(images, ref)


def test_a_fork_carries_its_creators_texts_and_an_exec_brings_its_own() -> None:
    images = made()
    images.exec((5, 50, 1), 1, SHELL, 10, Standing((1, 1, 1)))
    images.fork((6, 60, 1), (5, 50, 1), 2, b"sh", 11)
    images.exec((6, 60, 2), 3, TRUE, 12, Standing((9, 9, 9)))
    shell, fork, true = at(images, (5, 50, 1)), at(images, (6, 60, 1)), at(images, (6, 60, 2))
    assert (fork["args"], fork["executable"], fork["name"]) == (shell["args"], b"/bin/sh", b"sh")
    assert (true["args"], true["executable"], true["precision"]) == ([b"true"], b"/bin/true", PRECISION_EVENT)
    assert fork["parent"] == true["parent"] == images.ref((5, 50, 1))  # frozen at fork, whatever real_parent says
    assert fork["entity_id"] == true["entity_id"] == entity_id(BOOT, 6, 60)


def test_a_lost_exec_uses_nothing_of_the_image_before() -> None:
    images = made()
    images.exec((5, 50, 1), 1, SHELL, 10, Standing((1, 1, 1)))
    images.fork((6, 60, 1), (5, 50, 1), 2, b"sh", 11)
    images.unseen((6, 60, 2), 3, b"what", 12)
    lost = at(images, (6, 60, 2))
    assert (lost["name"], lost["executable"], lost["args"]) == (b"what", None, [])
    assert (lost["precision"], lost["parent"]) == (PRECISION_UNSEEN, images.ref((5, 50, 1)))


def test_a_child_of_an_image_whose_exec_was_lost() -> None:
    images = made()
    images.exec((5, 50, 1), 1, SHELL, 10, Standing((1, 1, 1)))
    images.fork((6, 60, 7), (5, 50, 7), 2, b"other", 11)  # its creator had six more execs
    child = at(images, (6, 60, 7))
    assert (child["name"], child["args"]) == (b"other", [])
    assert child["parent"] == images.ref((5, 50, 7)) != images.ref((5, 50, 1))


def test_a_lost_fork_takes_the_parent_that_the_exec_names() -> None:
    images = made()
    images.exec((5, 50, 1), 1, SHELL, 10, Standing((1, 1, 1)))
    images.exec((6, 60, 2), 2, TRUE, 11, Standing((5, 50, 1)))
    assert at(images, (6, 60, 2))["parent"] == images.ref((5, 50, 1))


def test_a_pid_used_again_is_another_process() -> None:
    images = made()
    images.exec((5, 50, 1), 1, SHELL, 10, Standing((1, 1, 1)))
    images.exec((5, 90, 1), 2, TRUE, 95, Standing((1, 1, 1)))
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
    images.exec((5, 50, 1), 1, SHELL, 10, Standing((1, 1, 1)))
    images.exec((6, 60, 1), 2, TRUE, 11, Standing((5, 50, 1)))
    images.end((6, 60, 1), 1000)
    images.forget(1000 + GRACE_NS - 1)
    assert images.ref((6, 60, 1)) is not None
    images.forget(1000 + GRACE_NS)
    assert images.ref((6, 60, 1)) is None
    assert images.ref((5, 50, 1)) is not None


def test_a_new_segment_holds_the_living_and_their_ancestors() -> None:
    images = made()
    images.exec((5, 50, 1), 1, SHELL, 10, Standing((1, 1, 1)))
    images.fork((6, 60, 1), (5, 50, 1), 2, b"sh", 11)
    images.exec((6, 60, 2), 3, TRUE, 12, Standing((5, 50, 1)))
    gone = ImageTexts(b"gone", b"/gone", None, [b"only mine"])
    images.exec((7, 70, 1), 4, gone, 13, Standing((1, 1, 1)))
    images.end((5, 50, 1), 20)
    images.end((7, 70, 1), 20)
    images.flush()
    images.forget(20 + GRACE_NS)
    before = at(images, (6, 60, 2))
    images.move(GrowingSegment(1))
    after = at(images, (6, 60, 2))
    links = {c.name for c in ENTITY_COLUMNS if c.physical is Physical.REF}
    assert {k: v for k, v in after.items() if k not in links} == {k: v for k, v in before.items() if k not in links}
    parent = after["parent"]
    assert isinstance(parent, int)
    assert row(images, parent)["args"] == list(SHELL.args)
    assert b"only mine" not in images.segment.strings("entity:args").values(1, 99)
    images.fork((8, 80, 2), (6, 60, 2), 9, b"true", 30)  # goes on as if nothing had happened
    assert at(images, (8, 80, 2))["args"] == [b"true"]


def test_a_line_of_daemons_does_not_grow_for_ever() -> None:
    images = made()
    for i in range(1, 4 * MAX_ANCESTORS):
        images.exec((i + 1, i + 1, 1), i, TRUE, i, Standing((i, i, 1)))
        images.end((i, i, 1), i)
        images.flush()
        images.forget(i + GRACE_NS)
        if i % 16 == 0:
            images.move(GrowingSegment(i))
    images.move(GrowingSegment(0))
    # besides the unknown entity and the last one itself, the entry leader of all: pid 1
    assert MAX_ANCESTORS <= len(images.segment.entities) <= MAX_ANCESTORS + 3


def test_process_name() -> None:
    assert file_name(b"/usr/bin/x", b"comm") == b"x"
    assert file_name(None, b"comm") == b"comm"
    assert file_name(None, b"") is None


def test_leaders_are_found_among_the_living_and_inherited_from_the_dead() -> None:
    images = made()
    images.exec((5, 50, 1), 1, SHELL, 10, Standing(sid=5, pgid=5))
    images.fork((6, 60, 1), (5, 50, 1), 2, b"sh", 11, Standing((5, 50, 1), sid=5, pgid=6))
    shell, child = at(images, (5, 50, 1)), at(images, (6, 60, 1))
    assert (shell["session_leader"], shell["group_leader"]) == (images.ref((5, 50, 1)),) * 2
    assert (child["session_leader"], child["group_leader"]) == (images.ref((5, 50, 1)), images.ref((6, 60, 1)))
    images.end((5, 50, 1), 20)
    images.exec((6, 60, 2), 3, TRUE, 21, Standing((1, 1, 1), sid=5, pgid=6))
    assert at(images, (6, 60, 2))["session_leader"] == images.ref((5, 50, 1))
    images.exec((7, 70, 1), 4, TRUE, 22, Standing((1, 1, 1), sid=5, pgid=99))  # nothing is known of it
    other = at(images, (7, 70, 1))
    assert (other["session_leader"], other["group_leader"]) == (0, 0)


def test_an_exec_knows_the_image_before_it_and_its_real_parent_now() -> None:
    images = made()
    images.exec((5, 50, 1), 1, SHELL, 10, Standing((1, 1, 1)))
    images.fork((6, 60, 1), (5, 50, 1), 2, b"sh", 11, Standing((5, 50, 1)))
    images.exec((6, 60, 2), 3, TRUE, 12, Standing((1, 1, 1)))
    fork, true = at(images, (6, 60, 1)), at(images, (6, 60, 2))
    assert (fork["previous"], true["previous"]) == (0, images.ref((6, 60, 1)))
    assert (fork["real_parent"], true["real_parent"]) == (images.ref((5, 50, 1)), images.ref((1, 1, 1)))
    assert fork["parent"] == true["parent"] == images.ref((5, 50, 1))


def test_what_a_process_stands_as_is_in_its_row() -> None:
    images = Images(BOOT, GrowingSegment(0), Names(Path("/does/not/exist")))
    standing = Standing(
        vpid=3, euid=0, egid=1, ruid=1000, rgid=100, login_uid=1000, audit_session=7, tty=136 << 20 | 2,
        interactive=False,
    )  # fmt: skip
    images.exec((5, 50, 1), 1, SHELL, 10, standing)
    images.exec((6, 60, 1), 2, SHELL, 10, Standing())
    shown, bare = at(images, (5, 50, 1)), at(images, (6, 60, 1))
    names = ("user_id", "group_id", "real_user_id", "real_group_id", "audit_user_id", "audit_session", "user_name")
    assert [shown[name] for name in names] == [b"0", b"1", b"1000", b"100", b"1000", b"7", None]
    assert [shown[name] for name in ("vpid", "tty_major", "tty_minor", "interactive")] == [4, 137, 3, 1]
    assert [bare[name] for name in names] == [None] * 7
    assert [bare[name] for name in ("vpid", "tty_major", "tty_minor", "interactive")] == [0] * 4


def test_a_lost_exec_keeps_its_place_among_others_but_not_whom_it_ran_as() -> None:
    images = made()
    images.exec((5, 50, 1), 1, SHELL, 10, Standing(sid=5, pgid=5, euid=0, login_uid=4))
    images.unseen((5, 50, 2), 2, b"what", 11)
    lost = at(images, (5, 50, 2))
    assert (lost["session_leader"], lost["audit_user_id"], lost["user_id"]) == (images.ref((5, 50, 1)), b"4", None)
    assert lost["previous"] == images.ref((5, 50, 1))


@pytest.mark.parametrize(
    ("parent", "name", "standing", "found"),
    [
        (b"sshd", b"bash", Standing(sid=9), b"sshd"),
        (b"sshd-session", b"bash", Standing(sid=9), b"sshd"),
        (b"sshd", b"sshd", Standing(sid=9), None),
        (b"sshd", b"bash", Standing(sid=8), None),
        (b"containerd-shim-runc-v2", b"nginx", Standing(sid=9), b"container"),
        (b"containerd-shim", b"runc", Standing(sid=9), None),
        (b"ssm-session-worker", b"sh", Standing(sid=9, tty=136 << 20), b"ssm"),
        (b"ssm-session-worker", b"sh", Standing(sid=9), None),
        (b"agetty", b"login", Standing(sid=9, tty=5 << 20 | 1), b"console"),
        (b"login", b"bash", Standing(sid=9, tty=4 << 20 | 1), b"terminal"),
        (b"systemd", b"cron", Standing(sid=9), None),
    ],
)
def test_entries(parent: bytes, name: bytes, standing: Standing, found: bytes | None) -> None:
    assert entry_type(9, name, parent, standing) == found


def test_an_entry_is_inherited_and_kept_when_its_parent_is_gone() -> None:
    images = made()
    images.found((1, 1, 0), 1, ImageTexts(b"init", b"/sbin/init", None, ()), 1, Standing(sid=1))
    images.found((4, 40, 1), 1, ImageTexts(b"sshd", b"/usr/sbin/sshd", None, ()), 1, Standing((1, 1, 0), sid=4))
    images.fork((5, 50, 1), (4, 40, 1), 1, b"sshd", 2, Standing((4, 40, 1), sid=4))
    images.exec((5, 50, 2), 2, SHELL, 3, Standing((4, 40, 1), sid=5))
    images.fork((6, 60, 2), (5, 50, 2), 3, b"sh", 4, Standing((5, 50, 2), sid=5))
    images.exec((6, 60, 3), 4, TRUE, 5, Standing((1, 1, 0), sid=6))  # a daemon now
    shell, daemon = at(images, (5, 50, 2)), at(images, (6, 60, 3))
    assert at(images, (5, 50, 1))["entry_type"] == at(images, (4, 40, 1))["entry_type"] == b"init"
    assert (shell["entry_type"], shell["entry_leader"]) == (b"sshd", images.ref((5, 50, 2)))
    assert (daemon["entry_type"], daemon["entry_leader"]) == (b"sshd", images.ref((5, 50, 2)))


def test_names_are_of_the_file_as_it_is() -> None:
    assert parse_names(b"root:x:0:0::/:\nbad\n:x:5:\ntoor:x:0:0\nme:x:1000:1000:\nx:y:-1:\n") == {
        0: b"root", 1000: b"me",
    }  # fmt: skip
