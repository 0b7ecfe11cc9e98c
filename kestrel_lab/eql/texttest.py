"""One text test against one value, exactly: the definition that faster matchers are held to."""

from __future__ import annotations

import ipaddress
from typing import TypeAlias

from kestrel_lab.eql import re2match
from kestrel_lab.eql.leaftests import TextTest
from kestrel_lab.eql.wildcard import matches

Block: TypeAlias = tuple[int, int]  # how many of the 128 bits lie below the prefix, value of the prefix

_MAPPED = 0xFFFF  # the upper 96 bits of an IPv4 address mapped into IPv6


def passes(test: TextTest, value: bytes) -> bool:
    """Return whether one string passes a text test."""
    if test.op == "address":
        return canonical_address(value) in test.patterns
    if test.op == "cidr":
        number = number_of_address(value)
        return number is not None and any(within(number, block_of(p)) for p in test.patterns)
    if test.op == "regex":
        return re2match.matcher(test.patterns)(value)
    if test.fold:
        value = value.lower()
    if test.op == "equal":
        return value in test.patterns
    if test.op == "like":
        return any(matches(p, value) for p in test.patterns)
    if test.op == "contains":
        return any(p in value for p in test.patterns)
    if test.op in ("prefix", "suffix"):
        return value.startswith(test.patterns) if test.op == "prefix" else value.endswith(test.patterns)
    bound = test.patterns[0]
    less = value < bound if test.op in ("less", "greater_equal") else value <= bound
    return less if test.op in ("less", "less_equal") else not less


def canonical_address(value: bytes) -> bytes | None:
    """Return the canonical text of an IP address, an IPv4 one where it is mapped into IPv6; None if it is none."""
    found = _address(value)
    return None if found is None else str(found).encode()


def number_of_address(value: bytes) -> int | None:
    """Return an address as 128 bits, an IPv4 one mapped into IPv6; None if it is none."""
    found = _address(value)
    if found is None:
        return None
    return int(found) | (_MAPPED << 32 if found.version == 4 else 0)


def canonical_block(value: bytes) -> bytes | None:
    """Return the canonical text of a block `address/bits` with host bits cleared, or of an address; None if it is none.

    What lies within the mapped IPv4 addresses is written as IPv4.
    """
    address, slash, bits = value.partition(b"/")
    number = number_of_address(address)
    width = 128 if b":" in address else 32
    if number is None or (slash and not (bits.isdigit() and len(bits) <= 3)):
        return None
    length = int(bits) if slash else width
    if length > width:
        return None
    length += 128 - width
    if number >> 32 == _MAPPED and length >= 96:
        return str(ipaddress.IPv4Network((number & 0xFFFF_FFFF, length - 96), strict=False)).encode()
    return str(ipaddress.IPv6Network((number, length), strict=False)).encode()


def block_of(pattern: bytes) -> Block:
    """Return the block that a canonical text names."""
    network = ipaddress.ip_network(pattern.decode())
    shift = network.max_prefixlen - network.prefixlen
    number = int(network.network_address) | (_MAPPED << 32 if network.version == 4 else 0)
    return shift, number >> shift


def within(number: int, block: Block) -> bool:
    """Return whether an address lies within a block."""
    shift, head = block
    return number >> shift == head


def _address(value: bytes) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        found = ipaddress.ip_address(value.decode("ascii"))
    except ValueError:
        return None
    return (found.ipv4_mapped or found) if isinstance(found, ipaddress.IPv6Address) else found
