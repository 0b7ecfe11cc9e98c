import click
import pytest

from kestrel_lab.cli.when import Place, duration, parse

S = 1_000_000_000
CTX = click.Context(click.Command("x"))
PARAM = click.Option(["--duration"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1234", Place("id", 1234)),
        ("+30", Place("start", 30 * S)),
        ("+30s", Place("start", 30 * S)),
        ("+1.5s", Place("start", 1_500_000_000)),
        ("+250ms", Place("start", 250_000_000)),
        ("+2m", Place("start", 120 * S)),
        ("123456ns", Place("boot", 123456)),
        ("2026-01-02T03:04:05Z", Place("wall", 1767323045 * S)),
        ("2026-01-02 03:04:05.000000007", Place("wall", 1767323045 * S + 7)),
        ("2026-01-02T05:04:05.5+02:00", Place("wall", 1767323045 * S + 500_000_000)),
        ("2026-01-02", Place("wall", 1767312000 * S)),
    ],
)
def test_a_place_is_an_id_or_a_time(text: str, expected: Place) -> None:
    assert parse(text) == expected


@pytest.mark.parametrize("text", ["", "abc", "-5", "+", "+5 parsecs", "2026-13-01", "12:30", "٣", "1e9", "+-3s", "5s"])
def test_anything_else_is_no_place(text: str) -> None:
    assert parse(text) is None


def test_a_wall_time_does_not_depend_on_the_machines_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert parse("2026-01-02T03:04:05") == Place("wall", 1767323045 * S)
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize(("text", "seconds"), [("30", 30), ("0.5", 0.5), ("500ms", 0.5), ("2m", 120), ("1h", 3600)])
def test_a_duration_has_a_unit_or_is_in_seconds(text: str, seconds: float) -> None:
    assert duration(CTX, PARAM, text) == seconds


def test_a_wrong_duration_is_refused() -> None:
    with pytest.raises(click.BadParameter, match="no length of time"):
        duration(CTX, PARAM, "soon")
