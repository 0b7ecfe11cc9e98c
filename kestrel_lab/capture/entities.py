"""Process images: who acted, keyed by (tgid, start time, exec_seq), and their rows in the segment's entity table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kestrel_lab.capture.snapshot import copy_entities
from kestrel_lab.schema.build import GrowingSegment
from kestrel_lab.schema.fields import PRECISION_EVENT, PRECISION_UNSEEN
from kestrel_lab.schema.ids import entity_id

#: (tgid, group leader's start_boottime in ns, self_exec_id)
Key = tuple[int, int, int]

#: how long an image that ended can still be named by an event that arrives late, ns
GRACE_NS = 10_000_000_000
#: generations above a live image that a new segment keeps; without a limit a chain of daemons would grow for ever
MAX_ANCESTORS = 64

_STRINGS = ("name", "executable", "working_directory")
_COLUMNS = ("entity_id", "pid", "start_ns", "exec_seq", "parent", "first_event_id", "precision", "truncated", *_STRINGS)


@dataclass(slots=True)
class Image:
    """One row of the entity table; strings are codes of the current segment."""

    key: Key
    entity_id: bytes
    parent: int
    first_event_id: int
    precision: int
    truncated: int = 0
    name: int = 0
    executable: int = 0
    working_directory: int = 0
    args: tuple[int, ...] = ()
    ref: int = 0
    gone_ns: int = 0  #: when it ended or was replaced; 0 while it runs

    @property
    def pid(self) -> int:
        """The thread group id."""
        return self.key[0]

    @property
    def start_ns(self) -> int:
        """The group leader's start time, boot ns."""
        return self.key[1]

    @property
    def exec_seq(self) -> int:
        """The process's self_exec_id."""
        return self.key[2]


@dataclass(frozen=True, slots=True)
class ImageTexts:
    """What an exec says of the new image; None or empty where it could not be read."""

    name: bytes | None
    executable: bytes | None
    working_directory: bytes | None
    args: Sequence[bytes]
    truncated: int = 0


def file_name(path: bytes | None, comm: bytes | None) -> bytes | None:
    """Return process.name: the last part of the executable, else the kernel's short name."""
    return (path or b"").rpartition(b"/")[2] or comm or None


class Images:
    """Every image that an event may still name.

    Args:
        boot_id: the kernel's boot id, 16 bytes.
        segment: the segment to write rows to.
    """

    def __init__(self, boot_id: bytes, segment: GrowingSegment) -> None:
        self._boot_id = boot_id
        self.segment = segment
        self._by_key: dict[Key, Image] = {}
        self._current: dict[int, Image] = {}
        self._gone: list[Image] = []
        self._new: list[Image] = []

    def __len__(self) -> int:
        return len(self._by_key)

    def ref(self, key: Key) -> int | None:
        """Return the entity row of an image, None if there is no such image."""
        found = self._by_key.get(key)
        return None if found is None else found.ref

    def fork(self, key: Key, creator: Key, event_id: int, comm: bytes, ts: int) -> None:
        """Add a new process: until it execs it is its creator's image under another pid."""
        if key in self._by_key:
            return
        parent = self._by_key.get(creator) or self.unseen(creator, event_id, comm, ts)
        image = self._image(key, parent.ref, event_id, PRECISION_EVENT)
        image.name, image.executable, image.working_directory = parent.name, parent.executable, parent.working_directory
        image.args, image.truncated = parent.args, parent.truncated
        self._add(image, ts)

    def exec(self, key: Key, creator: Key, event_id: int, texts: ImageTexts, ts: int) -> None:
        """Add the image that an exec made. Its parent is the one frozen at fork; `creator` only where that was lost."""
        before = self._current.get(key[0])
        known = before is not None and before.start_ns == key[1]
        parent = before.parent if before is not None and known else self._creator_ref(creator, event_id, ts)
        self.describe(key, parent, event_id, PRECISION_EVENT, texts, ts)

    def describe(
        self, key: Key, parent: int, event_id: int, precision: int, texts: ImageTexts, ts: int
    ) -> Image:  # fmt: skip
        """Add an image with these texts."""
        image = self._image(key, parent, event_id, precision)
        strings = self.segment.strings
        image.name = strings("entity:name").code(texts.name)
        image.executable = strings("entity:executable").code(texts.executable)
        image.working_directory = strings("entity:working_directory").code(texts.working_directory)
        code = strings("entity:args").code
        image.args = tuple([code(arg) for arg in texts.args])
        image.truncated = texts.truncated
        self._add(image, ts)
        return image

    def unseen(self, key: Key, event_id: int, comm: bytes, ts: int) -> Image:
        """Add an image whose fork or exec was lost: its name is the kernel's, what an earlier image had is not used."""
        if not key[0] and not key[1]:
            return self._image(key, 0, 0, PRECISION_UNSEEN)
        before = self._current.get(key[0])
        parent = before.parent if before is not None and before.start_ns == key[1] else 0
        texts = ImageTexts(comm or None, None, None, ())
        return self.describe(key, parent, event_id, PRECISION_UNSEEN, texts, ts)

    def end(self, key: Key, ts: int) -> None:
        """Note that a process ended."""
        image = self._current.get(key[0])
        if image is not None and image.start_ns == key[1]:
            del self._current[key[0]]
            self._retire(image, ts)

    def flush(self) -> None:
        """Write the new images to the entity table. An epoch ends with this."""
        new, self._new = self._new, []
        if new:
            columns = {name: [getattr(image, name) for image in new] for name in _COLUMNS}
            self.segment.entities.extend(columns, {"args": [image.args for image in new]})

    def forget(self, now_ns: int) -> None:
        """Drop images that ended longer ago than any event could still name them."""
        keep = 0
        for image in self._gone:
            if image.gone_ns + GRACE_NS > now_ns:
                break
            keep += 1
            if self._by_key.get(image.key) is image:
                del self._by_key[image.key]
        del self._gone[:keep]

    def move(self, segment: GrowingSegment) -> None:
        """Continue in a new segment: the images kept and their ancestors are copied there under new refs."""
        old, self.segment = self.segment, segment
        kept = list(self._by_key.values())
        moved = copy_entities(old, segment, [image.ref for image in kept], MAX_ANCESTORS)
        entities = segment.entities
        names = [entities.column(column).tolist() for column in _STRINGS]
        parents = entities.column("parent").tolist()
        offsets, codes = entities.lists("args")
        starts, args = offsets.tolist(), codes.tolist()
        for image in kept:
            ref = image.ref = int(moved[image.ref])
            image.parent = parents[ref]
            image.name, image.executable, image.working_directory = (column[ref] for column in names)
            image.args = tuple(args[starts[ref] : starts[ref + 1]])

    def _creator_ref(self, creator: Key, event_id: int, ts: int) -> int:
        found = self._by_key.get(creator)
        return found.ref if found is not None else self.unseen(creator, event_id, b"", ts).ref

    def _image(self, key: Key, parent: int, event_id: int, precision: int) -> Image:
        return Image(key, entity_id(self._boot_id, key[0], key[1]), parent, event_id, precision)

    def _add(self, image: Image, ts: int) -> None:
        image.ref = len(self.segment.entities) + len(self._new)
        self._new.append(image)
        self._by_key[image.key] = image
        before = self._current.get(image.pid)
        if before is not None and (before.start_ns, before.exec_seq) > (image.start_ns, image.exec_seq):
            self._retire(image, ts)  # an older image, named late
            return
        if before is not None:
            self._retire(before, ts)
        self._current[image.pid] = image

    def _retire(self, image: Image, ts: int) -> None:
        image.gone_ns = ts
        self._gone.append(image)
