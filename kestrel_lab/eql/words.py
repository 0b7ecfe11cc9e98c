"""Words for types in messages."""

from __future__ import annotations

from kestrel_lab.eql.typed import NUMBERS, Kind, Node
from kestrel_lab.schema.types import EqlType, Field

_WORDS = {Kind.TEXT: "string", Kind.BOOL: "boolean", Kind.IP: "ip"}


def word(kind: Kind | EqlType) -> str:
    """Return what a type is called: every kind of number is a number."""
    found = Kind(kind.value)
    return "number" if found in NUMBERS else _WORDS.get(found, found.value)


def with_article(kind: Kind | EqlType) -> str:
    """Return what a type is called, after its article; null has none."""
    found = word(kind)
    return found if found == "null" else f"an {found}" if found == "ip" else f"a {found}"


def subject(node: Node) -> str:
    """Return what to call an operand: its name if it is a field."""
    return "this" if node.field is None else f"`{node.field.name}`"


def shown(node: Node) -> str:
    """Return a constant as it could be written."""
    return f'"{node.value.decode()}"' if isinstance(node.value, bytes) else str(node.value)


def field_type(field: Field) -> str:
    """Return the words that name a field's type in a message about its use."""
    return f"an array of {field.type}s" if field.many else f"of type {field.type}"
