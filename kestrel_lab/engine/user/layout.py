"""What lies where in the column memory that the shim reads for a user's module."""

from __future__ import annotations

from enum import IntEnum

ENTRIES_AT = 64  #: one entry a handle: kind, where its places are, where its items are
ENTRY_BYTES = 16
ITEM_BYTES = 8  #: a number, or pointer and length of a string
PLACE_BYTES = 8  #: start and count of a row's items
ALIGN = 8


class Declares(IntEnum):
    """What a record of the log declares."""

    FIELD = 1
    GLOB = 2
    REGEX = 3
    CAPTURE = 4


class Kind(IntEnum):
    """What a handle stands for."""

    I64 = 1
    U64 = 2
    F64 = 3
    BOOL = 4
    STRING = 5  #: the last that is a field
    PATTERN = 6  #: its places are one byte a row
    NAME = 7
