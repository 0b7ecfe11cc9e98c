"""Keys that no machine knows anything of are forgotten, once there are many: recordings may be long."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from kestrel_lab.engine.matching.numbering import Numbering
from kestrel_lab.engine.matching.sequence import SequenceMachine


def forget_keys(numbering: Numbering, machines: Iterable[SequenceMachine], now: int) -> None:
    """Forget the scan that was just matched and, if it is time, the keys that nothing is known of.

    Args:
        machines: all that keep numbers between scans; what event time has passed for them is freed.
        now: event time, ns.
    """
    numbering.let_go()
    if not numbering.ring.crowded:
        return
    wanted = np.zeros(len(numbering.ring), np.bool_)
    for machine in machines:
        machine.expire(now)
        for keys in (*machine.pending_keys(), machine.lookback.keys):
            wanted[keys] = True
    numbering.keep(wanted)
