"""Which hooks a kind of event needs."""

from __future__ import annotations

import pytest

from kestrel_lab.capture.hooks import ALWAYS, OWN, hooks_for
from kestrel_lab.capture.program import HOOKS
from kestrel_lab.schema.schema import BUILTIN

LIFE = {"sched_process_fork", "sched_process_exec", "sched_process_exit"}


def codes(*names: str) -> frozenset[int]:
    return frozenset(action.code for action in BUILTIN.actions if action.name in names)


def test_what_the_recorder_tells_itself_needs_no_hook() -> None:
    assert hooks_for(ALWAYS | codes(*OWN)) == LIFE
    assert {"existing_process", "existing_bpf", "content_hash"} <= OWN


@pytest.mark.parametrize("action", [a for a in BUILTIN.actions if a.name not in OWN], ids=lambda a: a.name)
def test_every_other_action_has_one(action) -> None:
    found = hooks_for(frozenset({action.code}))
    assert found <= set(HOOKS)
    assert found - LIFE or action.name in ("fork", "exec", "end")


def test_everything_needs_every_hook() -> None:
    assert hooks_for(frozenset(a.code for a in BUILTIN.actions)) == set(HOOKS)
