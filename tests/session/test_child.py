import os
import signal
from multiprocessing.connection import Connection
from typing import Any

import pytest

from kestrel_lab.schema.errors import ExitCode, RuleError
from kestrel_lab.session.child import Child, ProcessDiedError, ProcessFailedError


def echo(connection: "Connection[Any, Any]", word: str) -> str:
    connection.send(("word", connection.recv()))
    return word + os.environ.get("KL_TEST", "")


def complain(connection: "Connection[Any, Any]") -> None:
    raise RuleError("no such field", where="a.toml:3:1", do="Use process.name.")


def crash(connection: "Connection[Any, Any]") -> None:
    raise ValueError("broken")


def sleep(connection: "Connection[Any, Any]") -> None:
    connection.send("ready")
    connection.recv()


def send_much(child: Child) -> None:
    for _ in range(10):
        child.send("more")


def test_answers_messages_and_returns_a_result():
    child = Child("helper", echo, "done", env={"KL_TEST": "!"})
    child.send(5)
    assert child.recv() == ("word", 5)
    assert child.result() == "done!"
    child.close()


def test_an_error_of_ours_arrives_as_it_was():
    child = Child("helper", complain)
    with pytest.raises(RuleError) as caught:
        child.result()
    assert caught.value.where == "a.toml:3:1"
    assert caught.value.do == "Use process.name."
    child.close()


def test_any_other_error_carries_its_traceback():
    child = Child("helper", crash)
    with pytest.raises(ProcessFailedError) as caught:
        child.result()
    assert "ValueError: broken" in caught.value.detail
    assert caught.value.exit_code is ExitCode.INTERNAL
    child.close()


def test_a_killed_child_is_a_clear_error_on_both_ways():
    child = Child("scan worker 1", sleep)
    assert child.recv() == "ready"
    os.kill(child.pid, signal.SIGKILL)
    with pytest.raises(ProcessDiedError, match=r"scan worker 1 .* was killed by SIGKILL"):
        child.recv()
    with pytest.raises(ProcessDiedError, match="SIGKILL"):
        send_much(child)
    child.close()


def test_a_child_ends_with_its_parent_end():
    child = Child("helper", sleep)
    assert child.recv() == "ready"
    child.close()
    assert child._process.returncode == 0
