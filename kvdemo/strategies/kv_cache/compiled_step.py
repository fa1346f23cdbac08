"""Compile one decoding step, and keep the code with the model that it was compiled for.

The step takes a token and leaves the next one in its place, so that greedy decoding never waits for the host. It is
compiled once a model, for any length of the cache. A `Run` is that step bound to one cache. On CUDA a run is recorded
as a CUDA graph of its own, which the host launches as one operation. On a CPU the weights are packed for oneDNN or MKL
(inductor's freezing). All of it is done before a lane's clock starts, so no timed step holds a compilation or a
recording.
"""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
import shutil
import sysconfig
import types
import warnings
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import StaticCache
from transformers.cache_utils import StaticLayer, get_layer_types_and_kwargs

from kvdemo.core.errors import BadInput
from kvdemo.costs import formulas
from kvdemo.models import cache_layers, memory_check
from kvdemo.models.cache_argument import cache_kwargs
from kvdemo.models.facts import architecture, rope
from kvdemo.models.forward import next_token_logits
from kvdemo.models.loaded import LoadedModel
from kvdemo.strategies.chooser import greedy
from kvdemo.strategies.kv_cache import compile_store
from kvdemo.strategies.kv_cache.static_cache import StaticCached

# Room is reserved in multiples of this: few sizes, which runs of like length share, and little that is never used.
_MULTIPLE = 64
# On CUDA kernels are tuned for the length that they are compiled with, and used for all. Tuned for a few hundred
# positions, they read the keys and values of 2,500 too slowly.
_TUNED_FOR = 2560
# Compile, and run until nothing is new any more.
RUNS_BEFORE_RECORDING = 3
_ATTRIBUTE = "_kvdemo_compiled"
# What inductor needs to reach the memory's bandwidth with products of one row: it writes them as reductions and tunes
# each for the device. Its choice among matrix kernels (max_autotune) is for many rows. Its softmax in one pass does not
# go with spreading one row over the device, and where both would apply it warns.
_ON_CUDA = {"coordinate_descent_tuning": True, "online_softmax": False}

Step = Callable[[Tensor, StaticCache], Tensor]
log = logging.getLogger(__name__)


def size_for(positions: int) -> int:
    """Round positions up to a multiple of 64: the size of the cache."""
    return -(-positions // _MULTIPLE) * _MULTIPLE


class _Layer(StaticLayer):
    """A layer of a static cache that compiled code can be used with again: it knows neither its size nor its address.

    transformers marks the tensors as having a fixed address, which freezing would take for constants, and states the
    size as a number, which would be compiled in.
    """

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        self.device = key_states.device
        self.keys = key_states.new_zeros((*key_states.shape[:2], self.max_cache_len, key_states.shape[-1]))
        self.values = value_states.new_zeros((*value_states.shape[:2], self.max_cache_len, value_states.shape[-1]))
        for tensor in (self.keys, self.values):
            torch._dynamo.mark_dynamic(tensor, 2)
        self.cumulative_length: Tensor = self.cumulative_length.to(self.device)
        self.is_initialized = True

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        if not self.is_initialized:
            return super().get_mask_sizes(query_length)
        return self.keys.shape[-2], 0


@dataclass(eq=False)
class Run:
    """The step bound to one cache of `size` positions.

    token    shape (1, 1): read by the step, which leaves the likeliest next token there
    logits   shape (vocab,): what the last step left; overwritten by the next one
    bytes    of device memory that the run holds beside the model: cache, and on CUDA the graph's own memory
    """

    size: int
    cache: StaticCache
    token: Tensor
    step: Step
    graph: torch.cuda.CUDAGraph | None = None
    logits: Tensor | None = None
    bytes: int = 0
    _user: weakref.ref[Any] | None = None

    def __call__(self) -> Tensor:
        """Run `token` through the model; return the logits after it. The likeliest next token is then in `token`."""
        if self.graph is None:
            self.logits = self.step(self.token, self.cache)
        else:
            self.graph.replay()
        assert self.logits is not None  # noqa: S101 - recorded with the graph
        return self.logits

    @property
    def idle(self) -> bool:
        """Whether no lane works with it."""
        return self._user is None or self._user() is None

    def lend(self, user: object) -> None:
        """Give it to a user, empty, for as long as that object lives."""
        self._user = weakref.ref(user)
        self.cache.reset()


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
    """The step, uncompiled."""
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
    return sum(module.weight.nbytes for module in model.network.modules() if isinstance(module, torch.nn.Linear))


def _fits_twice(model: LoadedModel) -> bool:
    """Tell whether there is memory for packed copies of the weights; packing holds one more for a while."""
    free = memory_check.available()
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

    `tell` hears a sentence before what takes long. Raises BadInput where the step cannot be compiled.
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
    run = _run(compiled.step, model, size)
    if model.device.type == "cuda":
        record_graph(run)
        run.bytes = _allocated(model) - before
    else:
        run.bytes = sum(tensor.nbytes for layer in run.cache.layers for tensor in cache_layers.layer_tensors(layer))
    return run


def _run(step: Step, model: LoadedModel, size: int) -> Run:
    """The step bound to a new cache, its tensors reserved by running one token uncompiled."""
    cache = StaticCache(config=model.network.config, max_cache_len=size)
    cache.layers = [_Layer(size) for _ in cache.layers]
    token = torch.zeros((1, 1), dtype=torch.long, device=model.device)
    next_token_logits(model, token[0], cache)
    return Run(size, cache, token, step)


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
                run = _run(step, model, tuned_length(model, size))
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
    """What compiles a step at its first call. A copy of its code: torch counts how often one piece was compiled."""
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


def record_graph(run: Run) -> None:
    """Record the step as a CUDA graph, and launch it once: its first launch takes longer."""
    stream = torch.cuda.Stream(run.token.device)
    stream.wait_stream(torch.cuda.current_stream(run.token.device))
    with torch.cuda.stream(stream):
        for _ in range(RUNS_BEFORE_RECORDING):
            run()
    torch.cuda.current_stream(run.token.device).wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    # Other threads may use the device meanwhile: only this one is recorded.
    with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
        run()
    run.graph = graph
    run()
    torch.cuda.synchronize(run.token.device)


def _allocated(model: LoadedModel) -> int:
    return torch.cuda.memory_allocated(model.device) if model.device.type == "cuda" else 0


def _compile_seconds() -> float:
    """Seconds that this process has spent in torch.compile, by PyTorch's own count."""
    from torch._dynamo.utils import calculate_time_spent  # noqa: PLC0415 - as above

    return float(calculate_time_spent().get("total_wall_time", 0.0))


def unavailable_reason(model: LoadedModel) -> str | None:
    """Say why a step of this model cannot be compiled here; None if it can."""
    if os.environ.get("SPACES_ZERO_GPU"):
        return "ZeroGPU lends a GPU to each request anew, and does not support torch.compile."
    if any(kind["rope_type"] in ("longrope", "dynamic") for kind in rope.rope_parameters(model.config)):
        return "its rotary factors change with the length of the text, which cannot be compiled: use DynamicCache."
    if set(get_layer_types_and_kwargs(model.config)[0]) != {"full_attention"}:
        return "layers with sliding windows or states are compiled anew at each position: use StaticCache."
    if not getattr(model.network, "_can_compile_fullgraph", False):
        return "transformers marks this model's code as one that cannot be compiled as a whole: use StaticCache."
    return _missing_tool(model.device.type) or StaticCached().unavailable_reason(model)  # it runs the same passes


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
