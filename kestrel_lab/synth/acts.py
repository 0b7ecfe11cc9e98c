"""What processes do: chains of events about one thing, such as a file from its creation to its deletion.

How frequent each is follows a recording of compilers, shells, file churn and connections (`bench/mix.sh` and
`bench/connect.py`); what does not occur there is rare here. docs/synthetic.md compares the two.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kestrel_lab.schema.schema import BUILTIN
from kestrel_lab.synth.dice import Wheel

#: who may act: anything; what opens connections; what takes them
ANYONE, CLIENT, SERVER = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Chain:
    """A kind of chain: its table, its actions in order, its weight, who does it, which paths it is about."""

    table: str
    actions: tuple[str, ...]
    weight: float
    who: int = ANYONE
    paths: str = ""


CHAINS: tuple[Chain, ...] = (
    Chain("file", ("creation", "modification", "deletion"), 95, paths="temporary"),
    Chain("file", ("creation", "modification", "chmod"), 45, paths="built"),
    Chain("file", ("creation", "modification", "rename"), 45, paths="data"),
    Chain("file", ("deletion",), 20, paths="built"),
    Chain("file", ("open", "modification"), 8, paths="log"),
    Chain("file", ("open",), 6, paths="data"),
    Chain("file", ("chown",), 10, paths="data"),
    Chain("file", ("utimes",), 5, paths="built"),
    Chain("file", ("truncate",), 1, paths="data"),
    Chain("file", ("symlink",), 1, paths="built"),
    Chain("network", ("connection_attempted", "connection_result", "disconnect_received"), 170, who=CLIENT),
    Chain("network", ("connection_accepted", "disconnect_received"), 170, who=SERVER),
    Chain("network", ("unix_connect",), 20),
    Chain("network", ("lookup_requested",), 25, who=CLIENT),
    Chain("network", ("datagram_sent",), 6, who=CLIENT),
    Chain("process", ("exec_failed",), 75),
    Chain("process", ("memory_executable",), 9),
    Chain("process", ("kill",), 4),
    Chain("process", ("session_id_change",), 2),
    Chain("process", ("name_change",), 2),
)

#: an act of a planted story, and what begins, replaces or ends a process
STORY, OF_PROCESS = len(CHAINS), len(CHAINS) + 1
WHEEL = Wheel([chain.weight for chain in CHAINS])
LENGTHS = np.array([len(chain.actions) for chain in CHAINS])
WHO = np.array([chain.who for chain in CHAINS])
#: by kind of chain, then by step
ACTIONS = np.array(
    [[BUILTIN.action_code(c.table, a) for a in (*c.actions, *[c.actions[-1]] * (3 - len(c.actions)))] for c in CHAINS],
    np.uint8,
)
#: chains whose first event, or whose last if it is a rename, can bring a string
FRESH = np.array([bool(c.paths) or c.actions[0] in ("connection_attempted", "connection_accepted", "lookup_requested",
                                                    "exec_failed") for c in CHAINS])  # fmt: skip
RENAME = BUILTIN.action_code("file", "rename")
FORK, EXEC, END = (BUILTIN.action_code("process", name) for name in ("fork", "exec", "end"))
