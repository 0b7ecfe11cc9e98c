"""The scripted intrusion does what it says, and nothing stays behind."""

import socket
from pathlib import Path

import pytest

from kestrel_lab.cli.demo import intrusion


def test_every_act_happens_in_its_own_folder_and_nothing_stays(tmp_path: Path) -> None:
    seen: list[str] = []
    with intrusion.stage(tmp_path) as place:

        def on_act(act: intrusion.Act) -> None:
            seen.append(act.name)
            assert {p.parent for p in tmp_path.rglob("*") if p.is_file()} <= {place.folder}

        intrusion.intrude(place, on_act=on_act)
        assert list(place.folder.iterdir()) == []
        assert all(act.began_ns for act in place.acts)
    acts = "drop arm execute look search scan connect hide age pack call rename note delete"
    assert seen == acts.split()
    assert list(tmp_path.iterdir()) == []


def test_the_closed_port_refuses_everybody(tmp_path: Path) -> None:
    with intrusion.stage(tmp_path) as place, pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", place.closed), timeout=1)


def test_only_loopback_is_listened_on(tmp_path: Path) -> None:
    with intrusion.stage(tmp_path) as place, socket.create_connection(("127.0.0.1", place.port), timeout=1) as there:
        assert there.getpeername() == ("127.0.0.1", place.port)
