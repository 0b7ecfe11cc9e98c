"""Names that no event has: rules may read them, recordings hold nothing of them."""

from __future__ import annotations

import re

import numpy as np
import pytest

from kestrel_lab.schema.access import Coded, python_values, resolve
from kestrel_lab.schema.fields import FIELDS
from kestrel_lab.schema.schema import BUILTIN
from kestrel_lab.schema.types import Absent, EqlType, Field
from kestrel_lab.schema.vocabulary import VOCABULARY
from tests.eql.corpora import SHARED
from tests.support.epochs import source

ABSENT = [f for f in BUILTIN.fields.values() if isinstance(f.source, Absent)]


def test_every_field_that_public_rules_use_has_a_name() -> None:
    path = SHARED / "fields.md"
    if not path.exists():
        pytest.skip(f"{path} is absent")
    used = path.read_text().split("Types that matter")[0]
    used = re.sub(r"(\S+)\{(\w+),(\w+)\}", r"\1\2, \1\3", used)
    names = re.findall(r"[A-Za-z_]+(?:\.\w+)+", used)
    assert len(names) > 80
    assert [name for name in names if name not in BUILTIN.fields] == []


@pytest.mark.parametrize(
    ("name", "kind", "many"),
    [
        ("host.ip", EqlType.IP, True),
        ("process.thread.capabilities.effective", EqlType.STRING, True),
        ("process.entry_leader.entry_meta.type", EqlType.STRING, False),
        ("process.parent.interactive", EqlType.BOOL, False),
        ("http.response.status_code", EqlType.INT, False),
        ("event.risk_score", EqlType.FLOAT, False),
    ],
)
def test_names_have_the_types_of_their_values(name: str, kind: EqlType, many: bool) -> None:
    assert (VOCABULARY[name].type, VOCABULARY[name].many) == (kind, many)


def test_a_field_that_events_have_is_that_field() -> None:
    assert all(BUILTIN.fields[f.name] is f for f in FIELDS)
    assert {f.name for f in ABSENT} == set(VOCABULARY) - {f.name for f in FIELDS}


def test_the_lock_holds_only_what_events_have() -> None:
    assert [f["name"] for f in BUILTIN.lock()["fields"]] == [f.name for f in FIELDS]


@pytest.mark.parametrize("field", ABSENT[::97], ids=lambda f: f.name)
def test_an_absent_field_is_missing_in_every_row(field: Field) -> None:
    recorded = source([{"table": "process", "action": "exec"}, {"table": "file", "action": "open"}])
    for epoch in recorded.epochs():
        for table in epoch.tables:
            found = resolve(recorded.info, epoch, table, field.name, np.array([0]))
            assert python_values(found) == [None]
            if isinstance(found, Coded):
                assert found.dictionary.key == BUILTIN.dictionary_key(table, field.name) == "missing"
