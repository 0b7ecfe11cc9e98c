"""Fields of the processes that one stands in relation to: leaders, real parent, former image."""

from __future__ import annotations

from kestrel_lab.schema.types import Derived, EqlType, Field, Related, Trust

_S, _I = EqlType.STRING, EqlType.INT
_K, _UM, _D = Trust.KERNEL, Trust.USER_MEMORY, Trust.DERIVED


def fields_of_relatives(tables: tuple[str, ...]) -> tuple[Field, ...]:
    """Return the fields of the processes that one stands in relation to, frozen when its image began."""
    out = []
    for place, link, whose in _PLACES:
        out += [
            Field(f"{place}.{name}", kind, tables, Related(link, column), trust, _WHEN, f"{whose} {doc}", many, 2)
            for name, kind, column, trust, doc, many in _OF_OTHERS
            if link != "previous" or name != "pid"
        ]
        out += of_arguments(place, tables)
        if link != "previous":
            raw = f"kestrel.{link}.entity_id"
            doc = f"{whose} entity_id, 128 bits."
            out += [
                Field(raw, _S, tables, Related(link, "entity_id"), _D, "-", doc, since=2),
                Field(f"{place}.entity_id", _S, tables, Derived("hex", raw), _D, "-", "As hex.", since=2),
            ]
    return tuple(out)


def of_arguments(place: str, tables: tuple[str, ...], since: int = 2) -> tuple[Field, ...]:
    """Return the fields that are made of a process's `args`."""
    return (
        Field(f"{place}.args_count", _I, tables, Derived("count", f"{place}.args"), _D, "-", "Their number.",
              since=since),
        Field(f"{place}.command_line", _S, tables, Derived("join", f"{place}.args"), _D, "-", "Joined by a space.",
              since=since),
    )  # fmt: skip


_WHEN = "at fork or exec"
_PLACES = (
    ("process.group_leader", "group_leader", "The process group leader's"),
    ("process.session_leader", "session_leader", "The session leader's"),
    ("process.entry_leader", "entry_leader", "The entry leader's"),
    ("process.previous", "previous", "The former image's"),
    ("process.Ext.real_parent", "real_parent", "The real parent's"),
)
_OF_OTHERS = (
    ("pid", _I, "pid", _K, "pid.", False),
    ("name", _S, "name", _K, "name.", False),
    ("executable", _S, "executable", _K, "executable.", False),
    ("args", _S, "args", _UM, "argv.", True),
    ("working_directory", _S, "working_directory", _K, "working directory.", False),
    ("interactive", EqlType.BOOL, "interactive", _D, "process.interactive.", False),
    ("user.id", _S, "user_id", _K, "effective user id when its image began.", False),
    ("user.name", _S, "user_name", Trust.PROCFS, "name of that user.", False),
    ("group.id", _S, "group_id", _K, "effective group id then.", False),
    ("real_user.id", _S, "real_user_id", _K, "real user id then.", False),
    ("real_group.id", _S, "real_group_id", _K, "real group id then.", False),
)
