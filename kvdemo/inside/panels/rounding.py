"""Compare logits with a cache and without in three number formats, and show two sums that depend on their order."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from kvdemo.core.errors import in_words
from kvdemo.inside.model_copy import in_format
from kvdemo.inside.panel import CannotShow, Subject, beginning
from kvdemo.models.device import dtype_name
from kvdemo.models.errors import out_of_memory
from kvdemo.models.loaded import LoadedModel
from kvdemo.models.network import fitting_cache
from kvdemo.models.network.forward import forward, next_token_logits, on_device
from kvdemo.strategies.compatibility import cache_support

#: Most tokens that are compared. Each takes a pass in each number format.
STEPS = 4
FORMATS = (torch.float32, torch.bfloat16, torch.float16)
#: Numbers in each of the two sums.
NUMBERS = 100_000
SLOTS, RUNS, SEED = 16, 8, 0


def show(subject: Subject) -> Mapping[str, Any]:
    """Let the model write some tokens in its own format, and compare the logits of that text in each format.

    The panel is shown after each of them: those in 16 bits take longer, as the weights are copied for them.
    """
    ids, note = beginning(subject.model, subject.ids, min(STEPS, subject.request.max_new_tokens))
    device = subject.model.device
    sums = {"note": note, "sum": split_sum(device), "scatter": scatter_add(device)}
    found: dict[torch.dtype, Mapping[str, Any]] = {}
    for dtype, compared in _formats(subject, ids):
        found[dtype] = compared
        subject.partly({"formats": [found[one] for one in _order(subject.model) if one in found], **sums})
    return {"formats": [found[one] for one in _order(subject.model)], **sums}


def _order(model: LoadedModel) -> list[torch.dtype]:
    """List the formats in the order in which they are shown."""
    return list(dict.fromkeys((*FORMATS, model.dtype)))


def _formats(subject: Subject, ids: list[int]) -> Iterator[tuple[torch.dtype, Mapping[str, Any]]]:
    """Compare in the model's own format, and then in each other one."""
    model = subject.model
    if reason := cache_support.unavailable_reason(model):
        for dtype in _order(model):
            yield dtype, _cannot(dtype, f"{model.id} cannot go on from a cache: {reason}")
        return
    subject.tell(f"Comparing logits in {dtype_name(model.dtype)}")
    own = _compared(subject, model, ids)
    yield model.dtype, own
    tokens = [step["token"] for step in own["steps"]]
    for dtype in _order(model):
        if dtype != model.dtype:
            subject.tell(f"Comparing logits in {dtype_name(dtype)}")
            yield dtype, _in_another(subject, dtype, ids, tokens)


def _in_another(subject: Subject, dtype: torch.dtype, ids: list[int], tokens: list[int]) -> Mapping[str, Any]:
    model = subject.model
    try:
        return _compared(subject, in_format(model, dtype), ids, tokens)
    except CannotShow as error:
        return _cannot(dtype, str(error))
    except (RuntimeError, TypeError, ValueError, NotImplementedError, LookupError, AttributeError) as error:
        why = "there is no memory for it" if out_of_memory(error) else in_words(error)
        return _cannot(dtype, f"{model.id} cannot run in {dtype_name(dtype)} on {model.device}: {why}.")


@torch.inference_mode()
def _compared(
    subject: Subject, model: LoadedModel, ids: list[int], written: Sequence[int] | None = None
) -> Mapping[str, Any]:
    """Run the text token by token with a cache, and in one pass without; compare the logits before each token.

    Without `written` tokens after the text, the model writes its own.
    """
    cache, new = fitting_cache.dynamic_cache(model.network), ids
    tokens, cached = list[int](), list[Tensor]()
    for at in range(len(written or ()) or min(STEPS, subject.request.max_new_tokens)):
        subject.check()
        cached.append(next_token_logits(model, new, cache).float())
        new = [written[at] if written else int(cached[-1].argmax())]
        tokens += new
    subject.check()
    text = on_device(model, [*ids, *tokens[:-1]])
    uncached = forward(model, text[None], None, keep=len(tokens))[0].float()
    steps = [_step(subject, token, *pair) for token, *pair in zip(tokens, cached, uncached, strict=True)]
    return {
        "dtype": dtype_name(model.dtype),
        "steps": steps,
        "largest_difference": max(step["largest_difference"] for step in steps),
        "smallest_margin": min(step["margin"] for step in steps),
    }


def _step(subject: Subject, token: int, cached: Tensor, uncached: Tensor) -> Mapping[str, Any]:
    # Tokens that a model masks have the logit minus infinity in both.
    difference = float(torch.where(cached == uncached, 0, cached - uncached).abs().max())
    best, second = uncached.topk(2).values.tolist()
    if not math.isfinite(difference) or not math.isfinite(best - second):
        raise CannotShow(f"The logits of {subject.model.id} are too large for this format, which ends in infinity.")
    choice, its_choice = int(cached.argmax()), int(uncached.argmax())
    return {
        "token": token,
        "piece": subject.model.piece(token),
        "largest_difference": difference,
        "margin": best - second,
        "same": choice == its_choice,
        "cached": subject.model.piece(choice),
        "uncached": subject.model.piece(its_choice),
    }


def split_sum(device: torch.device) -> Mapping[str, Any]:
    """Add up random numbers in float32, at once and in two halves; `exact` is the sum without rounding."""
    numbers = torch.randn(NUMBERS, generator=torch.Generator().manual_seed(SEED))
    there, half = numbers.to(device), NUMBERS // 2
    whole, split = float(there.sum()), float(there[:half].sum() + there[half:].sum())
    return {
        "numbers": NUMBERS,
        "whole": whole,
        "split": split,
        "exact": math.fsum(numbers.tolist()),
        "difference": abs(whole - split),
    }


def scatter_add(device: torch.device) -> Mapping[str, Any]:
    """Add random numbers to a few slots, all at once, several times over, and count the different results."""
    generator = torch.Generator().manual_seed(SEED)
    numbers = torch.randn(NUMBERS, generator=generator).to(device)
    slots = torch.randint(SLOTS, (NUMBERS,), generator=generator).to(device)
    runs = [torch.zeros(SLOTS, device=device).scatter_add_(0, slots, numbers).cpu() for _ in range(RUNS)]
    results = len({tuple(run.tolist()) for run in runs})
    return {
        "numbers": NUMBERS,
        "slots": SLOTS,
        "runs": RUNS,
        "results": results,
        "largest_difference": max(float((run - runs[0]).abs().max()) for run in runs),
        "sentence": scatter_sentence(device.type, results),
    }


def scatter_sentence(device: str, results: int) -> str:
    """Say what the scatter-adds showed, and why."""
    if results > 1:
        return f"{RUNS} runs gave {results} results: the additions to a slot run in whatever order the device takes."
    if device == "cpu":
        return f"{RUNS} runs gave the same result: on a CPU the additions run in a fixed order. A GPU fixes none."
    return f"{RUNS} runs gave the same result this time: a GPU fixes no order for the additions to a slot."


def _cannot(dtype: torch.dtype, why: str) -> Mapping[str, Any]:
    return {"dtype": dtype_name(dtype), "cannot": why}
