"""Finds the packages, and carries the top-level registry.yaml into the built one; all else is in pyproject.toml."""

from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py


class BuildWithRegistry(build_py):
    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            target = Path(self.build_lib, "mvr_wrappers")
            self.mkpath(str(target))
            self.copy_file("registry.yaml", str(target / "registry.yaml"))


setup(
    packages=[
        *find_packages(include=["mvr_wrappers", "mvr_wrappers.*"]),
        *("mvr_agents", *(f"mvr_agents.{name}" for name in find_packages("agents"))),
    ],
    package_dir={"mvr_agents": "agents"},
    cmdclass={"build_py": BuildWithRegistry},
)
