"""Compile one decoding step, and keep the code with the model that it was compiled for.

The step takes a token and leaves the next one in its place, so that greedy decoding never waits for the host. It is
compiled once a model, for any length of the cache. A `Run` is that step bound to one cache. On CUDA a run is recorded
as a CUDA graph of its own, which the host launches as one operation. On a CPU the weights are packed for oneDNN or MKL
(inductor's freezing). All of it is done before a lane's clock starts, so no timed step holds a compilation or a
recording.
"""

from __future__ import annotations

import contextlib
import logging
import types
import warnings
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import StaticCache

from kvdemo.core.errors import BadInput
from kvdemo.costs import formulas
from kvdemo.models import memory
from kvdemo.models.facts import architecture, step_weights
from kvdemo.models.loaded import LoadedModel
from kvdemo.models.network import cache_layers
from kvdemo.models.network.cache_argument import cache_kwargs
from kvdemo.strategies.chooser import greedy
from kvdemo.strategies.kv_cache.compiling import compile_store
from kvdemo.strategies.kv_cache.compiling.compiled_run import (
    RUNS_BEFORE_RECORDING,
    Run,
    Step,
    bind,
    record_graph,
    size_for,
)

# On CUDA kernels are tuned for the length that they are compiled with, and used for all. Tuned for a few hundred
# positions, they read the keys and values of 2,500 too slowly.
_TUNED_FOR = 2560
_ATTRIBUTE = "_kvdemo_compiled"
# What inductor needs to reach the memory's bandwidth with products of one row: it writes them as reductions and tunes
# each for the device. Its choice among matrix kernels (max_autotune) is for many rows. Its softmax in one pass does not
# go with spreading one row over the device, and where both would apply it warns.
_ON_CUDA = {"coordinate_descent_tuning": True, "online_softmax": False}

log = logging.getLogger(__name__)


@dataclass(eq=False)
class Compiled:
    """A model's compiled step and the runs that were made of it; they are kept for later lanes.

    step          compiled once `seconds` is a number: what compiling took in this process
    pack          whether to pack the weights while compiling
    packed_bytes  of weights that the compiled code holds in a layout of its own, beside the model's
    """

    step: Step
    pack: bool = False
    seconds: float | None = None
    packed_bytes: int = 0
    runs: list[Run] = field(default_factory=list)

    def __deepcopy__(self, _memo: dict[int, object]) -> None:
        """Leave a copy of the network without: this was compiled for the one that it is kept on."""


_alive: weakref.WeakSet[Compiled] = weakref.WeakSet()


def compiled_for(model: LoadedModel) -> Compiled:
    """Return the model's compiled step, made if need be. It is kept on the network and freed with it."""
    found = getattr(model.network, _ATTRIBUTE, None)
    if isinstance(found, Compiled):
        return found
    compile_store.prepare()
    made = Compiled(_step(model), pack=model.device.type == "cpu" and _fits_twice(model))
    setattr(model.network, _ATTRIBUTE, made)
    _alive.add(made)
    weakref.finalize(model.network, _forget_dead).atexit = False
    return made


def _step(model: LoadedModel) -> Step:
    """Run the step, uncompiled."""
    network = model.network
    (name,) = cache_kwargs(network, None).keys() - {"use_cache"}

    def step(token: Tensor, cache: StaticCache) -> Tensor:
        out = network(input_ids=token, logits_to_keep=1, use_cache=True, **{name: cache})
        logits: Tensor = out.logits[0, -1]
        token.copy_(greedy(logits).view(1, 1))
        return logits

    return step


def linear_bytes(model: LoadedModel) -> int:
    """Count the bytes of the weights that packing copies."""
    return sum(layer.weight.nbytes for layer in step_weights.linear_layers(model.network, model.id))


def bytes_to_pack(model: LoadedModel) -> int:
    """Count the bytes of the packed weights that compiling will add; 0 where it has been done, or packs nothing."""
    found = getattr(model.network, _ATTRIBUTE, None)
    if isinstance(found, Compiled):
        return linear_bytes(model) if found.pack and found.seconds is None else 0
    return linear_bytes(model) if model.device.type == "cpu" and _fits_twice(model) else 0


def _fits_twice(model: LoadedModel) -> bool:
    """Tell whether there is memory for packed copies of the weights; packing holds one more for a while."""
    free = memory.available()
    return free is None or 2 * linear_bytes(model) < free


def idle_bytes(model: LoadedModel) -> int:
    """Count the bytes of device memory that are kept for later compiled lanes and that no lane uses now."""
    found = getattr(model.network, _ATTRIBUTE, None)
    return sum(run.bytes for run in found.runs if run.idle) if isinstance(found, Compiled) else 0


def _forget_dead() -> None:
    """Free the compiled code once no model is there that uses it."""
    if not list(_alive):
        torch.compiler.reset()


