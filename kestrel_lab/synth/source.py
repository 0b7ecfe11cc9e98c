"""Synthetic events as a source of epochs."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from typing import Any

from kestrel_lab.schema.epoch import End, Epoch, SourceInfo
from kestrel_lab.schema.mark import SYNTHETIC
from kestrel_lab.schema.schema import BUILTIN
from kestrel_lab.synth.maker import HOST, Maker
from kestrel_lab.synth.options import SynthOptions


class SyntheticSource:
    """Events of a machine that does not exist. Satisfies `EpochSource`; says what it is in `info`, always.

    Args:
        options: what to make; the same options give the same events, in whatever epochs.
    """

    def __init__(self, options: SynthOptions) -> None:
        self.options = options
        self.end: End = "growing"
        self._info = _info(options)

    @property
    def info(self) -> SourceInfo:
        """What is true of the recording; `extra["synthetic"]` is the mark."""
        return self._info

    @property
    def facts(self) -> dict[str, Any]:
        """What the manifest's facts hold beside it: the mark once more."""
        return {SYNTHETIC: self.options.facts()}

    def epochs(self, start: int = 0) -> Iterator[Epoch]:
        """Yield epochs from number `start` on; those before are made and passed over."""
        self.end = "growing"
        for epoch in Maker(self.options).epochs():
            if epoch.number >= start:
                yield epoch
        self.end = "sealed"


def _info(options: SynthOptions) -> SourceInfo:
    mark = options.facts()
    name = blake2b(repr(sorted(mark.items())).encode(), digest_size=8).hexdigest()
    host = {"host.os.type": "linux", "host.name": HOST, "host.id": f"{HOST}-{options.seed}"}
    return SourceInfo(f"{HOST}-{name}", host, BUILTIN, HOST, {SYNTHETIC: mark})
