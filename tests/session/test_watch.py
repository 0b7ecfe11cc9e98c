"""An edit is taken when it is complete, and only then."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kestrel_lab.engine import Limits, Pack, load_pack
from kestrel_lab.schema.errors import KestrelError, RuleError, UsageError
from kestrel_lab.session import watch
from kestrel_lab.session.watch import PackWatch, RulePaths
from tests.session.scenario import CONNECT, FILES, SHELL, rule


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, data in FILES.items():
        (tmp_path / name).write_bytes(data)
    return tmp_path


def watching(*paths: Path, skip_broken: bool = False) -> PackWatch:
    where = RulePaths.of(paths, skip_broken=skip_broken)
    return PackWatch(where, load_pack(paths).hash, Limits())


def looks(found: PackWatch, times: int) -> list[Pack | KestrelError | None]:
    return [found.look() for _ in range(times)]


def edit(file: Path, data: bytes) -> None:
    """Write a file in place, at a time of its own."""
    before = file.stat().st_mtime_ns if file.exists() else 0
    file.write_bytes(data)
    os.utime(file, ns=(before + 1_000_000, before + 1_000_000))


def test_nothing_is_said_of_what_stays_as_it_is(folder: Path) -> None:
    assert looks(watching(folder), 3) == [None] * 3


def test_an_edit_is_taken_at_the_second_look(folder: Path) -> None:
    found = watching(folder)
    edit(folder / "connect.toml", rule("connect-4444", CONNECT + " and process.pid > 1"))
    first, second, third = looks(found, 3)
    assert (first, third) == (None, None)
    assert isinstance(second, Pack)
    assert second.hash == load_pack([folder]).hash


def test_a_file_that_is_still_being_written_is_left_alone(folder: Path) -> None:
    found, whole = watching(folder), rule("connect-4444", CONNECT + " and process.pid > 1")
    for part in range(1, 4):
        edit(folder / "connect.toml", whole[: len(whole) * part // 4])
        assert found.look() is None
    edit(folder / "connect.toml", whole)
    assert found.look() is None
    assert isinstance(found.look(), Pack)


def test_a_file_that_changes_while_it_is_read_is_left_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = watching(folder)
    edit(folder / "connect.toml", rule("connect-4444", CONNECT + " and process.pid > 1"))
    assert found.look() is None
    last = rule("connect-4444", CONNECT + " and process.pid > 2")

    def late(*args: object, **more: object) -> Pack:
        loaded = load_pack(*args, **more)  # type: ignore[arg-type]
        edit(folder / "connect.toml", last)
        return loaded

    monkeypatch.setattr(watch, "load_pack", late)
    assert found.look() is None
    monkeypatch.undo()
    assert found.look() is None
    pack = found.look()
    assert isinstance(pack, Pack)
    assert "pid > 2" in next(r.query for r in pack.rules if r.id == "connect-4444")


def test_a_wrong_edit_is_told_of_once_and_the_next_right_one_is_taken(folder: Path) -> None:
    found = watching(folder)
    edit(folder / "connect.toml", rule("connect-4444", "network where"))
    said = looks(found, 4)
    assert [s for s in said if s is not None] == [said[1]]
    assert isinstance(said[1], RuleError)
    assert "connect.toml" in said[1].where
    edit(folder / "connect.toml", rule("connect-4444", CONNECT + " and process.pid > 1"))
    assert isinstance(looks(found, 2)[1], Pack)


def test_wrong_rules_are_left_out_if_that_was_asked_for(folder: Path) -> None:
    found = watching(folder, skip_broken=True)
    edit(folder / "connect.toml", rule("connect-4444", "network where"))
    pack = looks(found, 2)[1]
    assert isinstance(pack, Pack)
    assert "connect-4444" not in {r.id for r in pack.rules}


def test_rules_come_and_go_with_their_files(folder: Path) -> None:
    found = watching(folder)
    (folder / "deep").mkdir()
    (folder / "deep" / "new.toml").write_bytes(rule("new", SHELL))
    (folder / "drop.toml").unlink()
    pack = looks(found, 2)[1]
    assert isinstance(pack, Pack)
    assert {r.id for r in pack.rules} == {"new", "connect-4444", "interactive-shell", "script-deleted"}


def test_an_edit_that_changes_no_rule_is_nothing(folder: Path) -> None:
    found = watching(folder)
    edit(folder / "shell.toml", FILES["shell.toml"] + b"# a comment\n")
    (folder / "notes.txt").write_text("words")
    assert looks(found, 3) == [None] * 3


def test_rules_that_vanish_are_an_error(folder: Path) -> None:
    found = watching(folder / "shell.toml")
    (folder / "shell.toml").unlink()
    assert isinstance(looks(found, 2)[1], UsageError)
    (folder / "shell.toml").write_bytes(FILES["shell.toml"])
    assert looks(found, 3) == [None] * 3
