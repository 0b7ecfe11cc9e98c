"""Process images: who acted, keyed by (tgid, start time, exec_seq), and their rows in the segment's entity table."""

from __future__ import annotations

from kestrel_lab.capture.cgroups import Cgroups, container_id
from kestrel_lab.capture.image import COLUMNS, LINKS, LISTS, STRINGS, Image, ImageTexts
from kestrel_lab.capture.leaders import entry_type
from kestrel_lab.capture.records import NAMESPACES
from kestrel_lab.capture.snapshot import copy_entities
from kestrel_lab.capture.standing import UNKNOWN, Key, Standing
from kestrel_lab.capture.users import Names, users
from kestrel_lab.schema.build import GrowingSegment
from kestrel_lab.schema.columns import PRECISION_EVENT, PRECISION_UNSEEN
from kestrel_lab.schema.ids import entity_id

#: how long an image that ended can still be named by an event that arrives late, ns
GRACE_NS = 10_000_000_000
#: generations above a live image that a new segment keeps; without a limit a chain of daemons would grow for ever
MAX_ANCESTORS = 64


#: where a process stands among others, as far as an exec does not change it
_KEPT = (
    "pgid", "sid", "real_parent", "group_leader", "session_leader", "entry_leader", "entry_type", "audit_user_id",
    "audit_session", "vpid", "tty_major", "tty_minor", "cgroup", "container_id",
    *(f"ns_{name}" for name in NAMESPACES),
)  # fmt: skip


def file_name(path: bytes | None, comm: bytes | None) -> bytes | None:
    """Return process.name: the last part of the executable, else the kernel's short name."""
    return (path or b"").rpartition(b"/")[2] or comm or None


