"""Contents of what is executed: read once each, hashed, and kept if somebody keeps them. A thread of its own reads, so
that capture never waits for a disk but for a moment, and only for images whose exec is about to be told.
"""

from __future__ import annotations

import errno
import os
import threading
import time
from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import Protocol

from kestrel_lab.capture.executed import Wanted
from kestrel_lab.capture.host import boot_ns
from kestrel_lab.capture.made import FileFact
from kestrel_lab.capture.reading import Identity, read_content
from kestrel_lab.schema.schema import BUILTIN

HASHED = BUILTIN.action_code("file", "content_hash")
#: how long an exec may wait for the hash of its image, s
PATIENCE_S = 0.1
#: files that are larger are not read, bytes
LIMIT = 256 << 20
_REMEMBERED = 65_536
_WAITING = 16_384


class Blob(Protocol):
    """A content that is being stored."""

    def write(self, chunk: bytes) -> None:
        """Take the next bytes."""
        ...

    def keep(self, sha256: bytes, size: int) -> bool:
        """Store it under its hash, once; return whether it is there now."""
        ...

    def drop(self) -> None:
        """Forget it."""
        ...


class Keeper(Protocol):
    """Where contents are kept."""

    def begin(self) -> Blob:
        """Return a new content to be filled."""
        ...


@dataclass(frozen=True, slots=True)
class Known:
    """A content that was read: hexadecimal sha256, size in bytes, whether it is kept."""

    sha256: bytes
    size: int
    kept: bool


class Contents:
    """The files that were executed, and the thread that reads them.

    Args:
        limit: files larger than so many bytes are not read.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._changed = threading.Condition()
        self._urgent, self._others = deque[Wanted](), deque[Wanted]()
        self._open: dict[Identity, float] = {}  # images asked for, and until when somebody waits
        self._known: OrderedDict[Identity, Known] = OrderedDict()
        self._told: OrderedDict[tuple[bytes, bytes, bool], None] = OrderedDict()
        self._facts: list[FileFact] = []
        self._thread: threading.Thread | None = None
        self._reading = self._stopped = False
        self.keeper: Keeper | None = None  #: to be set before `start`

    def start(self) -> None:
        """Begin to read. What was asked for before has waited."""
        if self._thread is None and not self._stopped:
            self._thread = threading.Thread(target=self._run, name="contents", daemon=True)
            self._thread.start()

    def want(self, wanted: Wanted, patience_s: float = 0.0) -> None:
        """Ask for a file; an image that was asked for before is not read again.

        Args:
            patience_s: how long an epoch may wait for it.
        """
        identity = wanted.identity
        with self._changed:
            if identity is not None and self._asked(wanted, identity, patience_s):
                return
            if len(self._urgent) + len(self._others) >= _WAITING:
                self._fail(wanted, errno.ENOBUFS)
                return
            if identity is not None:
                self._open[identity] = time.monotonic() + patience_s if patience_s else 0.0
            (self._urgent if patience_s else self._others).append(wanted)
            self._changed.notify_all()

    def _asked(self, wanted: Wanted, identity: Identity, patience_s: float) -> bool:
        """Whether an image was asked for before; it may have another name now, or be wanted sooner."""
        known = self._known.get(identity)
        if known is not None:
            self._tell(wanted, (identity, known))
            return True
        if identity not in self._open:
            return False
        if patience_s and not self._open[identity]:
            self._open[identity] = time.monotonic() + patience_s
            sooner = [one for one in self._others if one.identity == identity]
            self._others = deque(one for one in self._others if one.identity != identity)
            self._urgent.extend(sooner)
        return True

    def known(self, identity: Identity) -> bytes | None:
        """Return the sha256 of an image, hexadecimal, if it is known by now."""
        found = self._known.get(identity)
        return None if found is None else found.sha256

    def settle(self) -> None:
        """Wait for the images whose execs are about to be told, as long as each may take."""
        with self._changed:
            while self._thread is not None and not self._stopped:
                left = max(self._open.values(), default=0.0) - time.monotonic()
                if left <= 0 or not self._changed.wait(left):
                    return

    def facts(self) -> list[FileFact]:
        """Return (once) what was found since the last call, in the order found."""
        with self._changed:
            facts, self._facts = self._facts, []
        return facts

    def stop(self, patience_s: float = 0.0) -> None:
        """Read what was asked for, so long; then give up the rest, which has failed."""
        ends = time.monotonic() + patience_s
        with self._changed:
            while self._thread is not None and (self._reading or self._urgent or self._others):
                if not self._changed.wait(max(0.0, ends - time.monotonic())):
                    break
            self._stopped = True
            for wanted in (*self._urgent, *self._others):
                self._fail(wanted, errno.ETIMEDOUT)
            self._urgent.clear()
            self._others.clear()
            self._changed.notify_all()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not (self._urgent or self._others or self._stopped):
                    self._changed.wait()
                if self._stopped:
                    return
                wanted = (self._urgent or self._others).popleft()
                self._reading = True
            try:
                found = self._find(wanted)
            except Exception:  # whatever it is, the recorder must not wait for a thread that is gone
                found = errno.EIO
            with self._changed:
                self._reading = False
                self._tell(wanted, found)
                if wanted.identity is not None:
                    self._open.pop(wanted.identity, None)
                self._changed.notify_all()

    def _find(self, wanted: Wanted) -> tuple[Identity, Known] | int:
        """Return which file it is and what is in it, or the errno of why that is not known."""
        failure = errno.ENOENT
        for way, runs in wanted.ways():
            try:
                with way() as fd:
                    identity = wanted.check(os.fstat(fd), runs=runs)
                    return identity, self._known.get(identity) or self._read(fd, identity)
            except OSError as error:
                code = error.errno or errno.EIO
                failure = code if failure == errno.ENOENT else failure
        return failure

    def _read(self, fd: int, identity: Identity) -> Known:
        blob = self.keeper.begin() if self.keeper else None
        try:
            digest, size = read_content(fd, self._limit, blob.write if blob else _nowhere)
        except BaseException:
            if blob:
                blob.drop()
            raise
        known = Known(digest, size, blob is not None and blob.keep(digest, size))
        with self._changed:
            self._known[identity] = known
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return known

    def _tell(self, wanted: Wanted, found: tuple[Identity, Known] | int) -> None:
        if isinstance(found, int):
            self._fail(wanted, found)
            return
        identity, known = found
        if self._new(wanted, known.sha256):
            texts = (wanted.path, known.sha256, wanted.role)
            place = known.size, identity.inode, identity.device
            self._facts.append(FileFact(HASHED, boot_ns(), wanted.who, texts, *place, mark=int(known.kept)))

    def _fail(self, wanted: Wanted, code: int) -> None:
        if self._new(wanted, b"%d" % code):
            one = wanted.identity
            inode, device = (one.inode, one.device) if one else (0, 0)
            texts = (wanted.path, b"", wanted.role)
            self._facts.append(FileFact(HASHED, boot_ns(), wanted.who, texts, None, inode, device, -code))

    def _new(self, wanted: Wanted, what: bytes) -> bool:
        """Return whether that was not told of this path yet."""
        key = wanted.path, what, wanted.image
        if key in self._told:
            return False
        self._told[key] = None
        if len(self._told) > _REMEMBERED:
            self._told.popitem(last=False)
        return True


def _nowhere(chunk: bytes) -> None:
    """Take a chunk that nobody keeps."""
