"""Texts of addresses."""

from __future__ import annotations

import socket
from ipaddress import IPv6Address


def ip_text(family: int, raw: bytes) -> bytes:
    """Return the canonical text of an address; an IPv4 address mapped into IPv6 is written as IPv4."""
    if family != socket.AF_INET6:
        return socket.inet_ntoa(raw[:4]).encode()
    address = IPv6Address(raw)
    return str(address.ipv4_mapped or address).encode()
