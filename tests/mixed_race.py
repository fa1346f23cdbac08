"""A race in which lanes differ in how they compute and in how they choose; command line, page and API run it."""

from __future__ import annotations

from typing import Any

LANES = (
    "dynamic_cache,dynamic_cache:temperature=0.8,dynamic_cache:top_k=20:temperature=1.2:min_p=0.1,contrastive_search,"
    "lookahead,early_exit"
)
NAMES = [
    "DynamicCache",
    "DynamicCache · temperature 0.8",
    "DynamicCache · temperature 1.2, top-k 20, min-p 0.1",
    "Contrastive search",
    "Lookahead",
    "Early exit",
]
GREEDY, SAMPLED, SEVERAL, CONTRASTIVE = range(4)
LOSSLESS = (4, 5)


def check(document: dict[str, Any]) -> None:
    """What is promised of this race: every lane is done, says how it chose, and speculation changes no token."""
    lanes = document["lanes"]
    assert [lane["status"] for lane in lanes] == ["done"] * len(NAMES)
    assert lanes[SAMPLED]["sampling"]["temperature"] == 0.8
    several = lanes[SEVERAL]["sampling"]
    assert (several["temperature"], several["top_k"], several["min_p"]) == (1.2, 20, 0.1)
    assert lanes[CONTRASTIVE]["sampling"] == {}
    for place in LOSSLESS:
        assert lanes[place]["tokens"] == lanes[GREEDY]["tokens"]
    assert all(lane["metrics"]["perplexity"] >= 1 for lane in lanes)
