"""The question of a DNS query: RFC 1035, section 4.1.2."""

from __future__ import annotations

from collections.abc import Mapping

_MOST_LABEL = 63
#: IANA's registry of resource record types, the common ones
TYPES: Mapping[int, bytes] = {
    1: b"A", 2: b"NS", 5: b"CNAME", 6: b"SOA", 10: b"NULL", 12: b"PTR", 13: b"HINFO", 15: b"MX", 16: b"TXT",
    28: b"AAAA", 33: b"SRV", 35: b"NAPTR", 39: b"DNAME", 43: b"DS", 46: b"RRSIG", 48: b"DNSKEY", 52: b"TLSA",
    64: b"SVCB", 65: b"HTTPS", 99: b"SPF", 251: b"IXFR", 252: b"AXFR", 255: b"ANY", 256: b"URI", 257: b"CAA",
}  # fmt: skip


def question(raw: bytes) -> tuple[bytes | None, bytes | None]:
    """Return the name and the type that a question begins with; None for what it does not hold whole.

    The bytes of labels are as they are; a dot or a backslash in one has a backslash before it. The root is `.`.
    """
    labels, at = [], 0
    while at < len(raw) and raw[at]:
        size = raw[at]
        if size > _MOST_LABEL or at + 1 + size > len(raw):  # a pointer has no place in a question
            return None, None
        labels.append(raw[at + 1 : at + 1 + size].replace(b"\\", b"\\\\").replace(b".", b"\\."))
        at += 1 + size
    if at >= len(raw):
        return None, None
    kind = raw[at + 1 : at + 3]
    number = int.from_bytes(kind, "big")
    return b".".join(labels) or b".", TYPES.get(number, b"%d" % number) if len(kind) == 2 else None
