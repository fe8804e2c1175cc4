"""Prints how the packages are built: modules, imports between them, circles, and the rooms floor by floor.

A room is a folder or a module directly inside a package. A room stands one floor above the highest it imports.

    python tools/house.py
"""

from __future__ import annotations

from collections.abc import Iterator

import grimp

Arrows = dict[str, set[str]]


def main() -> None:
    """Prints the table of each package."""
    for package in ("mvr_wrappers", "mvr_agents"):
        graph = grimp.build_graph(package)
        modules: Arrows = {name: set(graph.find_modules_directly_imported_by(name)) for name in graph.modules}
        rooms = _rooms(package, modules)
        floors = _floors(rooms)
        for what, arrows in (("modules", modules), ("rooms", rooms)):
            circles = [circle for name in sorted(arrows) if (circle := _circle(name, arrows))]
            print(f"{package}: {len(arrows)} {what}, {sum(map(len, arrows.values()))} arrows, circles: {circles or 0}")
        for floor in range(max(floors.values()), 0, -1):
            print(f"  {floor:2}  {' '.join(sorted(name for name in rooms if floors[name] == floor))}")


def _rooms(package: str, modules: Arrows) -> Arrows:
    """Returns the arrows between the rooms of a package; the package's own `__init__` is none of them."""

    def room(module: str) -> str:
        return module.split(".")[1] if module != package else ""

    rooms: Arrows = {room(name): set() for name in modules if name != package}
    for name, imported in modules.items():
        for other in imported:
            if room(name) and room(other) and room(name) != room(other):
                rooms[room(name)].add(room(other))
    return rooms


def _circle(start: str, arrows: Arrows) -> list[str]:
    """Returns a way from `start` back to it, if there is one."""
    ways = [[start]]
    seen = set()
    while ways:
        way = ways.pop()
        for other in sorted(arrows[way[-1]]):
            if other == start:
                return [*way, start]
            if other not in seen:
                seen.add(other)
                ways.append([*way, other])
    return []


def _floors(rooms: Arrows) -> dict[str, int]:
    """Returns the floor of each room, 1 for those that import none; rooms in a circle share what they can reach."""
    floors = dict.fromkeys(rooms, 1)
    for _ in rooms:  # enough rounds for the longest way without a circle
        floors |= dict(_raised(rooms, floors))
    return floors


def _raised(rooms: Arrows, floors: dict[str, int]) -> Iterator[tuple[str, int]]:
    for name, below in rooms.items():
        if not _circle(name, rooms):
            yield name, 1 + max((floors[other] for other in below), default=0)


if __name__ == "__main__":
    main()
