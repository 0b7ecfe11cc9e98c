"""The programs load on kernels that lack what they can do without."""

from __future__ import annotations

from dataclasses import replace

from kestrel_lab.capture.btf import Btf
from kestrel_lab.capture.headers import find_headers
from kestrel_lab.capture.offsets import GROUPS, resolve_offsets
from kestrel_lab.capture.program import HOOKS, Program


def test_the_text_compiles_and_is_verified_without_what_is_optional() -> None:
    found = resolve_offsets(Btf.of_kernel())
    optional = {name for group in GROUPS if group.optional for name in group.paths}
    zero = {name: 0 for group in GROUPS if group.needed_by and not group.optional for name in group.paths}
    without = {name: value for name, value in found.values.items() if name not in optional} | zero
    least = replace(found, values=without, has_task_regs=False, secureexec_bit=None, pids_subsystem=None)
    for offsets in (replace(found, values={n: v for n, v in found.values.items() if n not in optional}), least):
        program = Program(offsets, find_headers(), {})
        try:
            assert program.walk_depth == 2048
            program.attach(frozenset(HOOKS) - set(offsets.disabled))
            assert program.off == {}
        finally:
            program.close()


def test_all_of_it_is_verified_at_the_full_depth_of_a_path() -> None:
    program = Program(resolve_offsets(Btf.of_kernel()), find_headers(), {})
    program.close()
    assert program.walk_depth == 2048
