"""Build and run a model on the meta device, where tensors have shapes and no numbers.

It takes a second or less for a model of any size, and no memory. The model is passed transformers' own DynamicCache.
What the cache holds after each pass has the shapes that it has in a race.

A configuration comes from anybody: see `config_check` for what is checked before, and `_Patience` for what ends a
construction that does not end.
"""

from __future__ import annotations

import copy
import functools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from huggingface_hub.errors import StrictDataclassError
from torch.fx.experimental import _config as symbolic
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from transformers import AutoModel, DynamicCache, PreTrainedConfig, PreTrainedModel
from transformers.cache_utils import DynamicLayer

from kvdemo.core.errors import BadInput, in_words
from kvdemo.models.facts import parts_seen, rope, text_part
from kvdemo.models.network import cache_argument, cache_layers, masks, tied, windows

_T = TypeVar("_T")
Shapes = dict[str, tuple[torch.Size, torch.dtype]]
NO_KEYS = "{} keeps no keys and values that grow with the text: choose a model with attention."
# Positions that the cache holds after each pass. A cache that keeps one entry for several positions, 128 at the most so
# far (DeepSeek-V4), shows itself in the second.
POSITIONS = (2, 131)
# What transformers' own layers hold; how these grow shows after one pass, which is most of a trial's time.
_PLAIN = re.compile(r"keys|values|(conv|recurrent)_states\.\d+|indexer_keys")
# The largest models known make 60,000 calls; this many take some five seconds.
MOST_CALLS = 150_000


@dataclass(frozen=True)
class TextPass:
    """What passes over text show of the weights that they use.

    idle     the parts of the decoder that none calls, by path: for pictures, or for their tokens
    choices  how many were chosen of how many, wherever the first pass chose the largest: experts, among other things
    """

    idle: frozenset[str]
    choices: frozenset[tuple[int, int]]


@dataclass(frozen=True)
class Trial(TextPass):
    """A model on the meta device, and what its cache held after each pass.

    text          the configuration of the part that continues text, which `network` is
    shapes        for each pass and layer the shape and number format of every tensor, by name
    missing_head  numbers in the projection onto the vocabulary, where `network` was built without it; 0 where it has it
    query_heads   query heads of each layer that was seen to weigh positions, by its number
    runs          how often each position was multiplied with a weight, by the weight's `id`; only for weights that are
                  multiplied as they are
    windows       what the masks say of the windows that the configuration states
    """

    network: PreTrainedModel
    cache: DynamicCache
    text: PreTrainedConfig
    shapes: tuple[list[Shapes], ...]
    missing_head: int
    query_heads: Mapping[int, int]
    runs: Mapping[int, int]
    windows: windows.Stated


class _TooLargeError(Exception):
    """More parts than any model has."""


def run_trial(config: PreTrainedConfig, name: str, loaded: type[PreTrainedModel] | None = None) -> Trial:
    """Build the part of a model that continues text, and run a pass or two. The configuration is left as it is.

    `loaded` is the class of the model where it is loaded: what is tried where nothing else succeeds. Raises BadInput,
    one sentence about the model `name`, for what cannot be built or run.
    """
    refused: BadInput | None = None
    copied = try_build(name, lambda: copy.deepcopy(config))
    ways = [
        (functools.partial(auto.from_config, trust_remote_code=False), part, auto is AutoModel)
        for auto, part in text_part.ways_to_build(copied, name)
    ]
    if loaded is not None:
        ways.append((loaded._from_config, copied, False))
    for build, part, headless in ways:
        try:
            return try_build(name, functools.partial(_run, build, part, headless, name))
        except BadInput as error:
            refused = refused or rope.unknown(part, error, name) or error
    raise refused or BadInput(f"{name} is not supported: transformers has no class that runs its text part alone.")


def try_build(name: str, build: Callable[[], _T]) -> _T:
    """Return what `build` returns; turn what a library raises at numbers that do not fit together into BadInput."""
    try:
        return build()
    except BadInput:
        raise
    except _TooLargeError as error:
        raise BadInput(f"{name} has more parts than can be counted here: check its numbers.") from error
    except Exception as error:  # two hundred families of models raise what they like
        # A check of a configuration names itself, and holds what it found as the cause, which is no fault in code.
        checked = isinstance(error, StrictDataclassError) and error.__cause__
        said = in_words(BadInput(str(error.__cause__)) if checked else error)[:160].rstrip(" .:")
        said = said if said.isprintable() else ascii(said)
        raise BadInput(f"{name} is not supported: no model can be tried from its configuration ({said}).") from error


