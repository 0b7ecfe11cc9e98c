"""Fields of what processes do to themselves and to one another."""

from __future__ import annotations

from functools import partial

from kestrel_lab.schema.relatives import of_arguments
from kestrel_lab.schema.types import Derived, EqlType, Field, Row, Target, Trust

_S, _I, _U = EqlType.STRING, EqlType.INT, EqlType.UINT
_K, _UM, _D, _P = Trust.KERNEL, Trust.USER_MEMORY, Trust.DERIVED, Trust.PROCFS
_TABLES = ("process",)
_field = partial(Field, since=2)
_SINCE_3 = {"kestrel.bpf.id"}


def fields_of_acts() -> tuple[Field, ...]:
    """Return the fields that only such acts have; `Target.process` is the process that the act is about."""
    rows = [_field(name, kind, _TABLES, Row(name), trust, read, doc, many, since=2 + (name in _SINCE_3))
            for name, kind, trust, read, doc, many in _ROWS]  # fmt: skip
    of_target = [_field(f"Target.process.{name}", kind, _TABLES, Target(column), trust, "at the act", doc, many)
                 for name, kind, column, trust, doc, many in _OF_TARGET]  # fmt: skip
    return (
        *rows,
        *of_target,
        _field("kestrel.target.entity_id", _S, _TABLES, Target("entity_id"), _D, "-", "The target's, 128 bits."),
        _field("Target.process.entity_id", _S, _TABLES, Derived("hex", "kestrel.target.entity_id"), _D, "-", "As hex."),
        *of_arguments("Target.process", _TABLES),
    )


_ROWS = (
    ("Target.process.pid", _I, _K, "at the act", "Pid of the target; as given, if it was not found.", False),
    ("kestrel.signal", _I, _K, "at the act", "Number of the signal sent.", False),
    ("kestrel.request", _S, _K, "at exit of the act", "Of ptrace; the type of a BPF program; which clock.", False),
    (
        "kestrel.clock_ns",
        _U,
        _UM,
        "at exit of the act",
        "What a clock was to be set to, ns; of the wall: since 1970.",
        False,
    ),
    ("kestrel.bpf.id", _I, _K, "at the start", "Number of a BPF program.", False),
    ("kestrel.memory.address", _U, _K, "at exit of the act", "Where the memory begins.", False),
    ("kestrel.memory.size", _U, _K, "at exit of the act", "Its size in bytes, as asked for.", False),
    ("kestrel.memory.protection", _S, _K, "at exit of the act", "read, write, execute.", True),
    ("kestrel.before.user.id", _S, _K, "at entry", "Effective user id before the act.", False),
    ("kestrel.before.real_user.id", _S, _K, "at entry", "Real user id before it.", False),
    ("kestrel.before.saved_user.id", _S, _K, "at entry", "Saved user id before it.", False),
    ("kestrel.before.group.id", _S, _K, "at entry", "Effective group id before it.", False),
    ("kestrel.before.real_group.id", _S, _K, "at entry", "Real group id before it.", False),
    ("kestrel.before.saved_group.id", _S, _K, "at entry", "Saved group id before it.", False),
)
_OF_TARGET = (
    ("name", _S, "name", _K, "The target's name.", False),
    ("executable", _S, "executable", _K, "Its executable.", False),
    ("args", _S, "args", _UM, "Its argv.", True),
    ("user.id", _S, "user_id", _K, "Its effective user id when its image began.", False),
    ("user.name", _S, "user_name", _P, "Name of that user.", False),
)
