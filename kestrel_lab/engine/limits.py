"""What an engine may use. Limits are part of what decides the answers."""

from __future__ import annotations

from dataclasses import dataclass

from kestrel_lab.schema.epoch import MAX_ROWS

#: A stage is called at most this often in an epoch: a few windows a table, more where strings are of many classes.
MAX_CALLS = 256


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds that hold in both modes.

    Attributes:
        fuel: WebAssembly fuel per (rule, epoch). EQL rules that could need more are refused at load.
        pending: pending sequences per (rule, shard); beyond it the oldest are evicted, and counted.
        pending_per_key: pending sequences per key; there is at most one per stage, so longer sequences are refused.
        ttl_ns: how long, in event time, a pending sequence without maxspan is kept, ns.
    """

    fuel: int = 1 << 28
    pending: int = 512
    pending_per_key: int = 128
    ttl_ns: int = 24 * 3600 * 1_000_000_000

    def worst(self, cost_per_row: int, cost_per_call: int) -> int:
        """Return the most fuel that a rule of these static costs (over all stages) can use in an epoch."""
        return cost_per_row * MAX_ROWS + cost_per_call * MAX_CALLS
