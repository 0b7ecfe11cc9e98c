"""Rules in Lua: parsed, checked, and rewritten so that what they do is counted and bounded."""

from kestrel_lab.eql.lua.compile import compile_lua
from kestrel_lab.eql.lua.script import LuaScript

__all__ = ["LuaScript", "compile_lua"]
