"""From ordered raw records to epochs: entities, columns, segments."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from kestrel_lab.capture.acts import Targets, target_columns
from kestrel_lab.capture.config import CaptureConfig
from kestrel_lab.capture.credentials import Credentials
from kestrel_lab.capture.entities import Images, file_name
from kestrel_lab.capture.files import file_columns
from kestrel_lab.capture.image import ImageTexts
from kestrel_lab.capture.intern import group
from kestrel_lab.capture.order import Piece
from kestrel_lab.capture.records import HEAD, KINDS, RINGS
from kestrel_lab.capture.ring import Records, Words
from kestrel_lab.capture.sockets import network_columns
from kestrel_lab.capture.standing import Key, read_standing
from kestrel_lab.capture.tables import (
    END,
    EXEC,
    FORK,
    Columns,
    Part,
    Valid,
    process_columns,
)
from kestrel_lab.schema.build import ArrayRows, GrowingSegment
from kestrel_lab.schema.columns import FLAG_LATE, FLAG_TRUNCATED_ARGS
from kestrel_lab.schema.epoch import Epoch, Gap
from kestrel_lab.schema.schema import BUILTIN

Index = npt.NDArray[np.intp]

_TABLE_OF_RING = ["network" if r == "net" else "file" if r.startswith("file") else "process" for r in RINGS]
_TABLES = ("process", "file", "network")
_IMAGE_RINGS = np.array([r == "proc" or r.startswith("exec") for r in RINGS])
_CGROUP = BUILTIN.action_code("file", "cgroup_creation")
_ACTS = tuple(RINGS).index("act")
_RING_TABLE = np.array([_TABLES.index(t) for t in _TABLE_OF_RING], np.uint8)


class EpochBuilder:
    """Builds the epochs of one recording.

    Args:
        config: its limits.
        boot_id: the kernel's boot id, 16 bytes.
        hash_of: gives the sha256 (hexadecimal) of the image of an exec, from its record, if it is known by now.
    """

    def __init__(
        self, config: CaptureConfig, boot_id: bytes, hash_of: Callable[[Any], bytes | None] = lambda _: None
    ) -> None:
        self._config, self._hash_of = config, hash_of
        self.segment = GrowingSegment(0)
        self._credentials = Credentials()
        self.images = Images(boot_id, self.segment, self._credentials.users)
        self.next_event_id = 1
        self.number = 0
        self._segment_rows = self._segment_from = 0
        self._event_time = 0

    def build(self, pieces: Sequence[Piece], gaps: Callable[[int], tuple[Gap, ...]]) -> Epoch:
        """Return the next epoch. `gaps` is asked for the gap rows, given the epoch's first event_id."""
        raw = _Raw(pieces)
        self._roll(int(raw.ts[0]))
        first = self.next_event_id
        entity = self._entities(raw, first)
        targets = self._targets(raw, first)
        self.images.flush()
        tables, late = {}, False
        for index, name in enumerate(_TABLES):
            rows = np.flatnonzero(_RING_TABLE[raw.ring] == index)
            if len(rows):
                tables[name], was_late = self._table(name, raw, rows, first, entity, targets)
                late |= was_late
        boot = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        epoch = Epoch(
            number=self.number, segment=self.segment, first_event_id=first, rows=len(raw.ts),
            ts_min_ns=int(raw.ts.min()), ts_max_ns=int(raw.ts.max()), event_time_ns=self._event_time,
            clock_boot_ns=boot, clock_wall_ns=time.time_ns(), tables=tables,
            string_counts=self.segment.string_counts(), entity_count=len(self.segment.entities),
            late=late, gaps=gaps(first),
        )  # fmt: skip
        self._advance(epoch)
        return epoch

    def _advance(self, epoch: Epoch) -> None:
        self._event_time = epoch.event_time_after_ns
        self.next_event_id += epoch.rows
        self.number += 1
        self._segment_rows += epoch.rows
        self.images.forget(epoch.ts_max_ns)

    def _roll(self, now_ns: int) -> None:
        """Begin a new segment if this one is large or old enough; live images and their ancestors are copied to it."""
        config, segment = self._config, self.segment
        self._segment_from = self._segment_from or now_ns
        old = config.segment_ns is not None and now_ns - self._segment_from >= config.segment_ns
        if (
            not (old and self._segment_rows)
            and self._segment_rows < config.segment_rows
            and len(segment.entities) < config.segment_entities
            and sum(segment.string_counts().values()) < config.segment_strings
            and segment.bytes < config.segment_bytes
        ):
            return
        self.segment = GrowingSegment(segment.index + 1)
        self.images.move(self.segment)
        self._segment_rows, self._segment_from = 0, now_ns

    def _entities(self, raw: _Raw, first: int) -> npt.NDArray[np.uint32]:
        """Make the images that this epoch's forks and execs begin, and return each event's entity row."""
        for at in np.flatnonzero(raw.action == _CGROUP).tolist():
            self._cgroup(raw.record(at))
        for at in np.flatnonzero(_IMAGE_RINGS[raw.ring]).tolist():
            self._process_event(raw.record(at), first + at)
        who = raw.who
        firsts, inverse = group(who["tgid"], who["start"], who["exec_seq"])
        refs = np.zeros(len(firsts), np.uint32)
        for i, at in enumerate(firsts.tolist()):
            one = who[at]
            key = _key(one)
            ref = self.images.ref(key)
            refs[i] = (
                self.images.unseen(key, first + at, _text(one["comm"]), int(raw.ts[at])).ref if ref is None else ref
            )
        return refs[inverse]

    def _targets(self, raw: _Raw, first: int) -> Targets | None:
        """Return whom the epoch's acts are about, if it has any; may make images that nothing was known of."""
        if _ACTS not in raw.records:
            return None
        return target_columns(self.images, raw.records[_ACTS], first + int(raw.positions[_ACTS][0]))

    def _cgroup(self, one: Any) -> None:
        size = int(one["lens"][0])
        path = one["text"].tobytes()[:size]
        self.images.cgroups.add(int(one["numbers"][0]), int(one["inode"]), path)

    def _process_event(self, one: Any, event_id: int) -> None:
        head = one["head"]
        who, ts = head["who"], int(head["ts"])
        key = _key(who)
        if head["action"] == FORK:
            creator = int(one["creator_tgid"]), int(one["creator_start"]), int(one["creator_exec_seq"])
            self.images.fork(key, creator, event_id, _text(who["comm"]), ts, read_standing(who, one["standing"]))
        elif head["action"] == EXEC:
            texts = _exec_texts(one, _text(who["comm"]), self._hash_of(one))
            self.images.exec(key, event_id, texts, ts, read_standing(who, one["standing"]))
        elif head["action"] == END:
            if self.images.ref(key) is None:
                self.images.unseen(key, event_id, _text(who["comm"]), ts)
            self.images.end(key, ts)

    def _table(
        self, name: str, raw: _Raw, rows: Index, first: int, entity: npt.NDArray[np.uint32], targets: Targets | None
    ) -> tuple[ArrayRows, bool]:
        flags = raw.flags[rows]
        who = raw.who if len(rows) == len(raw.ts) else raw.who[rows]
        action = raw.action[rows]
        columns: Columns
        valid: Valid
        parts = raw.parts(name, rows)
        if name == "process":
            columns, valid = process_columns(self.segment, parts, action, targets)
        elif name == "file":
            columns, valid = file_columns(self.segment, parts, flags)
        else:
            ((rec, _),) = parts  # one ring serves it
            columns, valid = network_columns(self.segment, rec, action)
        columns |= self._credentials.columns(self.segment, name, who, entity[rows] != 0)
        columns |= {
            "event_id": (rows + first).astype(np.uint64),
            "ts_boot_ns": raw.ts[rows],
            "action": action.astype(np.uint8),
            "cpu": raw.cpu[rows],
            "flags": flags,
            "entity": entity[rows],
            "process.thread.id": np.ascontiguousarray(who["tid"]),
        }
        return ArrayRows(name, len(rows), columns, valid), bool((flags & FLAG_LATE).any())


