"""Carries the top-level registry.yaml into the built package; everything else is in pyproject.toml."""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithRegistry(build_py):
    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            target = Path(self.build_lib, "mvr_wrappers")
            self.mkpath(str(target))
            self.copy_file("registry.yaml", str(target / "registry.yaml"))


setup(cmdclass={"build_py": BuildWithRegistry})
