"""Modules with some bytes changed: refused with an error of ours, or alike in both modes. Nothing falls over."""

from __future__ import annotations

import random

import pytest
from wasmtime import wat2wasm

from kestrel_lab.engine import Limits
from kestrel_lab.engine.user.binary import MalformedError, read_binary
from kestrel_lab.schema.errors import RuleError
from tests.engine.support import MODES, random_events
from tests.engine.user_modules import EITHER, FOLDER, pack_with, seen
from tests.support.epochs import source

pytestmark = pytest.mark.slow

WHOLE = [bytes(wat2wasm(text)) for text in ((FOLDER / "getters.wat").read_text(), EITHER)]
EVENTS = source(random_events(9, 30), epoch_rows=15)
LIMITS = Limits(user_fuel=100_000)


def changed(rng: random.Random, whole: bytes) -> bytes:
    """Return a module with a few bytes of its code and what follows set to others, or a part cut out or doubled."""
    data = bytearray(whole)
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        at = rng.randrange(8, len(data))
        what = rng.random()
        if what < 0.8:
            data[at] = rng.choice([data[at] ^ 1 << rng.randrange(8), rng.randrange(256), 0x0B, 0x20, 0x41, 0x6A])
        elif what < 0.9:
            del data[at : at + rng.randrange(1, 9)]
        else:
            data[at:at] = data[at : at + rng.randrange(1, 9)]
    return bytes(data)


@pytest.mark.parametrize("seed", range(4))
def test_a_changed_module_is_refused_or_runs_alike_in_both_modes(seed: int) -> None:
    rng, ran = random.Random(seed), 0
    for _ in range(150):
        data = changed(rng, rng.choice(WHOLE))
        try:
            pack = pack_with({"m": data}, limits=LIMITS)
        except RuleError:
            continue
        ran += 1
        live, deterministic = (seen(pack, EVENTS, mode, LIMITS) for mode in MODES)
        assert live == deterministic
    assert ran > 5


def test_any_bytes_are_a_module_or_malformed() -> None:
    rng = random.Random(1)
    for _ in range(3_000):
        data = rng.choice(WHOLE)[:8] + rng.randbytes(rng.randrange(200))
        try:
            read_binary(data)
        except MalformedError:
            continue
