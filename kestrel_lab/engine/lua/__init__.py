"""LuaJIT: values that cross its border."""

from kestrel_lab.engine.lua.values import LuaValues, new_runtime

__all__ = ["LuaValues", "new_runtime"]
