"""Models whose text carries tokens faithfully, so that even a loop over text must write what `generate()` writes."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from kvdemo.core.settings.race import Sampling
from kvdemo.core.types import Step
from kvdemo.models.loaded import LoadedModel
from kvdemo.samplers import Rule
from kvdemo.strategies.base import Job, Strategy
from kvdemo.strategies.chooser import Chooser, record

from ..tiny_models import loaded, tiny_gpt2_network, tiny_llama_network

WORDS = 200
#: A strategy that only draws is tested at a temperature of its own.
DRAWS = {"best_of_n": "best_of_n:temperature=1.0"}


def word_tokenizer() -> PreTrainedTokenizerFast:
    """One token a word, words apart by spaces: encoding and decoding undo each other."""
    vocabulary = {"<s>": 0, "a": 1, "</s>": 2} | {f"w{n}": n for n in range(3, WORDS)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<s>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="</s>", clean_up_tokenization_spaces=False)


@pytest.fixture(scope="session")
def word_models() -> Mapping[str, LoadedModel]:
    """Every tiny architecture, by name, behind the word tokenizer."""
    networks = {"llama": tiny_llama_network(WORDS), "gpt2": tiny_gpt2_network(WORDS)}
    return {name: loaded(f"tiny-{name}", network, word_tokenizer()) for name, network in networks.items()}


def steps_of(
    strategy: Strategy, model: LoadedModel, text: str, *, temperature: float = 0, seed: int = 0, tokens: int = 10**6
) -> Iterator[Step]:
    """A strategy's steps on a base prompt, as a lane would ask for them."""
    rule = Rule(Sampling(temperature, seed=seed), strategy.sampling)
    return map(record, strategy.decode(job_of(model, text, rule=rule, tokens=tokens)))


def job_of(
    model: LoadedModel,
    text: str,
    *,
    rule: Rule | None = None,
    tokens: int = 10**6,
    ends: Collection[int] = (),
    tell: Callable[[str], None] = lambda _: None,
    with_candidates: bool = False,
) -> Job:
    """What a lane gives a strategy to work with, on a base prompt."""
    prompt, rule = model.prompt(text, chat=False), rule or Rule()
    return Job(
        model=model,
        prompt=prompt,
        encode=lambda appended: model.encode(prompt, appended),
        choose=Chooser(rule, torch.device("cpu"), lambda: model.encode(prompt), with_candidates=with_candidates),
        max_new_tokens=tokens,
        ends=ends,
        sampling=rule,
        tell=tell,
    )


def similar(model: LoadedModel, noise: float) -> LoadedModel:
    """A draft model that is often right: the same weights, a little off."""
    network = copy.deepcopy(model.network)
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(noise * torch.randn_like(parameter))
    return loaded("draft", network, model.tokenizer)


def tokens_of(strategy: Strategy, model: LoadedModel, text: str, n: int, **options: float) -> list[int]:
    """The first n tokens that a strategy commits."""
    tokens: list[int] = []
    for step in steps_of(strategy, model, text, tokens=n, **options):  # type: ignore[arg-type]
        tokens += step.tokens
        if len(tokens) >= n:
            break
    return tokens[:n]


def generated(model: LoadedModel, text: str, n: int, **how: Any) -> list[int]:
    """The reference: n greedy tokens of `generate()`, not stopped by an end of text. `how` are options of it."""
    return all_generated(model, [text], n, **how)[0]


def all_generated(model: LoadedModel, texts: list[str], n: int, **how: Any) -> list[list[int]]:
    """The same of texts of one length, in one call: nothing is padded, so each row is what it would be alone."""
    ids = torch.tensor([model.tokenizer.encode(text) for text in texts])
    out = model.network.generate(
        input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=n, do_sample=False, eos_token_id=None,
        pad_token_id=0, **how,
    )  # fmt: skip
    return [row[ids.shape[1] :].tolist() for row in out]
