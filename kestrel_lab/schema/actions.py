"""Categories and actions: the closed list of event kinds, one Arrow table per category.

An action's `code` is what the `action` column holds; codes are never reused. The ECS arrays
event.category and event.type are a function of the action.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Action:
    """One kind of event: `code` (uint8) in table `table`, with its ECS words."""

    table: str
    code: int
    name: str
    types: tuple[str, ...]
    hook: str
    categories: tuple[str, ...] = ()

    @property
    def event_categories(self) -> tuple[str, ...]:
        """The values of event.category."""
        return self.categories or (self.table,)


ACTIONS: tuple[Action, ...] = (
    Action("process", 1, "fork", ("start",), "raw sched_process_fork"),
    Action("process", 2, "exec", ("start",), "raw sched_process_exec"),
    Action("process", 3, "end", ("end",), "raw sched_process_exit at group_dead"),
    Action("file", 10, "creation", ("creation",), "raw sys_exit open*/creat, FMODE_CREATED"),
    Action("file", 11, "open", ("access",), "raw sys_exit open*, FMODE_WRITE"),
    Action("file", 12, "rename", ("change",), "raw sys_enter and sys_exit rename*"),
    Action("file", 13, "deletion", ("deletion",), "raw sys_enter and sys_exit unlink*, rmdir"),
    Action("network", 20, "connection_attempted", ("start",), "raw inet_sock_set_state CLOSE to SYN_SENT"),
    Action("network", 21, "connection_result", ("info",), "raw inet_sock_set_state leaving SYN_SENT"),
    Action("network", 22, "connection_accepted", ("start",), "raw sys_exit accept, accept4"),
)

TABLES: tuple[str, ...] = tuple(dict.fromkeys(a.table for a in ACTIONS))
BY_NAME: Mapping[tuple[str, str], Action] = {(a.table, a.name): a for a in ACTIONS}
BY_CODE: Mapping[int, Action] = {a.code: a for a in ACTIONS}


def actions_of(table: str) -> tuple[Action, ...]:
    """Return the actions of one table, in code order."""
    return tuple(a for a in ACTIONS if a.table == table)


def tables_holding(category: str | None) -> tuple[str, ...]:
    """Return the tables that may hold an event of `category` (`None`: any), in table order."""
    if category is None:
        return TABLES
    return tuple(t for t in TABLES if any(category in a.event_categories for a in actions_of(t)))


def categories() -> tuple[str, ...]:
    """Return every event.category an event here can have."""
    return tuple(dict.fromkeys(c for a in ACTIONS for c in a.event_categories))


def action_code(table: str, name: str) -> int:
    """Return the uint8 code of an action; KeyError if there is none of that name."""
    return BY_NAME[table, name].code
