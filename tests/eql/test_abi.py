"""The ABI's document is what the constants say."""

from __future__ import annotations

from pathlib import Path

from kestrel_lab.eql import compile_query, lower_wasm
from kestrel_lab.schema import abi
from kestrel_lab.schema.abi_docs import document

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "host-abi.md"


def test_the_document_is_up_to_date() -> None:
    assert DOCUMENT.read_text() == document(), "run python -m kestrel_lab.schema.abi_docs"


def test_a_module_imports_only_the_memory_and_exports_only_the_functions() -> None:
    wat = lower_wasm(compile_query("any where true")).wat
    assert wat.count("(import ") == 1
    assert f'(import "{abi.MODULE}" "memory" (memory {abi.MEMORY_PAGES} {abi.MEMORY_PAGES}))' in wat
    assert [line for line in wat.splitlines() if "(export " in line] == [
        f'(func (export "{f.name}") ' + "".join(f"(param ${p} i32) " for p in f.params) + "(result i32)"
        for f in abi.EXPORTS
    ]