class Images:
    """Every image that an event may still name.

    Args:
        boot_id: the kernel's boot id, 16 bytes.
        segment: the segment to write rows to.
        names: of users; those of this host if none are given.
        cgroups: of this host if none are given.
    """

    def __init__(
        self, boot_id: bytes, segment: GrowingSegment, names: Names | None = None, cgroups: Cgroups | None = None
    ) -> None:
        self._boot_id = boot_id
        self.cgroups = cgroups or Cgroups()
        self._names = names or users()
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

    def ref_of(self, key: Key, event_id: int, ts: int) -> int:
        """Return the entity row of an image, one that nothing is known of if there is none; 0 for the kernel's own."""
        found = self._by_key.get(key)
        return found.ref if found is not None else self.unseen(key, event_id, b"", ts).ref

    def running(self, pid: int) -> int:
        """Return the entity row of the process that runs under a pid of the initial namespace, 0 for none."""
        found = self._current.get(pid)
        return 0 if found is None else found.ref

    def sees_all(self, key: Key) -> bool:
        """Whether a process is known to be in the initial pid namespace."""
        found = self._by_key.get(key)
        return found is not None and found.vpid == found.pid + 1

    def fork(
        self, key: Key, creator: Key, event_id: int, comm: bytes, ts: int, standing: Standing = UNKNOWN
    ) -> None:  # fmt: skip
        """Add a new process: until it execs it is its creator's image under another pid."""
        if key in self._by_key:
            return
        parent = self._by_key.get(creator) or self.unseen(creator, event_id, comm, ts)
        real_parent = self.ref_of(standing.real_parent, event_id, ts)
        image = self._image(key, parent.ref, event_id, PRECISION_EVENT)
        image.name, image.executable, image.working_directory = parent.name, parent.executable, parent.working_directory
        image.args, image.env, image.truncated = parent.args, parent.env, parent.truncated
        image.sha256 = parent.sha256
        image.real_parent = real_parent
        self._add(image, ts)
        self._place(image, standing, parent)

    def exec(
        self, key: Key, event_id: int, texts: ImageTexts, ts: int, standing: Standing = UNKNOWN
    ) -> None:  # fmt: skip
        """Add the image that an exec made. Its parent is the one frozen at fork; its real parent only where that was
        lost."""
        before = self._before(key)
        real_parent = self.ref_of(standing.real_parent, event_id, ts)
        image = self._described(key, before.parent if before else real_parent, event_id, PRECISION_EVENT, texts)
        image.real_parent = real_parent
        image.previous = before.ref if before else 0
        self._add(image, ts)
        self._place(image, standing, before or self._by_key.get(standing.real_parent))

    def found(self, key: Key, precision: int, texts: ImageTexts, ts: int, standing: Standing) -> None:
        """Add a process that ran already; its parent is the one it has now. Parents come before their children."""
        parent = self._by_key.get(standing.real_parent)
        image = self._described(key, parent.ref if parent else 0, 0, precision, texts)
        image.real_parent = image.parent
        self._add(image, ts)
        self._place(image, standing, parent)

    def unseen(self, key: Key, event_id: int, comm: bytes, ts: int) -> Image:
        """Add an image whose fork or exec was lost: its name is the kernel's, what an earlier image had is not used
        but for its place among others."""
        if not key[0] and not key[1]:
            return self._image(key, 0, 0, PRECISION_UNSEEN)
        before = self._before(key)
        texts = ImageTexts(comm or None, None, None, ())
        image = self._described(key, before.parent if before else 0, event_id, PRECISION_UNSEEN, texts)
        if before:
            image.previous = before.ref
            for name in _KEPT:
                setattr(image, name, getattr(before, name))
        self._add(image, ts)
        return image

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
            columns = {name: [getattr(image, name) for image in new] for name in COLUMNS}
            self.segment.entities.extend(columns, {name: [getattr(image, name) for image in new] for name in LISTS})

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
        columns = [(name, entities.column(name).tolist()) for name in (*LINKS, *STRINGS)]
        lists = [(name, *(part.tolist() for part in entities.lists(name))) for name in LISTS]
        for image in kept:
            ref = image.ref = int(moved[image.ref])
            for name, values in columns:
                setattr(image, name, values[ref])
            for name, starts, codes in lists:
                setattr(image, name, tuple(codes[starts[ref] : starts[ref + 1]]))

    def _before(self, key: Key) -> Image | None:
        """Return the image that a process had until now."""
        found = self._current.get(key[0])
        return found if found is not None and found.start_ns == key[1] else None

    def _image(self, key: Key, parent: int, event_id: int, precision: int) -> Image:
        return Image(key, entity_id(self._boot_id, key[0], key[1]), parent, event_id, precision)

    def _described(self, key: Key, parent: int, event_id: int, precision: int, texts: ImageTexts) -> Image:
        image = self._image(key, parent, event_id, precision)
        strings = self.segment.strings
        image.name = strings("entity:name").code(texts.name)
        image.executable = strings("entity:executable").code(texts.executable)
        image.working_directory = strings("entity:working_directory").code(texts.working_directory)
        code = strings("entity:args").code
        image.args = tuple([code(arg) for arg in texts.args])
        code = strings("entity:env").code
        image.env = tuple([code(variable) for variable in texts.env])
        image.truncated = texts.truncated
        image.sha256 = strings("entity:sha256").code(texts.sha256)
        return image

    def _place(self, image: Image, standing: Standing, kin: Image | None) -> None:
        """Say where an image stands; `kin` is the one before it in its process, or the process that made it."""
        image.pgid, image.sid = standing.pgid, standing.sid
        image.group_leader = self._leader(image, standing.pgid, (kin.pgid, kin.group_leader) if kin else (0, 0))
        image.session_leader = self._leader(image, standing.sid, (kin.sid, kin.session_leader) if kin else (0, 0))
        self._enter(image, standing, kin)
        image.user_id = self._number("user_id", standing.euid)
        image.group_id = self._number("group_id", standing.egid)
        image.real_user_id = self._number("real_user_id", standing.ruid)
        image.real_group_id = self._number("real_group_id", standing.rgid)
        image.user_name = self.segment.strings("entity:user_name").code(self._names.of(standing.euid))
        image.audit_user_id = self._number("audit_user_id", standing.login_uid)
        image.audit_session = self._number("audit_session", standing.audit_session)
        image.vpid = standing.vpid + 1 if standing.vpid else 0
        if standing.tty:
            image.tty_major, image.tty_minor = standing.tty_major + 1, standing.tty_minor + 1
        path = self.cgroups.path(standing.cgroup, standing.cgroup1)
        image.cgroup = self.segment.strings("entity:cgroup").code(path)
        image.container_id = self.segment.strings("entity:container_id").code(container_id(path))
        for name, number in zip(NAMESPACES, standing.namespaces, strict=True):
            setattr(image, f"ns_{name}", number and number + 1)
        image.interactive = 0 if standing.interactive is None else 1 + standing.interactive

    def _leader(self, image: Image, pid: int, of_kin: tuple[int, int]) -> int:
        """Return the image of a leader. A pid is not used again while a group or a session has its number."""
        if not pid:
            return 0
        if pid == image.pid:
            return image.ref
        current = self._current.get(pid)
        if current is not None:
            return current.ref
        return of_kin[1] if of_kin[0] == pid else 0

    def _enter(self, image: Image, standing: Standing, kin: Image | None) -> None:
        above = self._by_key.get(standing.real_parent)
        found = entry_type(image.pid, self._name(image), self._name(above) if above else b"", standing)
        if found is not None:
            image.entry_leader, image.entry_type = image.ref, self.segment.strings("entity:entry_type").code(found)
        elif kin is not None:
            image.entry_leader, image.entry_type = kin.entry_leader, kin.entry_type

    def _name(self, image: Image) -> bytes:
        return self.segment.strings("entity:name").values(image.name, image.name + 1)[0] if image.name else b""

    def _number(self, column: str, number: int | None) -> int:
        return 0 if number is None else self.segment.strings(f"entity:{column}").code(b"%d" % number)

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
