"""LuaJIT: values that cross its border, and predicates as Lua over columns."""

from kestrel_lab.engine.lua.runtime import LuaPredicate, LuaRuntime
from kestrel_lab.engine.lua.values import LuaValues, new_runtime

__all__ = ["LuaPredicate", "LuaRuntime", "LuaValues", "new_runtime"]