@torch.inference_mode()
def borrow_run(model: LoadedModel, positions: int, user: object, tell: Callable[[str], None]) -> Run:
    """Lend `user` a run with an empty cache for `positions`, compiled and recorded, for as long as it lives.

    `tell` is called with a sentence before each part that takes long. Raises BadInput if it cannot be compiled.
    """
    compiled, size = compiled_for(model), size_for(min(positions, model.context_length or positions))
    run = next((run for run in compiled.runs if run.idle and run.size == size), None)
    if run is None:
        compiled.runs = [run for run in compiled.runs if not run.idle]  # of other sizes: their memory is needed
        run = _prepare(compiled, model, size, tell)
        compiled.runs.append(run)
    run.lend(user)
    return run


def _prepare(compiled: Compiled, model: LoadedModel, size: int, tell: Callable[[str], None]) -> Run:
    """Make a run: compile if it is the model's first, run until nothing is new any more, record."""
    if compiled.seconds is None:
        _compile(compiled, model, size, tell)
    before = _allocated(model)
    run = bind(compiled.step, model, size)
    if model.device.type == "cuda":
        record_graph(run)
        run.bytes = _allocated(model) - before
    else:
        run.bytes = sum(tensor.nbytes for layer in run.cache.layers for tensor in cache_layers.layer_tensors(layer))
    return run


def _compile(compiled: Compiled, model: LoadedModel, size: int, tell: Callable[[str], None]) -> None:
    """Compile by running. Nothing is compiled again afterwards, whatever the cache's size."""
    from torch._dynamo.exc import TorchDynamoException  # noqa: PLC0415 - a second, and only for who compiles

    before = _compile_seconds()
    for pack in (True, False) if compiled.pack else (False,):
        tell("compiling the decoding step, once for this model")
        compiled.pack = pack
        step = _compilable(compiled.step, _options(model, pack))
        try:
            with trace_settings(model, pack):
                run = bind(step, model, tuned_length(model, size))
                for _ in range(RUNS_BEFORE_RECORDING):
                    run()
        except TorchDynamoException as error:
            if pack:
                log.warning("Packing the weights failed; compiling without it", exc_info=True)
                continue
            said = (str(error).strip() or type(error).__name__).splitlines()[0][:160].rstrip(" .:")
            raise BadInput(f"torch.compile cannot compile this model's step here ({said}): use StaticCache.") from error
        compiled.step, compiled.seconds = step, _compile_seconds() - before
        compiled.packed_bytes = linear_bytes(model) if pack else 0
        return


def tuned_length(model: LoadedModel, size: int) -> int:
    """Choose the length to compile with: on CUDA a long one, where the context and the memory hold it."""
    if model.device.type != "cuda" or size >= _TUNED_FOR:
        return size
    longer = size_for(min(_TUNED_FOR, model.context_length or _TUNED_FOR))
    needed = formulas.kv_bytes(architecture.from_config(model.network.config), longer, model.dtype.itemsize)
    return longer if 2 * needed < torch.cuda.mem_get_info(model.device)[0] else size


def _compilable(step: Step, options: dict[str, Any]) -> Step:
    """Make what compiles a step at its first call: a copy, because torch counts how often one code was compiled."""
    named = types.FunctionType(step.__code__.replace(), step.__globals__, step.__name__, None, step.__closure__)
    return torch.compile(named, options=options, fullgraph=True)


def _options(model: LoadedModel, pack: bool) -> dict[str, Any]:
    return _ON_CUDA if model.device.type == "cuda" else {"freezing": pack}


@contextlib.contextmanager
def trace_settings(model: LoadedModel, pack: bool) -> Iterator[None]:
    """Apply the settings that hold while the step is traced; they affect the compiled code and nothing else."""
    with contextlib.ExitStack() as stack:
        if model.device.type == "cuda":
            # Attention of one row as plain products: inductor fuses them with the mask, and spreads the keys of one
            # head over the device. The ready kernels give each head to one multiprocessor.
            stack.enter_context(sdpa_kernel(SDPBackend.MATH))
        # Looked at while tracing, too: parameters become constants, which are then packed.
        stack.enter_context(torch._inductor.config.patch(freezing=pack))
        stack.enter_context(warnings.catch_warnings())
        # Torch advises TF32, which changes results; environment.float32_matmul states the setting.
        warnings.filterwarnings("ignore", message="TensorFloat32 tensor cores", category=UserWarning)
        yield


def _allocated(model: LoadedModel) -> int:
    return torch.cuda.memory_allocated(model.device) if model.device.type == "cuda" else 0


def _compile_seconds() -> float:
    """Return the seconds that this process has spent in torch.compile, by PyTorch's own count."""
    from torch._dynamo.utils import calculate_time_spent  # noqa: PLC0415 - as above

    return float(calculate_time_spent().get("total_wall_time", 0.0))
