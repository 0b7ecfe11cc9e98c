"""Checkpoints: an engine's state between two epochs. Derived, never evidence: who doubts one replays from the start.

A checkpoint is good only where its key matches: the same segments, pack, schedule, skips, engine build and limits.
The mode is not part of the key, because it cannot change the state.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256

from kestrel_lab.engine import engine_build
from kestrel_lab.schema.alert import PackUse, Skip
from kestrel_lab.schema.errors import DamagedError, UsageError
from kestrel_lab.session.drive import EngineSpec, LocalDriver

_MAGIC = b"KLCHKPT1"
_DIGEST = 32


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The state of an engine that has taken every epoch before `next_epoch`."""

    key: str
    next_epoch: int
    state: bytes

    def to_bytes(self) -> bytes:
        """Return the checkpoint as a file's content: magic, sha256 of the rest, a JSON line, the state."""
        head = json.dumps({"key": self.key, "next_epoch": self.next_epoch}, sort_keys=True).encode() + b"\n"
        body = head + self.state
        return _MAGIC + sha256(body).digest() + body

    @classmethod
    def from_bytes(cls, data: bytes) -> Checkpoint:
        """Return the checkpoint that `to_bytes` gave.

        Raises:
            DamagedError: if it is anything else.
        """
        start = len(_MAGIC) + _DIGEST
        body = data[start:]
        if data[: len(_MAGIC)] != _MAGIC or sha256(body).digest() != data[len(_MAGIC) : start]:
            raise DamagedError("this is no whole checkpoint", do="Delete it: it is made again when needed.")
        head, _, state = body.partition(b"\n")
        fields = json.loads(head)
        return cls(fields["key"], fields["next_epoch"], state)


def checkpoint_key(
    segments: Sequence[str],
    spec: EngineSpec,
    pack_hash: str,
    skips: Sequence[Skip] = (),
    schedule: Sequence[PackUse] = (),
) -> str:
    """Return the key of a checkpoint: sha256 (hex) over everything its state follows from.

    Args:
        segments: hashes of the segments before it, in order.
    """
    parts = {
        "segments": list(segments),
        "pack": pack_hash,
        "skips": [asdict(s) for s in skips],
        "schedule": [asdict(p) for p in schedule],
        "engine": engine_build(),
        "limits": asdict(spec.limits),
    }
    return sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def take(driver: LocalDriver, next_epoch: int, key: str) -> Checkpoint:
    """Return the state of an engine that has been fed every epoch before `next_epoch`."""
    return Checkpoint(key, next_epoch, driver.engine.state())


def restore(driver: LocalDriver, checkpoint: Checkpoint, key: str) -> None:
    """Put a fresh engine where the checkpoint was taken; go on with epoch `checkpoint.next_epoch`.

    Raises:
        UsageError: if the checkpoint belongs to another recording, pack, engine or limits.
    """
    if checkpoint.key != key:
        raise UsageError("the checkpoint belongs to another run", do="Replay from the start.")
    driver.engine.restore(checkpoint.state)
