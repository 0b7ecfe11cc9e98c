"""What a WebAssembly module written by a user imports and exports: the part of host ABI v1 that is for people.

Generated modules read columns by themselves (`abi.py`). A user's module calls these functions instead: they are
WebAssembly too, and the only code that sees both its memory and the columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ValueType = Literal["i32", "i64", "f64"]

EVAL = "pred_eval"
CAPTURE = "pred_capture"
MEMORY = "memory"  #: the export that text is read from and written to

IGNORE_CASE = 1  #: flag of `glob` and `regex`: ASCII case is ignored
MAX_DECLARATIONS = 256  #: fields, patterns and captures of one module
MAX_TEXT_BYTES = 65_536  #: of one name or pattern
MAX_CAPTURE_BYTES = 65_536  #: of one event, 16 a value included


@dataclass(frozen=True, slots=True)
class HostFunction:
    """A function that a module may import: parameters by name and type, result type (None: none)."""

    name: str
    params: tuple[tuple[str, ValueType], ...]
    result: ValueType | None
    doc: str


def _declares(name: str, doc: str, *params: str) -> HostFunction:
    return HostFunction(name, tuple((p, "i32") for p in params), "i32", doc)


def _gets(name: str, result: ValueType, doc: str, *params: str) -> HostFunction:
    return HostFunction(name, tuple((p, "i32") for p in params), result, doc)


#: To be called in `pred_init` alone. Each returns a handle; text is UTF-8.
DECLARATIONS: tuple[HostFunction, ...] = (
    _declares("field", "A field by its name; `?name` is missing everywhere where there is no such field.",
              "name", "name_len"),
    _declares("glob", "A pattern of EQL's `like` for a string field declared before: `*` and `?`, the whole value. "
              f"`flags`: {IGNORE_CASE} ignores ASCII case.", "field", "text", "text_len", "flags"),
    _declares("regex", "A pattern of EQL's `regex` for such a field, the whole value; flags as above.",
              "field", "text", "text_len", "flags"),
    _declares("capture", "A name under which `pred_capture` may add a value to an alert; no field's name.",
              "name", "name_len"),
)  # fmt: skip

#: To be called in `pred_eval` and `pred_capture`, on the `row` given there.
GETTERS: tuple[HostFunction, ...] = (
    _gets("count", "i32", "How many values the field has: 0 = missing, 1, or more for an array.", "field", "row"),
    _gets("get_i64", "i64", "The `item`-th value (from 0) of a field of type int.", "field", "row", "item"),
    _gets("get_u64", "i64", "The same of type uint.", "field", "row", "item"),
    _gets("get_f64", "f64", "The same of type float.", "field", "row", "item"),
    _gets("get_bool", "i32", "The same of type boolean, 0 or 1.", "field", "row", "item"),
    _gets("str_len", "i32", "Length in bytes of the `item`-th value of a string or IP field.", "field", "row", "item"),
    _gets("str_copy", "i32", "Copies its first `room` bytes, or all, to `to`; returns its length.",
          "field", "row", "item", "to", "room"),
    _gets("str_eq", "i32", "Whether it is there and equal to the text, byte for byte.",
          "field", "row", "item", "text", "text_len"),
    _gets("matches", "i32", "Whether any value of its field matches a pattern.", "pattern", "row"),
)  # fmt: skip

#: To be called in `pred_capture` alone.
CAPTURES: tuple[HostFunction, ...] = (
    HostFunction("capture_str", (("capture", "i32"), ("text", "i32"), ("text_len", "i32")), None,
                 "Adds bytes to the alert under a declared name; a second value under it replaces the first."),
    HostFunction("capture_i64", (("capture", "i32"), ("value", "i64")), None, "Adds an integer."),
)  # fmt: skip

FUNCTIONS: tuple[HostFunction, ...] = (*DECLARATIONS, *GETTERS, *CAPTURES)
