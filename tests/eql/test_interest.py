"""Which actions and which tests an index may rely on."""

from __future__ import annotations

import pytest

from kestrel_lab.eql import compile_query
from kestrel_lab.schema.schema import BUILTIN

PROCESS = {a.code for a in BUILTIN.actions_of("process")}
NETWORK = {a.code for a in BUILTIN.actions_of("network")}
FILE = {a.code for a in BUILTIN.actions_of("file")}


@pytest.mark.parametrize(
    ("query", "codes"),
    [
        ('process where event.type == "start"', {1, 2}),
        ('process where event.action in ("exec", "executed")', {2}),
        ('process where event.type != "start"', PROCESS - {1, 2}),
        ('process where not event.action : ("FORK", "ex*")', PROCESS - {1, 2, 44, 56, 60}),
        ('process where event.type == "start" and process.name == "a"', {1, 2}),
        ('process where event.type == "end" or process.name == "a"', PROCESS),
        ('process where not (event.type == "end" and process.name == "a")', PROCESS),
        ('any where event.category == "network" and event.type == "start"', {20, 22, 26}),
        ('any where file.path == "/x"', FILE),
        ("any where destination.port == 22 or process.exit_code != null", PROCESS | NETWORK),
        ("process where file.path == null", PROCESS),
        ('process where file.path != "/x"', PROCESS),
        ("process where event.action == null", set()),
        ("process where event.action != null", PROCESS),
        ("process where false", set()),
        ('process where event.action < "f"', {2, 3, 44, 45, 53, 56, 60}),
        ('driver where event.action != "unload_module"', {51, 59}),
        ('file where event.type == "start"', set()),
    ],
)
def test_actions(query: str, codes: set[int]) -> None:
    assert set(compile_query(query).stages[0].actions) == codes


def test_required_tests_are_conjuncts_the_most_selective_first() -> None:
    (stage,) = compile_query(
        'process where host.os.type == "linux" and event.type == "start" and process.args : "*x*" and '
        'process.name in ("a", "b") and process.executable == "/c" and not user.id == "0" and '
        '(process.working_directory == "/d" or process.pid == 1) and process.pid > 3'
    ).stages
    assert [(t.field, t.op) for t in stage.required] == [
        ("process.executable", "equal"),
        ("process.name", "equal"),
        ("process.args", "like"),
        ("host.os.type", "equal"),
    ]


def test_one_test_alone_is_required() -> None:
    assert [t.patterns for t in compile_query('file where file.name : ("A", "b*")').stages[0].required] == [
        (b"a", b"b*")
    ]
    assert compile_query('file where not file.name == "a"').stages[0].required == ()


def test_alternatives_of_one_field_become_one_test() -> None:
    (stage,) = compile_query('process where process.name == "a" or process.name == "b"').stages
    assert [t.patterns for t in stage.required] == [(b"a", b"b")]
