"""Try on the loaded model whether a strategy can run on it: a few steps on a few token ids.

A model that cannot go on from a cache fails in one of two ways. Its code raises, or it runs and writes a text that has
little to do with the prompt: it reads in both directions, counts positions anew in each pass, or keeps a state in
itself, where two lanes mix. So two lanes run in turns, on different ids, with the tokens that they commit prescribed
(`scripted_lane`). What each token was chosen from is then compared with passes without a cache (`reference`).

A trial runs the model, so the caller must hold the device. The result is kept with the model. What shows only in longer
texts is not tried: beyond a window of more than 64 positions, for example. Whether the model's code uses its windows is
seen without a text, from its masks (`kvdemo.models.network.windows`).
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from statistics import median
from weakref import WeakKeyDictionary

import torch
from transformers import PreTrainedModel

from kvdemo.core.errors import CODE_FAILS, BadInput, fault_in_code
from kvdemo.models.device import dtype_name
from kvdemo.models.errors import out_of_memory
from kvdemo.models.loaded import LoadedModel
from kvdemo.models.network.forward import forward
from kvdemo.models.network.ties import Ties
from kvdemo.strategies.compatibility.reference import Reference, example_ids, looks_ahead, reference_of
from kvdemo.strategies.compatibility.scripted_lane import Decode, ScriptedLane, take_turns

# A cache that changes scores by design must beat no past at all: see `reference` for the measure.
_ALLOWED_LOSSY = 1.0
_BOTH_WAYS = "it reads in both directions, so each new token changes all of its past"

log = logging.getLogger(__name__)

_known: WeakKeyDictionary[PreTrainedModel, dict[str, str | None]] = WeakKeyDictionary()
_references: WeakKeyDictionary[PreTrainedModel, Reference] = WeakKeyDictionary()
_look_up_only: ContextVar[bool] = ContextVar("look_up_only", default=False)


@contextmanager
def known_only() -> Iterator[None]:
    """Run nothing on the model inside this context: what has not been tried yet passes for possible."""
    before = _look_up_only.set(True)
    try:
        yield
    finally:
        _look_up_only.reset(before)


def looks_up_only() -> bool:
    """Tell whether nothing may be run on the model here: see `known_only`."""
    return _look_up_only.get()


def reason(model: LoadedModel, name: str, decode: Decode, *, exact: bool = True, instead: str) -> str | None:
    """Say in a sentence why a strategy cannot run on a model; None if it can. Tried once, and kept under `name`.

    `exact` is False for one that changes the scores by design; `instead` is the strategy to recommend.
    """
    return once(model, name, lambda: _sentence(model, decode, exact, instead))


def once(model: LoadedModel, name: str, find: Callable[[], str | None]) -> str | None:
    """Return what `find` finds out by running the model; kept with the model under `name`."""
    known = _known.setdefault(model.network, {})
    if name in known or _look_up_only.get():
        return known.get(name)
    try:
        known[name] = find()
    except Exception as error:
        if not out_of_memory(error):
            raise
        return None  # says nothing of the model: the lane will run out of memory itself, and say so
    return known[name]


def count(model: LoadedModel) -> int:
    """Count what has been tried on a model."""
    return len(_known.get(model.network, ()))


def plain_pass_reason(model: LoadedModel) -> str | None:
    """Say why a pass over a text does not give the model's next token, with a cache or without; None if it does.

    Some models predict a token only where another stands in its place (XLNet, XLM), or need more than a text.
    """
    return once(model, "a plain pass", lambda: _without_plain_pass(model))


@torch.inference_mode()
def _without_plain_pass(model: LoadedModel) -> str | None:
    ids = torch.tensor([example_ids(model)], device=model.device)
    try:
        prepared = model.network.prepare_inputs_for_generation(
            ids, attention_mask=torch.ones_like(ids), use_cache=False, is_first_iteration=True
        )
        if not torch.equal(prepared["input_ids"], ids):
            return (
                f"its class {type(model.network).__name__} does not predict the token that follows a text, but one at "
                "a place that is marked in it, and only generate() of transformers marks it: choose another model."
            )
        forward(model, ids, None)
    except Exception as error:  # a model's code may raise anything
        if out_of_memory(error):
            raise
        return f"{failure(model, error)}: choose another model."
    return None


def failure(model: LoadedModel, error: Exception, what: str = "its code failed in a first trial") -> str:
    """Say what failed: with the library's words, or where these are about code, with the model's class."""
    kind = type(model.network).__name__
    if not fault_in_code(error):
        return f"{what} ({shortened(error)})"
    log.info("A first trial failed on %s", kind, exc_info=error)
    return f"{CODE_FAILS} on models of class {kind}"


def shortened(error: BaseException) -> str:
    """Write an exception as one printable line."""
    line = next(iter(str(error).strip().splitlines()), "")[:160].rstrip(" .:")
    line = f"{type(error).__name__}: {line}" if line else type(error).__name__
    return line if line.isprintable() else ascii(line)


def _sentence(model: LoadedModel, decode: Decode, exact: bool, instead: str) -> str | None:
    try:
        with Ties():  # which of equal scores the model takes says nothing of the lane
            found = _tried(model, decode, exact)
    except BadInput as error:
        return str(error)
    except Exception as error:  # a model's code may raise anything
        if out_of_memory(error):
            raise
        found = failure(model, error)
    return f"{found}: use {instead}." if found else None


@torch.inference_mode()
def _tried(model: LoadedModel, decode: Decode, exact: bool) -> str | None:
    if model.network not in _references:
        _references[model.network] = reference_of(model)
    reference = _references[model.network]
    lanes = [ScriptedLane(model, text, decode) for text in reference.texts]
    try:
        take_turns(lanes)
    except Exception as error:
        if not isinstance(error, BadInput) and not out_of_memory(error) and looks_ahead(model, reference):
            return _BOTH_WAYS  # the better reason
        raise
    if not math.isfinite(reference.past):
        kind = dtype_name(model.dtype)
        raise BadInput(f"its logits are not finite numbers in {kind}, with a cache or without: run it in float32.")
    if _agree(lanes, reference, exact):
        return None
    if looks_ahead(model, reference):
        return _BOTH_WAYS
    alone = [ScriptedLane(model, text, decode) for text in reference.texts]
    for lane in alone:
        take_turns([lane])
    if _agree(alone, reference, exact):
        return "it keeps its states in itself, where the lanes of a race would mix"
    return "in a first trial it did not write what it writes without a cache"


def _agree(lanes: Sequence[ScriptedLane], reference: Reference, exact: bool) -> bool:
    """Tell whether what the lanes chose from is what the model gives without a cache."""
    apart = [lane.apart(rows) for lane, rows in zip(lanes, reference.rows, strict=True)]
    allowed = reference.allowed(reference.share if exact else _ALLOWED_LOSSY)
    if exact and reference.single:
        return max(distance for one in apart for distance in one) <= allowed
    return median(distance for one in apart for distance in one[1:] or one) <= allowed  # the prompt is always right
