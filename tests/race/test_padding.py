"""Padding inside a text: where it moves the positions of a cached lane, the race says so."""

from __future__ import annotations

import threading

import pytest
import torch
from transformers import DynamicCache

from kvdemo.core.events import Finished, RaceEvent
from kvdemo.core.settings.race import RaceRequest
from kvdemo.models.loaded import LoadedModel
from kvdemo.models.network.cache_argument import cache_kwargs
from kvdemo.race import padding, session
from tests.race.test_done_by_generate import network_of
from tests.tiny_models import loaded

PADDING = 1
WITHOUT, WITH = [5, 6, 7, 8], [5, PADDING, 7, 8]


def parted(model: LoadedModel, ids: list[int]) -> bool:
    """Tell whether the last of some tokens is followed by something else when the others lie in a cache."""
    cache = DynamicCache(config=model.network.config)
    with torch.inference_mode():
        whole = model.network(torch.tensor([ids]), use_cache=False).logits[:, -1]
        model.network(torch.tensor([ids[:-1]]), **cache_kwargs(model.network, cache))
        last = model.network(torch.tensor([ids[-1:]]), **cache_kwargs(model.network, cache)).logits[:, -1]
    return not torch.allclose(whole, last, atol=1e-3)


@pytest.mark.parametrize(
    "family", ["roberta", "camembert", "xlm-roberta", "roberta-prelayernorm", "bert", "opt", "gpt2"]
)
@pytest.mark.parametrize("ids", [WITHOUT, WITH], ids=["without", "with"])
def test_padding_is_named_exactly_where_a_cache_moves_what_follows_it(
    tiny_llama: LoadedModel, family: str, ids: list[int]
) -> None:
    model = loaded("it", network_of(family), tiny_llama.tokenizer)
    assert bool(padding.counted_in_a_cache_alone(model, ids)) == parted(model, ids)


def test_a_race_over_a_prompt_with_padding_says_why_its_lanes_part(tiny_llama: LoadedModel) -> None:
    model = loaded("it", network_of("roberta"), tiny_llama.tokenizer)
    events: list[RaceEvent] = []
    prompt = f"The{model.tokenizer.decode([PADDING])} fox"
    asked = {"prompt": prompt, "chat": False, "max_new_tokens": 4, "strategies": "no_cache,dynamic_cache"}
    session.run(RaceRequest.parse(asked), model, events.append, threading.Event())
    finished = events[-1]
    assert isinstance(finished, Finished)
    assert PADDING in finished.document["prompt"]["tokens"]
    (said,) = [
        sentence for sentence in finished.document["verdict"]["sentences"] if "padding (the id 1), 1 time" in sentence
    ]
    assert "a cache may write another text" in said
