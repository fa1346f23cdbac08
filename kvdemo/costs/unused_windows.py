"""Say of a model that its configuration states a window which its code does not use."""

from __future__ import annotations

from collections.abc import Sequence

from kvdemo.core.figures import units


def sentence(name: str, unused: Sequence[int], layers: int) -> str:
    """Say what that does to `generate()`, and what the caches here do.

    `unused` has the window of each layer concerned, in positions, and `layers` counts all.
    """
    sizes = sorted(set(unused))
    stated = " and ".join(f"{size:,}" for size in sizes)
    where = "all layers" if len(unused) == layers else units.count(len(unused), "layer")
    return (
        f"{name}'s configuration states a sliding window of {stated} positions for {where}, and the model's code does "
        "not use it. transformers makes its cache from the configuration, so that generate() drops positions which "
        f"the model still looks at: past {sizes[0]:,} positions it writes a wrong text. The caches here keep every "
        "position of such a layer."
    )
