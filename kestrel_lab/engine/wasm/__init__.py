"""Predicates as WebAssembly over columns."""

from kestrel_lab.engine.wasm.runtime import Predicate, Runtime

__all__ = ["Predicate", "Runtime"]
