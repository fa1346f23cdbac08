"""The whole engine on the real model: what is promised of it holds on prompts that nobody chose to be easy."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from kvdemo.core.settings.race import DEFAULT_LANES, DEFAULT_PROMPT, RaceRequest
from kvdemo.models.loaded import LoadedModel
from kvdemo.race import session
from kvdemo.web.tabs.race_examples import EXAMPLES
from tests.strategies.recompute.test_reencode import by_definition

from .strategies.conftest import generated

NEW_TOKENS = 12
PROMPTS = [
    "Write 20 emoji of animals: 🐶🐱🐭",
    "请用一句话解释键值缓存。",
    "def fib(n):\n    if n < 2:\n        return n\n",
    "a\n\n\n\nb\n\n\n",
    "1234567890 =  1",
]


def race(model: LoadedModel, prompt: str, tokens: int, **fields: Any) -> dict[str, Any]:
    asked = RaceRequest.parse({"prompt": prompt, "chat": False, "max_new_tokens": tokens, "ignore_eos": True} | fields)
    return dict(session.run(asked, model, lambda _: None, threading.Event()).document)


@pytest.mark.parametrize("prompt", PROMPTS)
def test_the_cached_lane_writes_generates_text_and_the_reencoding_lane_follows_its_definition(
    smollm2: LoadedModel, prompt: str
) -> None:
    reencode, cached = race(smollm2, prompt, NEW_TOKENS)["lanes"]
    assert cached["tokens"] == generated(smollm2, prompt, NEW_TOKENS)
    assert reencode["tokens"] == by_definition(smollm2, prompt, NEW_TOKENS)[0]


def test_reencoding_diverges_at_two_newlines_and_the_verdict_says_so(smollm2: LoadedModel) -> None:
    made = race(smollm2, "What is KV caching?", NEW_TOKENS)
    divergence = made["comparison"]["lanes"][0]["first_divergence"]
    assert (divergence["index"], divergence["kind"]) == (2, "retokenized")
    assert r'wrote "\n","\n" (198, 198), and its text was read back as "\n\n" (1116)' in divergence["detail"]
    assert any("Same text up to token 2." in sentence for sentence in made["verdict"]["sentences"])


@pytest.mark.parametrize("tokens", [24, RaceRequest(DEFAULT_PROMPT).max_new_tokens])
def test_the_default_race_ends_in_one_text(smollm2: LoadedModel, tokens: int) -> None:
    made = race(smollm2, DEFAULT_PROMPT, tokens, chat=None, ignore_eos=False)
    reencode, cached = made["lanes"]
    assert (reencode["strategy"], cached["strategy"]) == DEFAULT_LANES
    assert reencode["tokens"] == cached["tokens"]
    assert len(cached["tokens"]) >= min(tokens, 100)  # long enough to see one lane slow down
    assert made["comparison"]["lanes"][0]["identical"]


def test_the_drift_example_diverges_by_retokenization(smollm2: LoadedModel) -> None:
    (drift,) = (example for example in EXAMPLES if example.label == "Drift")
    made = race(smollm2, drift.text, 70, chat=None)
    assert made["comparison"]["lanes"][0]["first_divergence"]["kind"] == "retokenized"
    assert made["comparison"]["lanes"][0]["first_divergence"]["index"] == 65


def test_the_loop_example_repeats_itself_and_its_penalty_stops_that(smollm2: LoadedModel) -> None:
    (loop,) = (example for example in EXAMPLES if example.label == "Greedy loops")
    greedy, penalised = race(smollm2, tokens=128, **loop.form | {"chat": None})["lanes"]
    assert distinct_4_grams(greedy["tokens"]) < 0.6
    assert distinct_4_grams(penalised["tokens"]) > 0.95


def distinct_4_grams(tokens: list[int]) -> float:
    """The share of sequences of four tokens that are the first of their kind."""
    found = list(zip(*(tokens[n:] for n in range(4)), strict=False))
    return len(set(found)) / len(found)


def test_the_cache_holds_what_the_formula_says(smollm2: LoadedModel) -> None:
    steps = race(smollm2, "Hello", 4, strategies="dynamic_cache")["lanes"][0]["steps"]
    # 2 (keys, values) · 30 layers · 3 kv_heads · 64 head_dim · 4 bytes
    assert [step["cache_bytes"] for step in steps] == [46_080 * n for n in (1, 2, 3, 4)]


def test_the_chat_template_is_the_models_own(smollm2: LoadedModel) -> None:
    text = smollm2.prompt("Hi", chat=True).text
    assert text.endswith("<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n")
