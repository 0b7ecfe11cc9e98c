"""Which mappings are dropped after the compiler ran."""

from __future__ import annotations

from kestrel_lab.capture.memory import _clean_mappings, release_compiler

SMAPS = """\
7f0000000000-7f0000001000 r-xp 00000000 fe:00 1  /usr/lib/x86_64-linux-gnu/libLLVM-14.so.1
Rss:  4 kB
Private_Dirty:         0 kB
7f0000001000-7f0000002000 r--p 00000000 fe:00 1  /usr/lib/x86_64-linux-gnu/libLLVM-14.so.1
Private_Dirty:         8 kB
7f0000002000-7f0000003000 rw-p 00000000 fe:00 1  /usr/lib/x86_64-linux-gnu/libLLVM-14.so.1
Private_Dirty:         0 kB
7f0000003000-7f0000004000 r-xp 00000000 fe:00 2  /usr/lib/llvm-14/lib/libclang-cpp.so.14
Private_Dirty:         0 kB
7f0000004000-7f0000005000 r-xp 00000000 fe:00 3  /usr/lib/x86_64-linux-gnu/libc.so.6
Private_Dirty:         0 kB
"""


def test_only_clean_read_only_mappings_of_the_compiler() -> None:
    assert list(_clean_mappings(SMAPS)) == [(0x7F0000000000, 0x7F0000001000), (0x7F0000003000, 0x7F0000004000)]


def test_a_process_without_a_compiler_goes_on() -> None:
    release_compiler()
