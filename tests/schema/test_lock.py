"""The lock is the same bytes everywhere, and changing the field table is a decision."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from kestrel_lab.schema.actions import ACTIONS
from kestrel_lab.schema.columns import ENTITY_COLUMNS
from kestrel_lab.schema.fields import FIELDS, SCHEMA_VERSION
from kestrel_lab.schema.schema import BUILTIN, Schema
from kestrel_lab.schema.types import Entity, Parent, Related, Row, link_of

#: fingerprint of the lock of each schema version there has been
PINNED = {
    1: "ff67c7389652e230f7e031430f823d46240053700fca2662a53f8e3790e5089a",
    2: "37e2503a81ce0bc3b5ec1d9d21be78869e068efd7ebd8b624a0d6e2430b1d21a",
    3: "0530674cd9b1b8d2e6dca68443242d6540ed4a14d9070ec18c465633345ef1e8",
}


def test_the_field_table_changes_only_with_its_version() -> None:
    assert PINNED.get(SCHEMA_VERSION) == BUILTIN.fingerprint, (
        "The field table, the columns or the actions changed. Recordings made before it will be refused or need an "
        "up-converter: raise SCHEMA_VERSION in schema/fields.py, give new fields `since`, write the up-converter, "
        f"and pin version and fingerprint here. The fingerprint is now {BUILTIN.fingerprint}."
    )


@pytest.mark.parametrize("seed", ["0", "1", "4242"])
def test_fingerprint_is_the_same_under_any_hash_seed(seed: str) -> None:
    code = "from kestrel_lab.schema.schema import BUILTIN; print(BUILTIN.fingerprint)"
    env = os.environ | {"PYTHONHASHSEED": seed, "LC_ALL": "C", "TZ": "Asia/Kathmandu"}
    printed = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True).stdout
    assert printed.strip() == BUILTIN.fingerprint


def leaves(data: Any) -> list[Any]:
    if isinstance(data, dict):
        return [x for k, v in data.items() for x in (k, *leaves(v))]
    if isinstance(data, list):
        return [x for item in data for x in leaves(item)]
    return [data]


def test_the_lock_holds_plain_words_only() -> None:
    """No repr, module path or other text that another Python could spell another way."""
    for leaf in leaves(BUILTIN.lock()):
        assert type(leaf) in (str, int, bool), leaf
        if isinstance(leaf, str):
            assert re.fullmatch(r"[A-Za-z0-9_.]+", leaf), leaf
            assert "kestrel_lab" not in leaf


def test_the_lock_comes_back_from_json() -> None:
    back = Schema.from_lock(json.loads(json.dumps(BUILTIN.lock())))
    assert back == BUILTIN
    assert back.lock() == BUILTIN.lock()
    assert back.keys == BUILTIN.keys
    assert replace(BUILTIN, base="00ff") != BUILTIN


@pytest.mark.parametrize(
    ("edit", "what"),
    [
        (lambda d: d["actions"][0].update(code=0), "codes of actions"),
        (lambda d: d["actions"][1].update(code=d["actions"][0]["code"]), "codes of actions"),
        (lambda d: d["actions"][-1].update(code=256), "codes of actions"),
        (lambda d: d["actions"][0].update(table="../up"), "the tables"),
        (lambda d: d["tables"].pop("file"), "the tables"),
        (lambda d: d["tables"]["entity"].reverse(), "columns of processes"),
        (lambda d: d["tables"]["entity"][0].update(type="u8"), "columns of processes"),
        (lambda d: d["tables"]["entity"].pop(), "process.hash.sha256 is nowhere"),
        (lambda d: d["tables"]["file"].append(d["tables"]["file"][0]), "one name"),
        (lambda d: [d["tables"]["file"].remove(c) for c in d["tables"]["file"] if c["name"] == "file.path"],
         "file.path is nowhere"),
        (lambda d: d["fields"][0].update(tables=["other"]), "event.sequence is nowhere"),
        (lambda d: d["fields"][1]["source"].update(attribute="__class__"), "event.category is nowhere"),
        (lambda d: [f["source"].update(function="no") for f in d["fields"] if f["name"] == "file.name"],
         "file.name is nowhere"),
        (lambda d: [f["source"].update(of="file.name") for f in d["fields"] if f["name"] == "file.name"],
         "file.name is nowhere"),
    ],
)  # fmt: skip
def test_a_lock_that_is_no_schema_is_refused(edit: Callable[[dict[str, Any]], object], what: str) -> None:
    data = json.loads(json.dumps(BUILTIN.lock()))
    edit(data)
    with pytest.raises(ValueError, match=what):
        Schema.from_lock(data)


def test_field_and_column_names_are_unique_and_sources_exist() -> None:
    assert len({f.name for f in FIELDS}) == len(FIELDS)
    entity_columns = {c.name for c in ENTITY_COLUMNS}
    for field in FIELDS:
        assert set(field.tables) <= set(BUILTIN.tables)
        if isinstance(field.source, Row):
            for table in field.tables:
                assert field.source.column in {c.name for c in BUILTIN.columns_of(table)}, field.name
        if isinstance(field.source, (Entity, Parent, Related)):
            assert field.source.column in entity_columns, field.name
            assert (link_of(field.source) or "parent") in entity_columns, field.name


def test_action_codes_are_unique_and_fit_their_column() -> None:
    codes = [a.code for a in ACTIONS]
    assert len(set(codes)) == len(codes)
    assert all(0 < c < 256 for c in codes)
    assert codes == sorted(codes)
    assert {a for t in BUILTIN.tables for a in BUILTIN.actions_of(t)} == set(ACTIONS)


def test_an_unnamed_category_is_every_table() -> None:
    assert BUILTIN.tables_holding(None) == BUILTIN.tables
    assert BUILTIN.tables_holding("file") == ("file",)
    assert BUILTIN.tables_holding("nothing") == ()
