"""Functions of `Derived` fields: pure, computed once per distinct value; their names are in the schema lock."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

Scalar = bytes | int | None


def basename(path: bytes) -> bytes | None:
    """Return what follows the last slash; None for an empty result."""
    return path.rstrip(b"/").rpartition(b"/")[2] or None


def dirname(path: bytes) -> bytes | None:
    """Return what stands before the last slash (`/` for a file in the root); None without a slash."""
    head, slash, _ = path.rstrip(b"/").rpartition(b"/")
    return (head or b"/") if slash else None


def extension(path: bytes) -> bytes | None:
    """Return what follows the last dot of the file name; None where there is none or only a leading one."""
    name = basename(path) or b""
    stem, dot, end = name.rpartition(b".")
    return end if dot and stem and end else None


def hex_text(value: bytes) -> bytes:
    """Return lower-case hexadecimal digits."""
    return value.hex().encode()


def cut(data: bytes, size: int) -> list[bytes]:
    """Return the values of `size` bytes that stand one after the other."""
    return [data[at : at + size] for at in range(0, len(data), size)]


def hex_texts(values: Sequence[bytes | None]) -> list[bytes | None]:
    """Return the lower-case hexadecimal digits of each value, None for None; fast where all have the same size."""
    present = [v for v in values if v is not None]
    sizes = set(map(len, present))
    if len(sizes) != 1 or sizes == {0}:
        return [None if v is None else hex_text(v) for v in values]
    texts = cut(b"".join(present).hex().encode(), 2 * sizes.pop())
    if len(present) == len(values):
        return [*texts]
    found = iter(texts)
    return [None if v is None else next(found) for v in values]


def unhex(text: bytes) -> bytes | None:
    """Return what `hex_text` makes into this, None for nothing."""
    try:
        value = bytes.fromhex(text.decode("ascii"))
    except ValueError:
        return None
    return value if hex_text(value) == text else None


def join(items: Sequence[bytes]) -> bytes:
    """Return the items joined by one space."""
    return b" ".join(items)


#: functions of one string
SCALAR: Mapping[str, Callable[[bytes], bytes | None]] = {
    "basename": basename,
    "dirname": dirname,
    "extension": extension,
    "hex": hex_text,
}
#: the same of many strings, where that is faster than one by one
IN_BULK: Mapping[str, Callable[[Sequence[bytes | None]], list[bytes | None]]] = {"hex": hex_texts}
#: those whose result, if there is one, stands somewhere in the string; that of `extension` after a dot
PARTS = frozenset({"basename", "dirname", "extension"})
#: functions of a list of strings; `count` gives an integer
OF_LIST: Mapping[str, Callable[[Sequence[bytes]], Scalar]] = {"join": join, "count": len}
