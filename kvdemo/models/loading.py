"""From files to a model in memory: which device, which number format, and nothing but safetensors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging as transformers_logging

from kvdemo import attention
from kvdemo.core import BadInput, Progress
from kvdemo.models import catalog, memory, random_weights, sources
from kvdemo.models.catalog import quoted
from kvdemo.models.errors import first_line, out_of_memory
from kvdemo.models.folder import shards
from kvdemo.models.loaded import LoadedModel, Source

DEVICES = ("auto", "cpu", "cuda")
DTYPES = {"auto": None, "float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
# Never code from a repository, never a pickle, and no question to the Hub: the files are here.
_SAFELY = {"trust_remote_code": False, "local_files_only": True}
# What transformers and safetensors raise for files that are damaged or that belong to another version.
_UNREADABLE = (OSError, ValueError, LookupError, ArithmeticError, TypeError, AttributeError, RuntimeError, ImportError)
_DAMAGED = (*_UNREADABLE, SafetensorError, StrictDataclassError)


def load(
    model: str,
    *,
    device: str = "auto",
    dtype: str = "auto",
    progress: Callable[[Progress], None] = lambda _: None,
    allow_folders: bool | None = None,
) -> LoadedModel:
    """Find a model and load it: `sources.find`, then `read`. Raises BadInput."""
    choose(device, dtype)  # refuse a bad one before anything is downloaded
    source = sources.find(model, progress, allow_folders=allow_folders)
    return read(catalog.resolve(model).id, source, device=device, dtype=dtype, progress=progress)


def choose(device: str, dtype: str) -> tuple[torch.device, torch.dtype]:
    """The device and the number format that were asked for. Raises BadInput for what is not here.

    A device "auto" is the GPU where there is one. A dtype "auto" is float32 on a CPU, and on a GPU bfloat16,
    or float16 where the GPU (before Ampere) has no units for bfloat16.
    """
    if device not in DEVICES:
        raise BadInput(f"There is no device {quoted(device)}: choose one of {', '.join(DEVICES)}.")
    if dtype not in DTYPES:
        raise BadInput(f"There is no number format {quoted(dtype)}: choose one of {', '.join(DTYPES)}.")
    cuda = torch.cuda.is_available()
    if device == "cuda" and not cuda:
        raise BadInput("This PyTorch sees no CUDA device: choose the device cpu or auto.")
    if device == "cpu" or not cuda:
        return torch.device("cpu"), DTYPES[dtype] or torch.float32
    fitting = torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    return torch.device("cuda"), DTYPES[dtype] or fitting


def read(
    name: str,
    source: Source,
    *,
    device: str = "auto",
    dtype: str = "auto",
    progress: Callable[[Progress], None] = lambda _: None,
) -> LoadedModel:
    """Read a model's files into memory, or draw its random weights; in eval mode, no gradients. Raises BadInput."""
    where, kind = choose(device, dtype)
    attention.choose(where)
    progress(Progress(f"Loading {name} into memory"))
    try:
        if source.folder is None:
            network, tokenizer = random_weights.build(name, where, kind)
        else:
            network, tokenizer = _from_files(name, source.folder, where, kind)
        return LoadedModel(name, network.eval().requires_grad_(False), tokenizer, source)
    except BadInput:
        raise
    except (*_DAMAGED, MemoryError) as error:
        if out_of_memory(error):
            raise BadInput(
                f"{name} does not fit into memory: choose a smaller model or a 16-bit number format."
            ) from error
        raise BadInput(
            f"{name} cannot be loaded ({first_line(error)}): its files are damaged or want another version of "
            "transformers, so download it again or choose another model."
        ) from error


def _from_files(
    name: str, folder: Path, device: torch.device, dtype: torch.dtype
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    if device.type == "cpu":
        memory.check(name, [folder / shard for shard in shards(folder, name)], dtype)
    return _network(name, folder, dtype).to(device), _tokenizer(name, folder)


def _network(name: str, folder: Path, dtype: torch.dtype) -> PreTrainedModel:
    """The weights, every one of them: a layer that the files lack would be filled with random numbers."""
    transformers_logging.disable_progress_bar()
    network, report = AutoModelForCausalLM.from_pretrained(
        folder, dtype=dtype, use_safetensors=True, output_loading_info=True, **_SAFELY
    )
    if missing := sorted(report["missing_keys"]):
        raise BadInput(f"{name} lacks {len(missing)} of its weights ({missing[0]} first): choose another model.")
    return network


def _tokenizer(name: str, folder: Path) -> PreTrainedTokenizerBase:
    try:
        return AutoTokenizer.from_pretrained(folder, **_SAFELY)
    except Exception as error:  # the tokenizers library raises Exception itself, and nothing finer
        raise BadInput(
            f"{name} has a tokenizer that cannot be read ({first_line(error)}): download it again."
        ) from error
