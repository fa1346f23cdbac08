"""List the trees of a race's searches, as small as the browser needs them (frontend/race/beams/ draws them)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def trees(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """List for each lane that searched `lane`, its index; `levels`; and `sums`, to set its scores against.

    A level is a list of [parent, token, text, logprob, score], as in the document, which has more decimals. `sums` has
    each other lane's summed log-probability over as many tokens as there are levels, by index, where it has so many.
    """
    lanes = document.get("lanes", ())
    return [
        {
            "lane": index,
            "levels": [[_node(node) for node in level] for level in lane["beams"]],
            "sums": _sums(lanes, index),
        }
        for index, lane in enumerate(lanes)
        if lane.get("beams")
    ]


def _node(node: Mapping[str, Any]) -> list[Any]:
    return [node["parent"], node["token"], node["text"], round(node["logprob"], 4), round(node["score"], 4)]


def _sums(lanes: Any, searched: int) -> dict[int, float]:
    length, sums = len(lanes[searched]["beams"]), {}
    for index, lane in enumerate(lanes):
        logprobs = [value for step in lane["steps"] for value in step["logprobs"]][:length]
        if index != searched and len(logprobs) == length and None not in logprobs:
            sums[index] = round(sum(logprobs), 4)
    return sums
