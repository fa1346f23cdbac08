"""Append a text, and compare the hidden states of the positions before it with what they were."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from kvdemo.core.units import count
from kvdemo.inside.copied import sharing_weights
from kvdemo.inside.panel import CannotShow, Subject, beginning
from kvdemo.models.cache_argument import cache_kwargs
from kvdemo.models.errors import out_of_memory
from kvdemo.models.facts import rope
from kvdemo.models.forward import on_device
from kvdemo.models.loaded import LoadedModel

#: Rounding stays below this share of a layer's largest value, in float32. A wider share holds in 16 bits.
TOLERANCE = 1e-4
_ROUNDINGS = 8


@dataclass(frozen=True)
class Continued:
    """A text before and after another is appended: ids, of which both have the first `shared` in common.

    note  one sentence where appending does more than adding tokens; else None
    """

    before: list[int]
    after: list[int]
    shared: int
    note: str | None


def show(subject: Subject) -> Mapping[str, Any]:
    """Run both texts, causally as the model does, and with a mask that lets each position look ahead."""
    texts = continued(subject)
    model = sharing_weights(subject.model)
    share = tolerance(model.dtype)
    layers = _differences(subject, model, texts)
    return {
        "text": subject.prompt.text,
        "appended": subject.request.append,
        "shared": texts.shared,
        "note": texts.note,
        "tolerance": share,
        "layers": layers,
        "holds": _within(layers, share),
        "bidirectional": _both_ways(subject, model, texts, share),
    }


def continued(subject: Subject) -> Continued:
    """Encode the text with and without what is to be appended. Raises CannotShow where they have no token in common.

    Of a text that leaves no room for more, the beginning is taken.
    """
    model, appended = subject.model, subject.request.append
    before, after = subject.ids, model.encode(subject.prompt, appended)
    pairs = zip(before, after, strict=False)
    shared = next((at for at, (one, other) in enumerate(pairs) if one != other), min(len(before), len(after)))
    added = after[shared:]
    if not added:
        raise CannotShow("What is appended adds no token: append a word, with a space before it.")
    if not shared:
        raise CannotShow(
            "Appending this changes the first token of the text, so that no position stays the same: begin it with a "
            "space."
        )
    note = None
    if shared < len(before):
        note = (
            f"Written on, the text is cut into other tokens from position {shared} on, so the {count(shared, 'token')} "
            "before it are compared."
        )
    kept, cut = beginning(model, before[:shared], len(added))
    if cut:
        shared, note, before, after = len(kept), cut, kept, kept + added
    if any(len(before) <= line < len(after) for line in rope.switch_lengths(model.config)):
        note = f"{model.id} rotates all positions by other angles in a text of this length, so here its past changes."
    return Continued(before, after, shared, note)


def tolerance(dtype: torch.dtype) -> float:
    """Return what rounding may make of a difference, as a share of the largest value, or of 1 where that is smaller."""
    return max(TOLERANCE, _ROUNDINGS * torch.finfo(dtype).eps)


@torch.inference_mode()
def hidden_states(model: LoadedModel, ids: list[int], *, both_ways: bool = False) -> tuple[Tensor, ...]:
    """Run a text without a cache: the embedding and what each layer puts out, (..., positions, width) each.

    transformers leaves hooks on the model, so it should be a copy. Raises CannotShow where it gives no hidden states.
    """
    # Added to the scores: nothing, so that no position is hidden from another.
    mask = torch.zeros((1, 1, len(ids), len(ids)), dtype=model.dtype, device=model.device)
    asked = {"attention_mask": mask} if both_ways else {}
    # Layers that share keys leave out positions whose logits are not kept (Gemma 4).
    keep = len(ids) if getattr(model.config, "num_kv_shared_layers", 0) else 1
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


def _differences(subject: Subject, model: LoadedModel, texts: Continued, *, both_ways: bool = False) -> list[Any]:
    """Compare the hidden states of the shared positions: an entry for each layer."""
    subject.check()
    before = hidden_states(model, texts.before, both_ways=both_ways)
    subject.check()
    after = hidden_states(model, texts.after, both_ways=both_ways)
    layers = []
    for layer, pair in enumerate(zip(before, after, strict=True)):
        was, now = (states[..., : texts.shared, :].float() for states in pair)
        difference, scale = float((now - was).abs().max()), float(was.abs().max())
        if not math.isfinite(difference):
            raise CannotShow(f"The hidden states of layer {layer} of {model.id} are not finite numbers.")
        layers.append({"layer": layer, "largest_difference": difference, "scale": scale})
    return layers


def _both_ways(subject: Subject, model: LoadedModel, texts: Continued, share: float) -> list[Any] | dict[str, str]:
    """Do the same with a mask that hides nothing. Some models refuse it, and some hide later positions all the same."""
    try:
        layers = _differences(subject, model, texts, both_ways=True)
    except CannotShow as error:
        return {"cannot": str(error)}
    except (RuntimeError, TypeError, ValueError, LookupError, AttributeError, AssertionError) as error:
        if out_of_memory(error):
            raise
        return {"cannot": f"{model.id} takes no mask that lets a position look ahead."}
    if _within(layers, share):
        return {"cannot": f"{model.id} does not look ahead even with a mask that lets it."}
    return layers


def _within(layers: list[Any], share: float) -> bool:
    return all(layer["largest_difference"] <= share * max(1.0, layer["scale"]) for layer in layers)
