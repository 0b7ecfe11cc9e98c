"""What every runtime offers the scanner: the stages of one rule, ready to run over the column memory."""

from __future__ import annotations

from typing import Literal, Protocol

#: What an EQL rule is lowered to. The answers are the same; Lua is there to show it.
Backend = Literal["wasm", "lua"]


class TrappedError(Exception):
    """A predicate trapped, or ran out of fuel. What it wrote before is void, and no fuel figure is to be had."""

    def __init__(self, *, out_of_fuel: bool = False) -> None:
        super().__init__()
        self.out_of_fuel = out_of_fuel


class Predicate(Protocol):
    """The stages of one rule. Fuel is a matter of the rule's own runtime."""

    def refuel(self, fuel: int) -> None:
        """Set what the next calls may use together."""
        ...

    def fuel_left(self) -> int:
        """Return what is left since `refuel`; means nothing after a trap."""
        ...

    def cost_of_a_call(self, stage: int) -> int:
        """Return the fuel that evaluating one stage on no rows costs; 0 if that does not end."""
        ...

    def run(self, stage: int, frame: int, rows: int, count: int, out: int) -> int:
        """Evaluate one stage; pointers are offsets into the column memory (see the host ABI).

        Returns:
            how many positions were written to `out`.

        Raises:
            TrappedError: if it traps, runs out of fuel, or returns more than it was given.
        """
        ...
