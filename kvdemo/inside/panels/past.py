"""Append a text, and compare the hidden states of the positions before it with what they were."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from kvdemo.inside.appended_text import Continued, continued
from kvdemo.inside.model_copy import sharing_weights
from kvdemo.inside.panel import CannotShow, Subject
from kvdemo.models.errors import out_of_memory
from kvdemo.models.facts import config_numbers
from kvdemo.models.loaded import LoadedModel
from kvdemo.models.network.cache_argument import cache_kwargs
from kvdemo.models.network.forward import on_device

#: Rounding stays below this share of a position's largest value in a layer, in float32. 16 bits take a wider share.
TOLERANCE = 1e-4
_ROUNDINGS = 8


def show(subject: Subject) -> Mapping[str, Any]:
    """Run both texts, causally as the model does, and with a mask that lets each position look ahead."""
    texts = continued(subject)
    model = sharing_weights(subject.model)
    share = tolerance(model.dtype)
    layers = _differences(subject, model, texts, share)
    return {
        "text": texts.text,
        "appended": subject.request.append,
        "shared": texts.shared,
        "note": texts.note,
        "tolerance": share,
        "layers": layers,
        "holds": _within(layers),
        "bidirectional": _both_ways(subject, model, texts, share),
    }


def tolerance(dtype: torch.dtype) -> float:
    """Return what rounding may change, as a share of the position's largest value, or of 1 where that is smaller."""
    return max(TOLERANCE, _ROUNDINGS * torch.finfo(dtype).eps)


@torch.inference_mode()
def hidden_states(model: LoadedModel, ids: list[int], *, both_ways: bool = False) -> tuple[Tensor, ...]:
    """Run a text without a cache: the embedding and what each layer puts out, (..., positions, width) each.

    transformers leaves hooks on the model, so it should be a copy. Raises CannotShow where it gives no hidden states.
    """
    # Added to the scores: nothing, so that no position is hidden from another.
    mask = torch.zeros((1, 1, len(ids), len(ids)), dtype=model.dtype, device=model.device)
    asked = {"attention_mask": mask} if both_ways else {}
    keep = config_numbers.logits_for_all_layers(model.config, len(ids))
    out = model.network(
        input_ids=on_device(model, ids)[None],
        output_hidden_states=True,
        logits_to_keep=keep,
        **cache_kwargs(model.network, None),
        **asked,
    )
    found: tuple[Tensor, ...] | None = out.hidden_states
    if not found or any(states.shape[-2] != len(ids) for states in found):
        raise CannotShow(f"{model.id} does not give the hidden states of its layers.")
    return found


def _differences(
    subject: Subject, model: LoadedModel, texts: Continued, share: float, *, both_ways: bool = False
) -> list[Any]:
    """Compare the hidden states of the shared positions: an entry for each layer, with what rounding may make of it."""
    subject.check()
    before = hidden_states(model, texts.before, both_ways=both_ways)
    subject.check()
    after = hidden_states(model, texts.after, both_ways=both_ways)
    layers = []
    for layer, pair in enumerate(zip(before, after, strict=True)):
        was, now = (states[..., : texts.shared, :].float() for states in pair)
        differences, scales = _by_position(now - was), _by_position(was)
        if not all(map(math.isfinite, differences)):
            raise CannotShow(f"The hidden states of layer {layer} of {model.id} are not finite numbers.")
        allowed = [share * max(1.0, scale) for scale in scales]
        # Of positions that differ as much, the one that may differ least.
        worst = max(range(texts.shared), key=lambda at: (differences[at], -allowed[at]))
        layers.append({
            "layer": layer, "largest_difference": differences[worst], "scale": max(scales), "tolerance": allowed[worst],
            "holds": all(difference <= most for difference, most in zip(differences, allowed, strict=True)),
        })  # fmt: skip
    return layers


def _both_ways(subject: Subject, model: LoadedModel, texts: Continued, share: float) -> list[Any] | dict[str, str]:
    """Do the same with a mask that hides nothing. Some models refuse it, and some hide later positions all the same."""
    try:
        layers = _differences(subject, model, texts, share, both_ways=True)
    except CannotShow as error:
        return {"cannot": str(error)}
    except (RuntimeError, TypeError, ValueError, LookupError, AttributeError, AssertionError) as error:
        if out_of_memory(error):
            raise
        return {"cannot": f"{model.id} takes no mask that lets a position look ahead."}
    if _within(layers):
        return {"cannot": f"{model.id} does not look ahead even with a mask that lets it."}
    return layers


def _within(layers: list[Any]) -> bool:
    return all(layer["holds"] for layer in layers)


def _by_position(states: Tensor) -> list[float]:
    """Return the largest size of a number at each position of (..., positions, width)."""
    sizes = states.abs().amax(-1)
    found: list[float] = sizes.reshape(-1, sizes.shape[-1]).amax(0).tolist()
    return found
