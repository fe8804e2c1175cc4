"""Prints constraints for pip that install the lowest version of each package that pyproject.toml promises.

    python tools/lowest.py [--except torch] > lowest.txt

Every requirement with a lower bound is listed, those of all extras included; `make test-lowest` tests with them.
"""

from __future__ import annotations

import argparse
import re
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

PYPROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"
_BOUND = re.compile(r"(?P<name>[\w.-]+)(\[[^]]*\])?\s*>=\s*(?P<version>[^\s,;]+)[^;]*(?P<marker>;.*)?$")


def main() -> None:
    """Prints one constraint a line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--except", nargs="*", default=[], dest="left_out", help="packages to leave as they are")
    left_out = parser.parse_args().left_out
    project = tomllib.loads(PYPROJECT.read_text())["project"]
    extras = project["optional-dependencies"].values()
    for line in lowest([*project["dependencies"], *(requirement for extra in extras for requirement in extra)]):
        if line.partition("==")[0] not in left_out:
            print(line)


def lowest(requirements: Iterable[str]) -> Iterator[str]:
    """Yields `name==version` for each requirement with a lower bound, and its environment marker if it has one."""
    for requirement in requirements:
        if bound := _BOUND.match(requirement):
            yield f"{bound['name']}=={bound['version']}{bound['marker'] or ''}"


if __name__ == "__main__":
    main()