def _run(build: Callable[..., PreTrainedModel], part: PreTrainedConfig, headless: bool, name: str) -> Trial:
    """Try one way to build the model; `headless`: without the projection onto the vocabulary.

    bfloat16 shows which states stay in float32. The number format is set on the finished model: transformers would
    change torch's default for the whole process while it builds, and other threads decode at the same time.
    """
    part.quantization_config = None
    with on_meta() as calls:
        network = build(part, dtype=None, attn_implementation="eager")
        tied.tie(network)
        network = network.eval().to(torch.bfloat16)
        if not cache_argument.takes_cache(network):
            raise BadInput(f"{name} is not supported: its class {type(network).__name__} takes no cache.")
        if not hasattr(network.config.get_text_config(decoder=True), "num_hidden_layers"):
            raise BadInput(
                f"{name} is not supported: it has no single list of layers that a cache of transformers can be made "
                "for, so choose another model."
            )
        cache = DynamicCache(config=network.config)
        with parts_seen.watched(network) as seen, masks.watched(network) as looked:
            shapes, choices = _passes(network, cache, name, calls)
    stated = windows.read(cache, looked)
    if stated.unused:  # the cache has to be another one
        cache = windows.without(DynamicCache(config=network.config), stated.unused)
        with on_meta() as calls:
            shapes, choices = _passes(network, cache, name, calls)
    head = network.get_input_embeddings().weight.numel() if headless else 0
    idle = frozenset(parts_seen.idle(network.get_decoder(), seen.called))
    text = network.config.get_text_config(decoder=True)
    runs = {key: rows // POSITIONS[len(shapes) - 1] for key, rows in seen.rows.items()}
    return Trial(idle, choices, network, cache, text, tuple(shapes), head, seen.query_heads, runs, stated)


@contextmanager
def on_meta() -> Iterator[_Patience]:
    """Inside, what is made or run is on the meta device, and what reads numbers out of a tensor finds zeros."""
    with torch.device("meta"), _Patience() as calls, _any_mask(), torch.inference_mode():
        yield calls


def _passes(
    network: PreTrainedModel, cache: DynamicCache, name: str, calls: _Patience
) -> tuple[list[list[Shapes]], frozenset[tuple[int, int]]]:
    """Run the passes; return for each pass and layer what the cache holds, and the choices of the first pass.

    That one is over two positions. So whatever it chooses among more than two is no position.
    """
    shapes: list[list[Shapes]] = []
    choices: frozenset[tuple[int, int]] = frozenset()
    held = 0
    for positions in POSITIONS:
        ids = torch.zeros((1, positions - held), dtype=torch.long)
        try:
            network(input_ids=ids, **cache_argument.cache_kwargs(network, cache))
        except ValueError as error:
            if any(isinstance(layer, DynamicLayer) for layer in cache.layers):
                raise
            raise BadInput(NO_KEYS.format(name)) from error
        held = positions
        choices = choices or frozenset(calls.choices)
        shapes.append([{n: (t.shape, t.dtype) for n, t in cache_layers.named_tensors(layer)} for layer in cache.layers])
        if all(map(_plain, cache.layers, shapes[-1])):
            break
    return shapes, choices


def _plain(layer: Any, tensors: Iterable[str]) -> bool:
    """Tell whether a layer is one of transformers' cache_utils, and holds nothing that other layers do not."""
    return type(layer).__module__ == DynamicCache.__module__ and all(map(_PLAIN.fullmatch, tensors))


@contextmanager
def _any_mask() -> Iterator[None]:
    """Have torch treat every entry of a mask without numbers as true; which experts are chosen changes no cache."""
    with symbolic.patch(meta_nonzero_assume_all_nonzero=True):  # type: ignore[attr-defined]
        yield


def _nowhere(tensor: torch.Tensor, **_: Any) -> torch.Tensor:
    return torch.empty((0, tensor.ndim), dtype=torch.long, device="meta")


def _split(tensor: torch.Tensor, sizes: int | list[int], dim: int = 0) -> tuple[torch.Tensor, ...]:
    """Split a tensor; give all of it to the first part where the sizes were read out of one without numbers."""
    if not isinstance(sizes, int) and not any(sizes):
        sizes = [tensor.shape[dim], *sizes[1:]]
    return torch.split(tensor, sizes, dim)


def _choice(input: torch.Tensor, k: int, dim: int = -1, **_: Any) -> tuple[int, int]:  # noqa: A002 - torch's name
    """Read of a call of `torch.topk` how many are chosen of how many."""
    return k, input.shape[dim]


# Products with a matrix for each expert, under all the names that PyTorch has had for them.
_GROUPED = ((functional, "grouped_mm"), (torch, "_grouped_mm"))


def _grouped(rows: torch.Tensor, weights: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:
    """Give what the kernel gives. The meta device takes widths of whole 16 bytes alone, as some devices do."""
    return rows.new_empty((*rows.shape[:-1], weights.shape[-1]))


# What is read out of a tensor without numbers: zeros, that a check has been passed, and that no token is padding.
# And products that only tensors of some widths get there.
_READ: dict[Any, Callable[..., Any]] = {
    torch.Tensor.item: lambda _: 0,
    torch.Tensor.__bool__: lambda _: True,
    torch.Tensor.__int__: lambda _: 0,
    torch.Tensor.__index__: lambda _: 0,
    torch.Tensor.__float__: lambda _: 0.0,
    torch.Tensor.__contains__: lambda *_: False,
    **dict.fromkeys((torch.equal, torch.Tensor.equal, torch.allclose, torch.Tensor.allclose), lambda *_, **__: True),
    torch.Tensor.nonzero: _nowhere,
    torch.nonzero: _nowhere,
    torch.Tensor.tolist: lambda tensor: torch.zeros(tensor.shape, dtype=torch.int, device="cpu").tolist(),
    torch.Tensor.split: _split,
    torch.split: _split,
    **{getattr(place, name): _grouped for place, name in _GROUPED if hasattr(place, name)},
}


class _Patience(TorchFunctionMode):
    """Ends a construction after `MOST_CALLS` calls: a hostile configuration can ask for millions of small modules.

    choices  see `TextPass`
    """

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0
        self.choices: set[tuple[int, int]] = set()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.calls += 1
        if self.calls > MOST_CALLS:
            raise _TooLargeError
        if func in (torch.topk, torch.Tensor.topk):
            self.choices.add(_choice(*args, **(kwargs or {})))
        if (read := _READ.get(func)) is not None and args and isinstance(args[0], torch.Tensor) and args[0].is_meta:
            return read(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))
