"""The ledger in the words that are used everywhere."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from kestrel_lab.cli import units

if TYPE_CHECKING:
    from kestrel_lab.schema.epoch import Ledger


def words(ledger: Ledger) -> dict[str, int]:
    """Return seen, filtered, lost_ring, received, written, lost_user, recursion, in that order."""
    return asdict(ledger)


def sentence(ledger: Ledger) -> str:
    """Return the ledger as one line, and whether it closes."""
    counts = ", ".join(f"{name} {units.count(number)}" for name, number in words(ledger).items())
    return counts + ("" if ledger.closes else " (does not close)")
