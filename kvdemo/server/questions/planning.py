"""Work on what a visitor sent, where no model is needed: configurations to plan with, and documents to compare.

What anybody may have written is worked on in a short-lived process with limits in time and memory.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from kvdemo.compare import comparison
from kvdemo.server.short_lived import ShortLived

if TYPE_CHECKING:
    from kvdemo.costs.architecture import Architecture

#: What works out an architecture; it imports transformers.
ARCHITECTURE = "kvdemo.models.facts.architecture"
#: Seconds for a configuration and for a comparison, and for the Hub, which is asked for a configuration (`PATIENCE_S`).
PLAN_SECONDS, COMPARE_SECONDS, HUB_SECONDS = 5.0, 5.0, 5.0
PLANNER, COMPARER = ShortLived(ARCHITECTURE), ShortLived(comparison.__name__)


@lru_cache(maxsize=64)
def shape(name: str) -> Architecture:
    """An architecture of kvdemo's own table, worked out once: a form changes more often than its model."""
    from kvdemo.models.facts import architecture  # noqa: PLC0415

    return architecture.from_hub(name)


@lru_cache(maxsize=64)
def foreign_shape(find: str, what: str, **more: bool) -> Architecture:
    """An architecture of a configuration that anybody wrote, in a process of its own. Raises BadInput."""
    function = f"{ARCHITECTURE}:{find}"
    seconds = PLAN_SECONDS + (HUB_SECONDS if find == "from_hub" else 0)
    found: Architecture = PLANNER.call("The configuration", function, what, seconds=seconds, **more)
    return found


def compare(a: str, b: str) -> dict[str, Any]:
    """Compare two documents, each given as JSON text. Raises BadInput."""
    found: dict[str, Any] = COMPARER.call(
        "The comparison", f"{comparison.__name__}:compare_texts", a, b, seconds=COMPARE_SECONDS
    )
    return found