class _Raw:
    """The raw records of one epoch: by ring, and what all have in common in event order."""

    def __init__(self, pieces: Sequence[Piece]) -> None:
        rings = [np.array([b.ring for b in p.run.blocks], np.uint8)[p.run.block[p.start : p.stop]] for p in pieces]
        self.ring = np.concatenate(rings)
        self.ts = np.concatenate([p.run.ts[p.start : p.stop] for p in pieces])
        self.records: dict[int, Records] = {}
        self.positions: dict[int, Index] = {}
        self._row = np.empty(len(self.ring), np.intp)
        for ring in np.flatnonzero(np.bincount(self.ring)).tolist():
            at = np.flatnonzero(self.ring == ring)
            self.positions[ring] = at
            self._row[at] = np.arange(len(at))
            self.records[ring] = KINDS[ring].view(_gather(pieces, ring, len(at)))
        head = self._heads()
        self.who, self.action, self.cpu, self.flags = head["who"], head["action"], head["cpu"], head["flags"]

    def _heads(self) -> Records:
        heads = {ring: records["head"] for ring, records in self.records.items()}
        if len(heads) == 1:
            return next(iter(heads.values()))
        out = np.empty(len(self.ring), HEAD)
        for ring, head in heads.items():
            out[self.positions[ring]] = head
        return out

    def record(self, at: int) -> Any:
        """Return the record of the event at a position."""
        return self.records[int(self.ring[at])][self._row[at]]

    def parts(self, table: str, rows: Index) -> list[Part]:
        """Return each ring's records of one table, with the table rows they go to; `rows` are its positions."""
        return [
            (records, np.searchsorted(rows, self.positions[ring]))
            for ring, records in self.records.items()
            if _TABLE_OF_RING[ring] == table
        ]


