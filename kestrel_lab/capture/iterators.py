"""What the kernel's BPF iterators tell of the present: processes, open files, BPF programs."""

from __future__ import annotations

import os
from typing import Any

from kestrel_lab.schema.errors import UnavailableError

_TRACING = 26


def load_iterator(bpf: Any, kind: str) -> Any:
    """Return the loaded program `bpf_iter__KIND`, which is loaded once.

    Raises:
        UnavailableError: if the kernel has no such iterator.
    """
    try:
        return bpf.load_func(f"bpf_iter__{kind}".encode(), _TRACING)
    except Exception as failure:  # bcc raises bare Exception
        raise UnavailableError(f"the kernel has no BPF iterator of {kind}", detail=str(failure)) from failure


def read_iterator(bcc: Any, bpf: Any, kind: str) -> bytes:
    """Return all that the program `bpf_iter__KIND` writes, one run over everything there is.

    Args:
        bcc: the module.
        bpf: the loaded text that holds the program.

    Raises:
        UnavailableError: if the kernel has no such iterator.
    """
    function = load_iterator(bpf, kind)
    link = bcc.lib.bcc_iter_attach(function.fd, None, 0)
    stream = bcc.lib.bcc_iter_create(link) if link >= 0 else -1
    if stream < 0:
        raise UnavailableError(f"the BPF iterator of {kind} cannot be attached")
    try:
        return b"".join(iter(lambda: os.read(stream, 1 << 16), b""))
    finally:
        os.close(stream)
        os.close(link)
