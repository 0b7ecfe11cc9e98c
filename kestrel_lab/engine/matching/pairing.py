"""Which pending sequences of one stage an event of the next one takes, and which stay.

At most one sequence is pending per (stage, key), and whatever comes next under that key ends that: a newer one
overwrites it, an event of the next stage consumes it, `until` drops it. So in the order of (key, event), with an
event's read before its write and `until` last, a sequence is consumed if and only if the entry right after it is an
event of the next stage.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kestrel_lab.engine.matching.keyed import KeyedHits
from kestrel_lab.engine.matching.keyring import Ints, KeyRing, Mask, no_ints
from kestrel_lab.engine.matching.partial import Partials

if TYPE_CHECKING:
    from kestrel_lab.engine.explaining.trace import Observer

_READ, _WRITE, _UNTIL = 0, 1, 2


def matters(hits: KeyedHits, ring: KeyRing, *others: KeyedHits) -> Mask:
    """Return which events of a stage, in their order, do more than be overwritten by the next one of their key.

    Args:
        others: events, in any order, of what could come in between.
    """
    return ring.last(hits.key) | ring.members(hits.key, *(other.key for other in others))


def newest(before: Partials, ring: KeyRing) -> Ints:
    """Return which sequences stay, where nothing takes or drops any: the last of each key."""
    last = before.last
    if (last[1:] >= last[:-1]).all():
        return np.flatnonzero(ring.last(before.key))
    order = np.argsort(last, kind="stable")
    return order[ring.last(before.key[order])]


def paired(
    before: Partials, reads: KeyedHits, untils: KeyedHits, ring: KeyRing, observer: Observer | None, place: int
) -> tuple[Ints, Ints, Ints]:
    """Return which sequences are consumed, by which hits, and which are left pending."""
    if not (len(reads) or len(untils) or observer):
        return no_ints(), no_ints(), newest(before, ring)
    ids = np.concatenate([reads.id, before.last, untils.id])
    keys = np.concatenate([reads.key, before.key, untils.key])
    kinds = np.repeat(np.array([_READ, _WRITE, _UNTIL]), [len(reads), len(before), len(untils)])
    order = np.argsort(_composite(keys, ids, kinds))
    keys, kinds = keys[order], kinds[order]
    same = keys[1:] == keys[:-1]
    write = kinds == _WRITE
    consumed = np.flatnonzero(write[:-1] & (kinds[1:] == _READ) & same)
    left = write.copy()
    left[:-1] &= ~same
    if observer:
        observer.ordered(place, before, reads, untils, order)
    return order[consumed] - len(reads), order[consumed + 1], order[left] - len(reads)


def _composite(keys: Ints, ids: Ints, kinds: Ints) -> Ints:
    """Return integers in the order of (key, id, kind). Ids of one batch lie close; what is older has one id a key."""
    newest_id = int(ids.max())
    since = np.maximum(ids - (newest_id - _BATCH), 0)
    return (((keys << _BATCH_BITS) | since) << 2) | kinds


#: More events than any batch has.
_BATCH_BITS = 32
_BATCH = (1 << _BATCH_BITS) - 1
