"""Find the strategies that other installed packages add, by their entry points.

A package names a module or a package of its own in its pyproject.toml, and all strategies in there are found:

    [project.entry-points."kvdemo.strategies"]
    toy = "kvdemo_toy"

Its sources are read as those of kvdemo are (`registry`), and imported when one of its strategies is first run. A
strategy may extend one of kvdemo, or a base in its own package. What is wrong with a package is a warning that names
it; all others are still found.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from importlib.metadata import EntryPoint, entry_points

from kvdemo.strategies import registry
from kvdemo.strategies.registry import StrategyInfo

GROUP = "kvdemo.strategies"

log = logging.getLogger(__name__)


def discover(taken: Mapping[str, StrategyInfo]) -> dict[str, StrategyInfo]:
    """Find the strategies of other packages, by id. An id in `taken`, or of an earlier package, is not given again."""
    found: dict[str, StrategyInfo] = {}
    for point in _entry_points():
        for introduction in _strategies(point):
            if earlier := taken.get(introduction.id) or found.get(introduction.id):
                log.warning(
                    "%s: its strategy %s is left out, because %s has one of that id",
                    _package(point), introduction.id, earlier.module,
                )  # fmt: skip
            else:
                found[introduction.id] = introduction
    return found


def _entry_points() -> Iterator[EntryPoint]:
    """List those of the group, in an order that does not depend on where packages are installed."""
    try:
        yield from sorted(entry_points(group=GROUP), key=lambda point: (_package(point), point.name))
    except Exception as error:  # noqa: BLE001 - some installed package's metadata is broken in some way
        log.warning("the strategies of other packages cannot be looked for: %s", _one_line(error))


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist else point.value


def _strategies(point: EntryPoint) -> list[StrategyInfo]:
    """List the strategies that one entry point names; none, and a warning, where something is wrong with it."""
    try:
        found = [made for made in registry.discover(point.module).values() if point.attr in {None, made.class_name}]
        if not found:
            raise ImportError(f"{point.value} has no strategy")
    except Exception as error:  # noqa: BLE001 - the file of somebody else, which may hold anything
        log.warning("%s: its strategies are left out, because %s", _package(point), _one_line(error))
        return []
    return found


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
