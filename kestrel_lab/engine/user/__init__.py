"""Rules that are WebAssembly modules written by users."""

from kestrel_lab.engine.user.evaluate import Passed, StoppedError, UserRule
from kestrel_lab.engine.user.module import UserModule, load_user_module
from kestrel_lab.engine.user.rows import Which

__all__ = ["Passed", "StoppedError", "UserModule", "UserRule", "Which", "load_user_module"]
