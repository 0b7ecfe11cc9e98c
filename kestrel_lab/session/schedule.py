"""Which pack runs when: the schedule of a recording, and what changes where one pack takes over from another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from kestrel_lab.engine import Pack
from kestrel_lab.schema.alert import PackUse
from kestrel_lab.schema.errors import UsageError
from kestrel_lab.schema.schema import Schema


@dataclass(frozen=True, slots=True)
class PackSchedule:
    """Packs and when they run. A pack runs from the first epoch that begins at or after its row's event.

    Attributes:
        uses: rows in the order they were written, `from_event_id` never falling; at least one.
        packs: by hash.
    """

    uses: tuple[PackUse, ...]
    packs: Mapping[str, Pack]

    def __post_init__(self) -> None:
        unknown = [use.pack_hash for use in self.uses if use.pack_hash not in self.packs]
        if unknown or not self.uses:
            raise UsageError(
                "the pack schedule names a pack that is not there", do="Replay with the packs that the recording holds."
            )

    @property
    def first(self) -> Pack:
        """The pack that runs first."""
        found = use_at(self.uses, self.uses[0].from_event_id)
        assert found is not None
        return self.packs[found.pack_hash]

    @property
    def last(self) -> Pack:
        """The pack that runs last."""
        return self.packs[self.uses[-1].pack_hash]

    @property
    def in_order(self) -> list[Pack]:
        """The packs, each once, in the order they first run."""
        return [self.packs[h] for h in dict.fromkeys(use.pack_hash for use in self.uses)]

    @property
    def rule_ids(self) -> list[str]:
        """The ids of all rules of all packs, in order."""
        return sorted({rule.id for pack in self.in_order for rule in pack.rules})

    def for_schema(self, schema: Schema) -> PackSchedule:
        """Return the same schedule with its packs compiled against another schema.

        Raises:
            RuleError: naming every file that is wrong there.
        """
        return PackSchedule(self.uses, {pack_hash: pack.for_schema(schema) for pack_hash, pack in self.packs.items()})

    def at(self, event_id: int) -> Pack | None:
        """Return the pack that runs over an epoch which begins with this event; None before the first."""
        found = use_at(self.uses, event_id)
        return None if found is None else self.packs[found.pack_hash]


def always(pack: Pack) -> PackSchedule:
    """Return the schedule of one pack from the start."""
    return PackSchedule((PackUse(0, pack.hash),), {pack.hash: pack})


def use_at(uses: Sequence[PackUse], event_id: int) -> PackUse | None:
    """Return the row of a schedule that is in force at an event: of those that began, the last written."""
    return next((use for use in reversed(uses) if use.from_event_id <= event_id), None)


@dataclass(frozen=True, slots=True)
class PackSwitch:
    """A pack that took over: unchanged rules keep what they remember, changed ones start empty.

    Attributes:
        from_event_id: the first event that it saw.
        added, removed, changed: ids of rules.
        dropped: pending sequences of changed and removed rules that were given up.
    """

    from_event_id: int
    pack_hash: str
    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]
    dropped: int = 0

    def render(self) -> str:
        """Return the switch in words."""
        parts = [f"{len(ids)} {word} ({', '.join(ids[:3])}{', ...' if len(ids) > 3 else ''})" for word, ids in
                 (("added", self.added), ("removed", self.removed), ("changed", self.changed)) if ids]  # fmt: skip
        said = "; ".join(parts) or "no rule differs"
        dropped = f"; {self.dropped} pending sequences given up" if self.dropped else ""
        return f"pack {self.pack_hash[:12]} runs from event {self.from_event_id} on: {said}{dropped}"


def switch_between(old: Pack, new: Pack, from_event_id: int) -> PackSwitch:
    """Return what changes from one pack to another; nothing is counted as dropped yet."""
    before, after = ({rule.id: rule.hash for rule in pack.rules} for pack in (old, new))
    return PackSwitch(
        from_event_id,
        new.hash,
        added=tuple(sorted(after.keys() - before)),
        removed=tuple(sorted(before.keys() - after)),
        changed=tuple(sorted(i for i in after.keys() & before if after[i] != before[i])),
    )


def with_dropped(switch: PackSwitch, dropped: int) -> PackSwitch:
    """Return the switch with the number of pending sequences it cost."""
    return replace(switch, dropped=dropped)
