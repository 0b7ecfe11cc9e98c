from pathlib import Path

import pytest

from kestrel_lab.schema.errors import DivergedError, ExitCode
from kestrel_lab.session.prove import CONFIGURATIONS, Configuration, Proof, _compare, _Result, prove
from kestrel_lab.session.replay import replay
from tests.session.scenario import memory, pack, write_recording

PACK = pack()


@pytest.mark.slow
def test_every_configuration_gives_one_digest(tmp_path: Path):
    recording = write_recording(tmp_path / "a.krec", memory())
    rows = []
    proof = prove(recording, PACK, on_row=rows.append)
    assert proof.equal, proof.difference
    proof.check()
    assert rows == list(proof.rows)
    assert len(rows) == len(CONFIGURATIONS)
    assert len({(r.digest, r.fuel) for r in rows}) == 1
    assert rows[0].digest == replay(recording, PACK).digest
    assert rows[0].alerts > 0


@pytest.mark.slow
def test_a_part_of_the_proof_over_any_source():
    some = (Configuration("reference"), Configuration("seek", seek=True), Configuration("live", mode="live"))
    proof = prove(memory(120), PACK, configurations=some)
    assert proof.equal, proof.difference


def test_the_first_alert_that_differs_is_named():
    found = replay(memory(), PACK)
    whole = _Result(found.alerts, found.digest, found.fuel, 0.0)
    less = _Result(found.alerts[1:], "other", found.fuel, 0.0)
    words = _compare("a", whole, "b", less)
    assert found.alerts[0].rule_id in words
    assert str(found.alerts[0].last_event_id) in words
    with pytest.raises(DivergedError) as caught:
        Proof([], words).check()
    assert caught.value.exit_code is ExitCode.DIVERGED


def test_fuel_that_differs_is_named():
    found = replay(memory(), PACK)
    more = {**found.fuel, "shell": 1}
    words = _compare("a", _Result([], "d", found.fuel, 0.0), "b", _Result([], "d", more, 0.0))
    assert "fuel of rule shell: 0 against 1" in words
