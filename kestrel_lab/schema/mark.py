"""The mark of a recording whose events were made up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kestrel_lab.schema.epoch import SourceInfo

#: the key of the mark, both in a source's `extra` and in the manifest's facts
SYNTHETIC = "synthetic"


def mark_of(info: SourceInfo, facts: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return how a synthetic recording was made, None for any other.

    Args:
        info: of its source; `facts` of its manifest. Either will do.
    """
    found = info.extra.get(SYNTHETIC) or facts.get(SYNTHETIC)
    return found if isinstance(found, Mapping) else None
