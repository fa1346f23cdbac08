"""One decoding step as compiled code, kept with the model that it was compiled for.

Compiled code knows its shapes: a cache of another size is compiled for anew. So sizes are powers of two, which
runs of like length share, and a size that is new is compiled, and run a few times, before the first token is asked
for: no step of decoding ever holds a compilation.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sysconfig
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import StaticCache
from transformers.cache_utils import get_layer_types_and_kwargs

from kvdemo.core import BadInput
from kvdemo.models.cache_argument import using
from kvdemo.models.loaded import LoadedModel
from kvdemo.strategies import _cached

_SMALLEST = 256
# Compile and run; with CUDA graphs: warm up, record, replay.
_RUNS = 3
# torch.compile keeps this many versions of one piece of code, of all models together; it raises at one more.
_MOST_VERSIONS = 8
_ATTRIBUTE = "_kvdemo_compiled"


def size_for(positions: int, context: int | None) -> int:
    """Room for so many positions: the next power of two, as far as the context goes."""
    size = max(_SMALLEST, 1 << (positions - 1).bit_length())
    return size if context is None else max(min(size, context), positions)


@dataclass(eq=False)
class Compiled:
    """The compiled step of one model, the cache that it last ran on, and the sizes that it is ready for.

    CUDA graphs know addresses: they are recorded anew for another cache. So a cache is kept for the next run.
    `seconds` holds, for each size that is ready, what compiling it took.
    """

    step: Callable[[Tensor, StaticCache], Tensor]
    seconds: dict[int, float] = field(default_factory=dict)
    spare: StaticCache | None = None


_alive: weakref.WeakSet[Compiled] = weakref.WeakSet()


def of(model: LoadedModel) -> Compiled:
    """The model's compiled step. It lives on the network: it is freed with it."""
    found = getattr(model.network, _ATTRIBUTE, None)
    if isinstance(found, Compiled):
        return found
    network = model.network

    def step(token: Tensor, cache: StaticCache) -> Tensor:
        out = network(input_ids=token, logits_to_keep=1, **using(network, cache))
        logits: Tensor = out.logits[0, -1]
        return logits

    made = Compiled(torch.compile(step, mode="reduce-overhead", fullgraph=True, dynamic=False))
    setattr(network, _ATTRIBUTE, made)
    _alive.add(made)
    weakref.finalize(network, _forget_dead).atexit = False
    return made


def _forget_dead() -> None:
    """Free the compiled code, and on CUDA the graphs and their memory, once no model is there that uses them."""
    if not list(_alive):
        torch.compiler.reset()


def _make_room() -> None:
    """Forget all that is compiled when there are as many versions as torch.compile keeps."""
    if sum(len(compiled.seconds) for compiled in _alive) >= _MOST_VERSIONS:
        torch.compiler.reset()
        for compiled in _alive:
            compiled.seconds.clear()


def borrow(compiled: Compiled, model: LoadedModel, size: int) -> tuple[StaticCache, bool]:
    """An empty cache of the size that the compiled step is ready for, and whether it had to be compiled for it.

    Whoever borrows it sets `spare` to it when done.
    """
    cache, compiled.spare = compiled.spare, None
    if cache is None or cache.get_max_length() != size:
        cache = StaticCache(config=model.network.config, max_cache_len=size)
    else:
        cache.reset()
    new_size = size not in compiled.seconds
    if new_size or not cache.is_initialized:
        _prepare(compiled, model, cache, size)
    return cache, new_size


def _prepare(compiled: Compiled, model: LoadedModel, cache: StaticCache, size: int) -> None:
    """Compile for the cache's size, run until nothing is new any more, and leave the cache empty."""
    from torch._dynamo.exc import TorchDynamoException  # noqa: PLC0415 - a second, and only for who compiles

    if size not in compiled.seconds:
        _make_room()
    token = torch.zeros((1, 1), dtype=torch.long, device=model.device)
    model.network(input_ids=token, logits_to_keep=1, **using(model.network, cache))  # reserves its tensors
    before = _compile_seconds()
    try:
        for _ in range(_RUNS):
            run(compiled, token, cache)
    except TorchDynamoException as error:
        said = (str(error).strip() or type(error).__name__).splitlines()[0][:160].rstrip(" .:")
        raise BadInput(f"torch.compile cannot compile this model's step here ({said}): use StaticCache.") from error
    compiled.seconds.setdefault(size, _compile_seconds() - before)
    cache.reset()


def run(compiled: Compiled, token: Tensor, cache: StaticCache) -> Tensor:
    """Logits behind one more token, shape (vocab,); with CUDA graphs they are overwritten by the next run."""
    torch.compiler.cudagraph_mark_step_begin()
    return compiled.step(token, cache)


def _compile_seconds() -> float:
    """Seconds that this process has spent in torch.compile, by PyTorch's own count."""
    from torch._dynamo.utils import calculate_time_spent  # noqa: PLC0415 - as above

    return float(calculate_time_spent().get("total_wall_time", 0.0))


def unavailable_reason(model: LoadedModel) -> str | None:
    """Why a step of this model cannot be compiled here."""
    if os.environ.get("SPACES_ZERO_GPU"):
        return "ZeroGPU lends a GPU to each request anew, and does not support torch.compile."
    if set(get_layer_types_and_kwargs(model.config)[0]) != {"full_attention"}:
        return "layers with sliding windows or states are compiled anew at each position: use StaticCache."
    if not getattr(model.network, "_can_compile_fullgraph", False):
        return "transformers marks this model's code as one that cannot be compiled as a whole: use StaticCache."
    return _cached.unavailable_reason(model) or _missing_tool(model.device.type)


def _missing_tool(device: str) -> str | None:
    headers = Path(sysconfig.get_paths()["include"], "Python.h")
    if device not in ("cpu", "cuda"):
        return f"it compiles for CPUs and CUDA GPUs, and the model is on {device}."
    if device == "cuda" and importlib.util.find_spec("triton") is None:
        return "torch.compile needs the package triton on CUDA: install it."
    compiler: Any = os.environ.get("CXX" if device == "cpu" else "CC")
    names = [compiler] if compiler else ["g++", "clang++"] if device == "cpu" else ["gcc", "clang"]
    if not any(map(shutil.which, names)):
        return f"torch.compile needs a compiler, and {' and '.join(names)} cannot be found: install one."
    if not headers.exists():
        return f"torch.compile needs Python's headers, and there is no {headers}: install them (python3-dev)."
    return None
