"""Predicates as WebAssembly over columns."""

from kestrel_lab.engine.wasm.runtime import Predicate, Runtime, TrappedError

__all__ = ["Predicate", "Runtime", "TrappedError"]
