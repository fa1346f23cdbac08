"""See which positions the layers of a model may look at, by the masks that its code makes for them.

A configuration states a window, and the code of the model may use it or not. Only the mask tells. Nearly all models
make theirs with `transformers.masking_utils`, as a function of a query's and a key's position. That function is kept
here for each layer, and asked about two positions that are far apart: no long text is run.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS

#: Whether a query at one position may look at a key at another: batch row, head, query, key.
MaskFunction = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]

_watching: ContextVar[list[tuple[Tensor, MaskFunction]] | None] = ContextVar("watching", default=None)
_eager = ALL_MASK_ATTENTION_FUNCTIONS["eager"]


def _noted(*args: Any, **kwargs: Any) -> Any:
    """Make a mask for eager attention as transformers does; note its function where this thread watches."""
    made, noted = _eager(*args, **kwargs), _watching.get()
    if noted is not None and isinstance(made, Tensor) and "mask_function" in kwargs:
        noted.append((made, kwargs["mask_function"]))
    return made


_installing = threading.Lock()
_watches = 0


@contextmanager
def _installed() -> Iterator[None]:
    """Have transformers make masks by `_noted` within it, and no longer: torch.compile cannot take that apart."""
    global _watches  # noqa: PLW0603 - the table of functions is the whole process's
    with _installing:
        _watches += 1
        ALL_MASK_ATTENTION_FUNCTIONS["eager"] = _noted
    try:
        yield
    finally:
        with _installing:
            _watches -= 1
            if not _watches:
                ALL_MASK_ATTENTION_FUNCTIONS["eager"] = _eager


@contextmanager
def watched(network: PreTrainedModel) -> Iterator[dict[int, list[MaskFunction]]]:
    """Collect within it the functions of the masks that each layer is handed, by the layer's number.

    For a network with eager attention. A layer whose mask is made in another way is missing.
    """
    found: dict[int, list[MaskFunction]] = {}
    noted: list[tuple[Tensor, MaskFunction]] = []

    def enter(part: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        layer = getattr(part, "layer_idx", None)
        if not isinstance(layer, int):
            return
        for given in (*args, *kwargs.values()):
            for mask, function in noted:
                if mask is given and function not in found.setdefault(layer, []):
                    found[layer].append(function)

    hooks = [part.register_forward_pre_hook(enter, with_kwargs=True) for part in network.modules()]
    before = _watching.set(noted)
    try:
        with _installed():
            yield found
    finally:
        _watching.reset(before)
        for hook in hooks:
            hook.remove()


def looks_past(function: MaskFunction, window: int) -> bool | None:
    """Tell whether a query may look at a key `window` positions before it; None where the function cannot be asked.

    Asked from several places, because a mask of chunks depends on where in its chunk a query is.
    """
    zero = torch.zeros((), dtype=torch.long, device="cpu")
    try:
        return any(bool(function(zero, zero, zero + query, zero + query - window)) for query in _queries(window))
    except (RuntimeError, TypeError, ValueError, IndexError):  # its function needs the text: another kind of mask
        return None


def _queries(window: int) -> set[int]:
    return {window, window + 1, window + window // 2, 2 * window - 1, 2 * window}
