"""Records that the recorder itself makes: they take the way of those that the kernel sends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kestrel_lab.capture.records import FILE_HAS_FIRST, KINDS, RECORD_VERSION, RINGS, SOURCES, WHO
from kestrel_lab.capture.ring import Records, Words
from kestrel_lab.schema.columns import FLAG_TRUNCATED_PATH

#: the source that their sequence numbers count
RECORDER = "recorder"
#: a ring's number, and records as if they came through it
Made = tuple[int, Words]

_NUMBERS = {name: place for place, name in enumerate(RINGS)}
_WIDE = _NUMBERS["file1"]
_LONGEST = 4095


def blank(ring: str, count: int) -> tuple[Words, Records]:
    """Return records of a ring in which everything is 0, and a view of their members."""
    kind = RINGS[ring]
    words: Words = np.zeros((count, kind.words), np.uint64)
    return words, kind.view(words)


def of_ring(ring: str, words: Words) -> Made:
    """Return records with the number of their ring."""
    return _NUMBERS[ring], words


def copied(ring: str, records: npt.NDArray[np.void]) -> Made:
    """Return records of the C struct of a ring as the ring would have given them."""
    words, _ = blank(ring, len(records))
    size = records.dtype.itemsize
    words.view(np.uint8)[:, 8 : 8 + size] = np.ascontiguousarray(records).view(np.uint8).reshape(len(records), size)
    return of_ring(ring, words)


@dataclass(frozen=True, slots=True)
class FileFact:
    """What a record that the recorder makes says of a file.

    Attributes:
        who: whose row it is (`records.WHO`); None: nobody's.
        texts: up to four, as `naming.named` takes them apart.
        number: the first number, None for none.
        inode, device: 0 where they are not known.
        ret: 0 or a negative errno.
        mark: of a content, whether it was kept.
    """

    action: int
    ts: int
    who: npt.NDArray[np.void] | np.void | None
    texts: Sequence[bytes]
    number: int | None = None
    inode: int = 0
    device: int = 0
    ret: int = 0
    mark: int = 0


def file_records(facts: Sequence[FileFact]) -> Made:
    """Return records of the ring of long file names; a text is cut at 4,095 bytes, and flagged."""
    words, view = blank("file1", len(facts))
    for row, fact in zip(view, facts, strict=True):
        head, texts = row["head"], [text[:_LONGEST] for text in fact.texts]
        head["action"], head["ts"] = fact.action, fact.ts
        if fact.who is not None:
            head["who"] = fact.who
        if texts != list(fact.texts):
            head["flags"] = FLAG_TRUNCATED_PATH
        row["inode"], row["dev"], row["ret"], row["open_flags"] = fact.inode, fact.device, fact.ret, fact.mark
        row["present"] = (fact.number is not None) * FILE_HAS_FIRST | (fact.inode != 0)
        row["numbers"][0] = fact.number or 0
        row["lens"][: len(texts)] = [len(text) for text in texts]
        whole = b"".join(texts)
        row["text"].view(np.uint8)[: len(whole)] = np.frombuffer(whole, np.uint8)
    return _WIDE, words[:, : RINGS["file1"].used(words)].copy()


class Stamps:
    """Gives such records the numbers by which losses would be seen: the source's own, on no CPU in particular."""

    def __init__(self) -> None:
        self._seq = 0

    def stamp(self, made: Made) -> Records:
        """Number the records in place and return them."""
        ring, words = made
        view = KINDS[ring].view(words)
        head = view["head"]
        head["version"], head["source"], head["cpu"] = RECORD_VERSION, SOURCES.index(RECORDER), 0
        head["seq"] = self._seq + 1 + np.arange(len(view), dtype=np.uint64)
        self._seq += len(view)
        return view


#: of what is nobody's
NOBODY = np.zeros((), WHO)
