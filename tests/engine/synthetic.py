"""Large synthetic epochs, made of columns at once: a busy machine's mix of processes, files and connections."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from kestrel_lab.schema.build import ArrayRows, GrowingSegment
from kestrel_lab.schema.epoch import Epoch, Rows

ROWS = 65_536
_ACTIONS = np.array([1, 2, 3, 10, 11, 12, 13, 20, 21, 22], np.uint8)
_SHARES = np.array([12, 12, 12, 10, 25, 5, 8, 7, 6, 3]) / 100
_TABLE = {1: "process", 2: "process", 3: "process", 10: "file", 11: "file", 12: "file", 13: "file"}
_PROGRAMS = [b"bash", b"sh", b"ls", b"cc1", b"ld", b"git", b"python3", b"make", b"sed", b"grep", b"node", b"postgres"]


#: A storm of files made, opened and deleted.
STORM = np.array([0, 0, 0, 17, 66, 0, 17, 0, 0, 0]) / 100


class Machine:
    """Epochs of one segment, the same for the same seed.

    `fresh_paths` is the share of file events with a path never seen, in `folder`; `shares` are those of the actions.
    """

    def __init__(
        self,
        seed: int = 1,
        fresh_paths: float = 0.05,
        folder: bytes = b"/home/user/build",
        shares: np.ndarray = _SHARES,
    ) -> None:
        self._random = np.random.default_rng(seed)
        self._fresh, self._folder, self._shares = fresh_paths, folder, shares
        self.segment = GrowingSegment(0)
        entity = self.segment.strings
        self._names = [entity("entity:name").code(p) for p in _PROGRAMS]
        self._executables = [entity("entity:executable").code(b"/usr/bin/" + p) for p in _PROGRAMS]
        arguments = [entity("entity:args").code(b"--option-%d=/srv/data/%d" % (i, i)) for i in range(400)]
        self._lists = [
            [entity("entity:args").code(_PROGRAMS[i % len(_PROGRAMS)]), *self._random.choice(arguments, 1 + i % 5)]
            for i in range(300)
        ]
        self._living = [self._entity(0) for _ in range(200)]
        file = self.segment.strings("file:file.path")
        self._paths = [file.code(b"/home/user/project/src/module%d/file%d.c" % (i % 37, i)) for i in range(5000)]
        self._serial = 0

    def _entity(self, parent: int) -> int:
        kind = int(self._random.integers(len(self._lists)))
        program = kind % len(_PROGRAMS)
        number = len(self.segment.entities)
        return self.segment.entities.add(
            {"entity_id": number.to_bytes(16, "little"), "pid": number & 0x3FFFFF, "parent": parent,
             "name": self._names[program], "executable": self._executables[program], "args": self._lists[kind]}
        )  # fmt: skip

    def epochs(self, count: int, rows: int = ROWS) -> Iterator[Epoch]:
        ts, running = 1_000_000_000, 0
        for number in range(count):
            stamps = ts + np.cumsum(self._random.integers(0, 4000, rows)).astype(np.uint64)
            yield self._epoch(number, rows, stamps, running)
            ts = running = int(stamps[-1])

    def _epoch(self, number: int, rows: int, stamps: np.ndarray, running: int) -> Epoch:
        actions = self._random.choice(_ACTIONS, rows, p=self._shares)
        entity = self._random.choice(self._living, rows).astype(np.uint32)
        for row in np.flatnonzero(actions <= 2).tolist():
            entity[row] = self._entity(int(entity[row]))
        self._living = [*self._living, *np.unique(entity)[-50:].tolist()][-200:]
        names = np.array([_TABLE.get(int(a), "network") for a in range(256)])[actions]
        ids = np.arange(1 + number * rows, 1 + (number + 1) * rows, dtype=np.uint64)
        tables: dict[str, Rows] = {}
        for table in ("process", "file", "network"):
            which = np.flatnonzero(names == table)
            columns = {
                "event_id": ids[which], "ts_boot_ns": stamps[which], "action": actions[which],
                "entity": entity[which],
                "user.id": np.full(len(which), self.segment.strings(f"{table}:user.id").code(b"1000"), np.int32),
                **self._own(table, len(which)),
            }  # fmt: skip
            tables[table] = ArrayRows(table, len(which), columns)
        return Epoch(
            number=number, segment=self.segment, first_event_id=int(ids[0]), rows=rows,
            ts_min_ns=int(stamps[0]), ts_max_ns=int(stamps[-1]), event_time_ns=running,
            clock_boot_ns=0, clock_wall_ns=10**18, tables=tables,
            string_counts=self.segment.string_counts(), entity_count=len(self.segment.entities),
        )  # fmt: skip

    def _own(self, table: str, rows: int) -> dict[str, np.ndarray]:
        if table == "process":
            name = self.segment.strings("process:process.Ext.filename")
            codes = [name.code(b"/usr/bin/" + p) for p in _PROGRAMS]
            return {"process.Ext.filename": self._random.choice(codes, rows).astype(np.int32)}
        if table == "network":
            address = self.segment.strings("network:destination.ip")
            codes = [address.code(b"10.0.0.%d" % i) for i in range(200)]
            return {
                "destination.ip": self._random.choice(codes, rows).astype(np.int32),
                "destination.port": self._random.integers(1, 65536, rows).astype(np.uint16),
            }
        paths = self._random.choice(self._paths, rows).astype(np.int32)
        for row in np.flatnonzero(self._random.random(rows) < self._fresh).tolist():
            self._serial += 1
            paths[row] = self.segment.strings("file:file.path").code(self._folder + b"/obj%d.o" % self._serial)
        return {"file.path": paths}
