"""Loaded models of every tiny configuration, with a tokenizer, and panels computed on them."""

from __future__ import annotations

import functools
import threading
from typing import Any

import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from kvdemo.core.inside_settings import InsideRequest
from kvdemo.inside import session
from kvdemo.models.loaded import LoadedModel
from tests.models.tiny_configs import tiny
from tests.tiny_models import byte_level_tokenizer, loaded

TOKENIZER = byte_level_tokenizer()


@functools.cache
def network(name: str, attention: str | None = None) -> PreTrainedModel:
    """The network of a tiny configuration, with the tokenizer's vocabulary and weights that depend on nothing else."""
    config = tiny(name)
    for vocabulary in ("vocab_size", "vocab_size_per_layer_input"):
        if hasattr(config, vocabulary):
            setattr(config, vocabulary, len(TOKENIZER))
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(config, attn_implementation=attention).eval()


@functools.cache
def model(name: str) -> LoadedModel:
    return loaded(name, network(name), TOKENIZER)


def panel(on: LoadedModel, name: str, prompt: str = "The quick brown fox", **settings: Any) -> dict[str, Any]:
    """One panel of the document that a run on a model returns."""
    request = InsideRequest.parse({"prompt": prompt, "panels": name} | settings)
    document = session.run(request, on, lambda _: None, threading.Event())
    assert document["status"] == "done"
    return document["panels"][name]
