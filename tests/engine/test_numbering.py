"""Numbers of join keys: those remembered by code, pair and row are those of keys made anew."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kestrel_lab.engine import Engine, Limits
from kestrel_lab.engine.hits.keys import By, JoinKeys, shard_of
from kestrel_lab.engine.matching import codenumbers, numbering, pairs
from kestrel_lab.engine.matching.codenumbers import NULL
from kestrel_lab.engine.matching.forget import forget_keys
from kestrel_lab.engine.matching.keyring import KeyRing
from kestrel_lab.engine.matching.numbering import Numbering
from kestrel_lab.engine.matching.pairs import Pairs
from kestrel_lab.engine.matching.sequence import SequenceMachine
from kestrel_lab.schema.epoch import Epoch
from tests.engine.machines import ALL, program_of
from tests.engine.reference import Items
from tests.engine.support import QUERIES, pack_of, random_events
from tests.support.epochs import INFO, source

pytestmark = pytest.mark.slow

#: Strings, ids, numbers that may be null, text made of lists, lists, addresses, constants, fields some tables lack.
FIELDS = (
    "process.entity_id", "process.parent.entity_id", "process.name", "process.pid", "user.id", "process.command_line",
    "process.args", "file.path", "file.extension", "file.inode", "destination.ip", "destination.port", "kestrel.ret",
    "host.id", "event.action", "process.exit_code",
)  # fmt: skip
BYS = st.lists(st.tuples(st.sampled_from(FIELDS) | st.none(), st.booleans()), max_size=3).map(tuple)
PACK = pack_of({rule: query for rule, query in QUERIES.items() if query.startswith("sequence")})


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch, few: bool) -> None:
    """Take all the ways that are for many rows, or for few keys, whatever their number."""
    if few:
        monkeypatch.setattr(pairs, "_MANY", 1)
        monkeypatch.setattr(pairs, "_TABLES", 1)
        monkeypatch.setattr(codenumbers, "_MANY", 0)
        monkeypatch.setattr(numbering, "_FEW", 1 << 20)


def keys_of(epoch: Epoch, table: str, by: By, rows: Sequence[int]) -> list[tuple[bytes, ...]]:
    sets, index = JoinKeys(INFO, epoch, table, by, np.array(rows)).found()
    return [sets[i] for i in index.tolist()]


def numbered(
    of: Numbering, keys: JoinKeys, count: int, among: Sequence[bytes] | None = None
) -> list[tuple[bytes, ...]]:
    known = None if among is None else of.ring.intern(among)
    out: list[list[bytes]] = [[] for _ in range(count)]
    for row, number in zip(*(c.tolist() for c in of.of(keys, known)), strict=True):
        out[row].append(of.ring.key(number))
    return [tuple(found) for found in out]


@pytest.mark.parametrize("few", [True, False])
@pytest.mark.usefixtures("eager")
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 9), rows=st.integers(1, 60), bys=st.lists(BYS, min_size=1, max_size=4), data=st.data())
def test_what_is_remembered_changes_no_key(seed: int, rows: int, bys: list[By], data: st.DataObject) -> None:
    numbers, shards = Numbering(ALL), frozenset(data.draw(st.sets(st.integers(0, 63), min_size=1)))
    own = Numbering(shards)
    for epoch in source(random_events(seed), epoch_rows=rows, segment_epochs=2).epochs():
        for by in data.draw(st.permutations(bys)):
            for table, every in epoch.tables.items():
                which = sorted(data.draw(st.sets(st.sampled_from(range(len(every))), min_size=1)))
                expected = keys_of(epoch, table, by, which)
                distinct = sorted({key for keys in expected for key in keys})
                among = data.draw(st.lists(st.sampled_from(distinct), unique=True)) if distinct else []
                few = [tuple(key for key in keys if key in among) for keys in expected]
                owned = [tuple(key for key in keys if shard_of(key) in shards) for keys in expected]

                def keys(
                    epoch: Epoch = epoch, table: str = table, by: By = by, rows: Sequence[int] = which
                ) -> JoinKeys:
                    return JoinKeys(INFO, epoch, table, by, np.array(rows))

                assert numbered(numbers, keys(), len(which), among) == few
                assert numbered(numbers, keys(), len(which)) == expected
                assert numbered(own, keys(), len(which)) == owned
        numbers.let_go()
        if data.draw(st.booleans()):
            numbers.keep(np.array([data.draw(st.booleans()) for _ in range(len(numbers.ring))], np.bool_))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(st.binary(max_size=1), max_size=9), max_size=9), st.data())
def test_a_ring_gives_each_key_a_number_of_its_own(batches: list[list[bytes]], data: st.DataObject) -> None:
    ring, known = KeyRing(ALL), dict[bytes, int]()
    for keys in batches:
        numbers = ring.intern(keys).tolist()
        for key, number in zip(keys, numbers, strict=True):
            assert known.setdefault(key, number) == number
            assert ring.key(number) == key
            assert ring.shard[number] == shard_of(key)
        assert len(set(known.values())) == len(known) == ring.held
        wanted = np.array([data.draw(st.booleans()) for _ in range(len(ring))], np.bool_)
        ring.keep(wanted)
        known = {key: number for key, number in known.items() if wanted[number]}
        assert ring.find(list(known)).tolist() == list(known.values())
        assert ring.held == len(known)
    assert len(ring) <= 256 + max(map(len, batches), default=0)


def test_a_key_is_kept_as_long_as_any_rule_wants_it() -> None:
    numbers = Numbering(ALL, spare=1)
    items = Items(((0, False), (1, False)), None, 10)
    one, other = (SequenceMachine(program_of(items), numbers, Limits()) for _ in range(2))
    keep, drop, lead = numbers.ring.intern([b"keep", b"drop", b"lead"]).tolist()
    assert numbers.ring.crowded
    other.lookback.put(np.array([lead]), np.array([5]), np.array([0]), np.array([1]))
    forget_keys(numbers, [one, other], 0)
    assert numbers.ring.find([b"keep", b"drop", b"lead"]).tolist() == [-1, -1, lead]
    assert (keep, drop) != (lead, lead)
    assert not numbers.ring.crowded


@pytest.mark.parametrize("few", [True, False])
@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("seed", range(4))
def test_neither_forgetting_nor_remembering_changes_an_answer(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    epochs = source(random_events(seed, 200), epoch_rows=9, segment_epochs=5).stored

    def outcome() -> tuple[object, bytes]:
        engine, alerts = Engine(PACK, INFO, "live", Limits(pending=3, tick=16)), []
        for number, epoch in enumerate(epochs):
            alerts += engine.process(epoch).alerts
            if number % 7 == 3:
                state, engine = engine.state(), Engine(PACK, INFO, "live", Limits(pending=3, tick=16))
                engine.restore(state)
        return alerts, engine.state()

    expected = outcome()
    monkeypatch.setattr(KeyRing, "crowded", property(lambda _: True))
    assert outcome() == expected
    assert expected[0]


@pytest.mark.parametrize("few", [True, False])
@pytest.mark.usefixtures("eager")
def test_a_pair_is_the_key_that_begins_with_one_and_ends_with_the_other() -> None:
    ring = KeyRing(ALL)
    made, parts = Pairs(ring), ring.intern([b"n", b"b\x00", b"b\x01"])
    rng = np.random.default_rng(1)
    for count in range(1, 60):
        begins, ends = (rng.choice(parts[: 1 + count % 3] if rng.random() < 0.5 else parts, count) for _ in range(2))
        begins[rng.random(count) < 0.1] = NULL
        for a, b, number in zip(begins.tolist(), ends.tolist(), made.of(begins, ends).tolist(), strict=True):
            assert number == NULL if a < 0 else ring.key(number) == ring.key(a) + ring.key(b)
        if count % 20 == 0:
            ring.keep(np.isin(np.arange(len(ring)), parts))
            made.clear()