def _gather(pieces: Sequence[Piece], ring: int, count: int) -> Words:
    """Return one ring's records in event order, as wide as the widest block."""
    blocks = [block.words.shape[1] for piece in pieces for block in piece.run.blocks if block.ring == ring]
    out = np.zeros((count, max(blocks)), np.uint64)
    at = 0
    for piece in pieces:
        block, row = piece.run.block[piece.start : piece.stop], piece.run.row[piece.start : piece.stop]
        mine = [i for i, b in enumerate(piece.run.blocks) if b.ring == ring]
        chosen = np.isin(block, mine) if len(mine) < len(piece.run.blocks) else np.ones(len(block), np.bool_)
        block, row = block[chosen], row[chosen]
        for i in mine:
            words = piece.run.blocks[i].words
            if len(mine) == 1:
                out[at : at + len(row), : words.shape[1]] = np.take(words, row, axis=0)
            else:
                own = np.flatnonzero(block == i)
                out[at + own, : words.shape[1]] = np.take(words, row[own], axis=0)
        at += len(row)
    return out


def _key(who: Any) -> Key:
    return int(who["tgid"]), int(who["start"]), int(who["exec_seq"])


def _text(comm: Any) -> bytes:
    return bytes(comm.tobytes().split(b"\0", 1)[0])


def _exec_texts(one: Any, comm: bytes, sha256: bytes | None) -> ImageTexts:
    exe_len, cwd_len, args_len = int(one["exe_len"]), int(one["cwd_len"]), int(one["args_len"])
    text = one["text"][: exe_len + cwd_len].tobytes()
    raw, args_size = one["args"][:args_len].tobytes(), int(one["args_size"])
    args, env = (part.removesuffix(b"\0").split(b"\0") if part else [] for part in (raw[:args_size], raw[args_size:]))
    exe = text[:exe_len] or None
    truncated = int(one["head"]["flags"])
    if not args_len and args_size:
        truncated |= FLAG_TRUNCATED_ARGS  # they could not be read
    return ImageTexts(file_name(exe, comm), exe, text[exe_len:] or None, args, truncated & 0xFF, env, sha256)
