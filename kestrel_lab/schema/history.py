"""Former versions of the field table, and how their recordings are read.

A later version only adds fields, columns and actions: a recording of a former one is read by the lock that it holds,
and what it lacks is missing everywhere. A version that changes what a field means must declare a converter here.
"""

from __future__ import annotations

from collections.abc import Mapping

#: Fingerprints of the field tables whose recordings this version reads as they are, and their versions.
FORMER: Mapping[str, int] = {
    "ff67c7389652e230f7e031430f823d46240053700fca2662a53f8e3790e5089a": 1,
    "37e2503a81ce0bc3b5ec1d9d21be78869e068efd7ebd8b624a0d6e2430b1d21a": 2,
}
