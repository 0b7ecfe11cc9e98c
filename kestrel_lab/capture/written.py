"""What installing and recording write on a host, for one whose disk is evidence."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib.util import cache_from_source
from pathlib import Path

from kestrel_lab.capture.bcc_module import locate_bcc
from kestrel_lab.capture.headers import CACHE, SOURCES, find_headers
from kestrel_lab.schema.errors import KestrelError

PACKAGE = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class Written:
    """Something that is written to the host.

    Attributes:
        what: in words.
        where: the folder, below which it all lies.
        when: by what it is written.
        there: whether it is there already, so that nothing is written any more.
        instead: how to put it elsewhere, or do without.
    """

    what: str
    where: str
    when: str
    there: bool
    instead: str


def footprint() -> list[Written]:
    """Return all that installing and recording write on this host."""
    headers, (bcc, place) = _headers(), locate_bcc()
    merged = headers is not None and headers.is_relative_to(CACHE)
    return [
        Written("the recording", "-o DIR", "record", False,
                "name a folder of another disk: nothing else is written while it records, no temporary file either"),
        Written("header files, merged as links", str(headers if merged else CACHE),
                "the first record, where only Debian's split packages are", headers is not None and headers.exists(),
                "name a whole tree in BCC_KERNEL_SOURCE"),
        Written("Python's byte code", str(PACKAGE), "the first run of each module", _compiled(),
                "set PYTHONDONTWRITEBYTECODE=1, or PYTHONPYCACHEPREFIX to another disk"),
        Written("the program and its libraries", sys.prefix, "setup (pip)", True,
                "install on another disk and mount it here"),
        Written("python3-bpfcc and what it needs", place or "/usr/lib", "setup (apt)", bcc == "real",
                "install before there is a suspicion, or mount an image that has it over /usr"),
        Written("kernel headers", str(SOURCES), "setup (apt), where the kernel has none", headers is not None,
                "name a tree of another disk in BCC_KERNEL_SOURCE: any version's do"),
    ]  # fmt: skip


def _headers() -> Path | None:
    try:
        return find_headers(build=False)
    except KestrelError:
        return None


def _compiled() -> bool:
    """Whether no byte code is left to be written, as far as this module tells."""
    return sys.dont_write_bytecode or Path(cache_from_source(__file__)).exists()
