"""Say where the parts of a model are that transformers has spread over several devices (`device_map="auto"`).

Transformers records that in `hf_device_map`: a device for each part, by the part's name. A part on "cpu" beside GPUs,
or on "disk", is copied for each pass to the device that computes it. A model on one device has no such record.
"""

from __future__ import annotations

import re
from collections import Counter

import torch
from transformers import PreTrainedModel

_STORES = ("cpu", "disk")
_LAYER = re.compile(r"(.*?\.\d+)\.")  # the first number in a name is the layer's, a second one an expert's


def parts(network: PreTrainedModel) -> dict[str, str]:
    """Return the device of each part by the part's name, as in "cuda:1"; {} for a model on one device."""
    recorded = getattr(network, "hf_device_map", None) or {}
    written = {name: f"cuda:{place}" if isinstance(place, int) else str(place) for name, place in recorded.items()}
    places = set(written.values())
    return written if len(places) > 1 or "disk" in places else {}


def devices(network: PreTrainedModel) -> tuple[torch.device, ...]:
    """Return the devices that compute, in the order of the parts: where the first part is, prompts go."""
    spread = parts(network)
    computing = dict.fromkeys(place for place in spread.values() if place not in _STORES)
    if not spread:
        return (network.device,)
    return tuple(map(torch.device, computing)) or (torch.device("cpu"),)


def bytes_on(network: PreTrainedModel) -> dict[str, int] | None:
    """Return the bytes of weights on each device, one with two names (a tied embedding) once; None for one device."""
    spread = parts(network)
    if not spread:
        return None
    counted: Counter[str] = Counter()
    for name, weight in network.named_parameters():
        counted[_place(name, spread)] += weight.nbytes
    return dict(counted)


def _place(name: str, spread: dict[str, str]) -> str:
    """Return the device of a parameter: that of the innermost part that holds it."""
    words = name.split(".")
    return next(spread[part] for end in range(len(words), -1, -1) if (part := ".".join(words[:end])) in spread)


def layer_shares(network: PreTrainedModel) -> dict[torch.device, float]:
    """Return the share of the layers that each device computes: it holds their keys and values."""
    computing, spread = devices(network), parts(network)
    if not spread:
        return {computing[0]: 1.0}
    places = {layer[1]: _place(name, spread) for name, _ in network.named_parameters() if (layer := _LAYER.match(name))}
    if not places:
        return {computing[0]: 1.0}
    counted = Counter(computing[0] if place in _STORES else torch.device(place) for place in places.values())
    return {device: count / len(places) for device, count in counted.items()}
