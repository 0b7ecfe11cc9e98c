"""What an engine may use. Limits are part of what decides the answers."""

from __future__ import annotations

from dataclasses import dataclass

from kestrel_lab.schema.epoch import MAX_ROWS
from kestrel_lab.schema.schema import Schema

#: A stage is called at most this often in an epoch: a few windows a table, more where strings are of many classes.
MAX_CALLS = 256

# WebAssembly written by users. What is larger is refused at load.
MODULE_BYTES = 128 << 10  #: of a module, compiled from text or not
MODULE_FUNCTIONS = 4_096  #: imported ones included
MODULE_TABLES = 4
MODULE_ENTRIES = 4_096  #: of any other section: types, globals, exports, segments
MODULE_BLOCKS = 16_000  #: blocks, branches and calls through tables
MODULE_JOINS = 200_000  #: sum over functions of locals times those: what the time to compile may grow with
FUNCTION_BYTES = 32 << 10
FUNCTION_PARAMS = 100
FUNCTION_LOCALS = 1_000  #: parameters included
FUNCTION_BLOCKS = 2_000
FUNCTION_DEPTH = 200  #: of blocks in one another
TABLE_ELEMENTS = 10_000
MEMORY_PAGES = 256  #: of 64 KiB, at the start and after growing
STACK_BYTES = 512 << 10  #: that the deepest chain of calls can need, at most
HOST_FRAME_BYTES = 2_048  #: of a call into the host ABI
LOAD_FUEL = 1 << 24  #: of `pred_init` when a pack is loaded
LOG_BYTES = 1 << 20  #: of all names and patterns that a module declares
COLUMN_BYTES = 32 << 20  #: of column memory at once; more rows are given in parts

#: Join keys of one event under a rule; of an event with more, the least in the order of their bytes count.
MAX_KEYS = 128


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds that hold in both modes.

    Attributes:
        fuel: WebAssembly fuel per (rule, epoch). EQL rules that could need more are refused at load.
        user_fuel, user_fuel_per_row: fuel per (rule, epoch) of a user's module or Lua rule, and more for each row it is
            asked about: so that one that never ends costs little where little happens.
        pending: pending sequences (or keys of samples) per (rule, shard); beyond it the oldest are evicted and counted.
        pending_per_key: pending sequences per key; there is at most one per stage, so longer sequences are refused, and
            of those that wait for time to pass the oldest are evicted.
        ttl_ns: how long, in event time, a pending sequence without maxspan or a sample is kept, ns.
        tick: quotas are enforced before each event whose id is a multiple of this.
    """

    fuel: int = 1 << 28
    user_fuel: int = 1 << 22
    user_fuel_per_row: int = 1_024
    pending: int = 512
    pending_per_key: int = 128
    ttl_ns: int = 24 * 3600 * 1_000_000_000
    tick: int = 4_096

    def worst(self, cost_per_row: int, cost_per_call: int) -> int:
        """Return the most fuel that a rule of these static costs (over all stages) can use in an epoch."""
        return cost_per_row * MAX_ROWS + cost_per_call * MAX_CALLS


#: A sequence without maxspan waits for ever, as far as there is room for it.
PATIENT = Limits(ttl_ns=1 << 62)


def usual_limits(schema: Schema) -> Limits:
    """Return the limits where nobody says any: a recorder's, but patient ones for events that were imported.

    Their times may lie years apart, and all of them are there.
    """
    return PATIENT if schema.base else Limits()
