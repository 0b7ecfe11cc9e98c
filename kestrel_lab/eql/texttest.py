"""One text test against one value, exactly: the definition that faster matchers are held to."""

from __future__ import annotations

import ipaddress

from kestrel_lab.eql.ir import TextTest
from kestrel_lab.eql.wildcard import matches


def passes(test: TextTest, value: bytes) -> bool:
    """Return whether one string passes a text test."""
    if test.op == "address":
        return canonical_address(value) in test.patterns
    if test.fold:
        value = value.lower()
    if test.op == "equal":
        return value in test.patterns
    if test.op == "like":
        return any(matches(p, value) for p in test.patterns)
    bound = test.patterns[0]
    less = value < bound if test.op in ("less", "greater_equal") else value <= bound
    return less if test.op in ("less", "less_equal") else not less


def canonical_address(value: bytes) -> bytes | None:
    """Return the canonical text of an IP address, an IPv4 one where it is mapped into IPv6; None if it is none."""
    try:
        found = ipaddress.ip_address(value.decode("ascii"))
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return str(mapped or found).encode()
