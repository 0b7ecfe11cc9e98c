"""Build hook: a wheel carries the top folders `bpf/`, `rules/` and `recordings/` inside the package.

An editable install does not: `kestrel_lab.schema.resources` finds the folders in the checkout.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

SHIPPED = ("bpf", "rules", "recordings")


class BuildWithResources(build_py):
    """Copies each shipped folder to `kestrel_lab/_NAME` of the build."""

    def run(self) -> None:
        """Build as ever, then copy."""
        super().run()
        if self.editable_mode:
            return
        for name in SHIPPED:
            target = Path(self.build_lib, "kestrel_lab", f"_{name}")
            shutil.copytree(name, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__", "*.krec"))


setup(cmdclass={"build_py": BuildWithResources})
