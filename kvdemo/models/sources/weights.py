"""Load a network from a folder of safetensors: the class that continues text, with the weights of the files alone."""

from __future__ import annotations

from inspect import Parameter, signature
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel
from transformers.utils import logging as transformers_logging

from kvdemo.core.errors import BadInput, in_words
from kvdemo.models.errors import DamagedFiles
from kvdemo.models.facts import text_part, tying
from kvdemo.models.network import cache_argument, tied
from kvdemo.models.sources import checkpoint

# Never code from a repository, never a pickle, and no question to the Hub: the files are here.
SAFELY = {"trust_remote_code": False, "local_files_only": True}


def network(name: str, folder: Path, dtype: torch.dtype, device: torch.device | None) -> PreTrainedModel:
    """Load the model with every one of its weights. Raises BadInput where no class of transformers finds all of them.

    A model for more than text is loaded with the class for its text part alone where transformers has one that reads
    these files, and else as a whole. `device` is None for one that transformers spreads over those that there are.
    """
    transformers_logging.disable_progress_bar()
    refused: BadInput | None = None
    spread = {"device_map": "auto"} if device is None else {}
    for auto, part in text_part.to_load(AutoConfig.from_pretrained(folder, **SAFELY), name):
        with tied.LOADING:
            found, report = auto.from_pretrained(
                folder, config=part, dtype=dtype, use_safetensors=True, output_loading_info=True, **spread, **SAFELY
            )
        missing = sorted(report["missing_keys"])
        if not missing:
            _say_whether_tied(found)
            return _on_text_alone(name, auto, found if device is None else found.to(device))
        refused = refused or DamagedFiles(
            f"{name} lacks {len(missing)} of its weights ({missing[0]} first): choose another model."
        )
    raise refused or _unsupported(name)


def shape(name: str, folder: Path, dtype: torch.dtype) -> PreTrainedModel:
    """Build the model of a folder without its weights, on the meta device. Raises BadInput where no class is known."""
    config = AutoConfig.from_pretrained(folder, **SAFELY)
    tying.settle(config, checkpoint.read_json(folder / "config.json", name))
    for auto, part in text_part.to_load(config, name):
        with torch.device("meta"):
            made: PreTrainedModel = auto.from_config(part, dtype=None, trust_remote_code=False)
        tied.tie(made)
        return made.to(dtype)
    raise _unsupported(name)


def _say_whether_tied(found: PreTrainedModel) -> None:
    """Correct the configuration of a model whose files have a head of its own: what it costs is read off that."""
    head, words = (
        getattr(part, "weight", None) for part in (found.get_output_embeddings(), found.get_input_embeddings())
    )
    if head is not None and words is not None and head is not words:
        tying.untie(found.config)


def _unsupported(name: str) -> BadInput:
    return BadInput(f"{name} is not supported: transformers has no class that runs its text part alone.")


def _on_text_alone(name: str, auto: Any, found: PreTrainedModel) -> PreTrainedModel:
    """Try the model on one token where it is made for more than text: some insist on a picture beside it."""
    if auto is AutoModelForCausalLM and found.config.get_text_config(decoder=True) is found.config:
        return found
    ids = torch.zeros((1, 1), dtype=torch.long, device=found.device)
    try:
        with torch.inference_mode():
            found.eval()(input_ids=ids, logits_to_keep=1, **cache_argument.cache_kwargs(found, None))
    except Exception as error:  # each class has its own way to say so
        raise BadInput(
            f"{name} is not supported: its class {type(found).__name__} does not continue a text alone "
            f"({_needs(found) or in_words(error)})."
        ) from error
    return found


def _needs(found: PreTrainedModel) -> str:
    """Name what a class takes no text without; nothing where its code says that in another way."""
    given = signature(found.forward).parameters.values()
    needed = [one.name for one in given if one.default is Parameter.empty and one.kind is one.POSITIONAL_OR_KEYWORD]
    others = [name for name in needed if name != "input_ids"]
    return f"it needs {' and '.join(others)}" if others else ""
