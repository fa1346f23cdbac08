"""What guesses must never do: change a token, draw twice, leave a trace in the cache, or reach past the end."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice

import pytest
import torch
from transformers import DynamicCache

from kvdemo.core.settings.race import Sampling
from kvdemo.core.types import Choice, Step, TimedStep
from kvdemo.models.loaded import LoadedModel
from kvdemo.models.network.cache_argument import cache_kwargs
from kvdemo.models.network.forward import cache_bytes
from kvdemo.samplers import Rule
from kvdemo.strategies.base import Job
from kvdemo.strategies.chooser import Chooser, Picked, record
from kvdemo.strategies.draft import verify
from kvdemo.strategies.draft.prompt_lookup import PromptLookup
from kvdemo.strategies.kv_cache.dynamic_cache import DynamicCached
from tests.strategies.conftest import WORDS, generated, steps_of, tokens_of
from tests.strategies.layered import FULL, SLIDING, STATES, model_of
from tests.strategies.references import random_prompt

NEW = 24


def job_of(model: LoadedModel, text: str, tokens: int, temperature: float = 0, seed: int = 0) -> Job:
    prompt = model.prompt(text, chat=False)
    choose = Chooser(Rule(Sampling(temperature, seed=seed)), torch.device("cpu"))
    return Job(model, prompt, lambda appended: model.encode(prompt, appended), choose, tokens)


@torch.inference_mode()
def guessing(job: Job, guess: verify.Guess, most: int) -> Iterator[Step]:
    yield from map(record, verify.draft_and_verify(job, guess, most))


def oracle(right: Sequence[int], prompt: int, wrong_every: int) -> verify.Guess:
    """Guesses the text that will be written, and goes wrong at every so many-th token of it."""

    def guess(written: Sequence[int], most: int) -> list[int]:
        at = len(written) - prompt
        return [
            token if (at + n) % wrong_every else (token + 1) % WORDS for n, token in enumerate(right[at : at + most])
        ]

    return guess


@pytest.mark.slow
@pytest.mark.parametrize("name", [*FULL, *SLIDING])
@pytest.mark.parametrize("wrong_every", [3, 7])  # a third token wrong each time; right to the end, too
def test_right_and_wrong_drafts_do_not_change_the_text(name: str, wrong_every: int) -> None:
    model, rng = model_of(name), random.Random(name)
    for text in [random_prompt(rng) for _ in range(3)] + ["w3", "w3 w4 w5 w6 w7 w8"]:  # windows: 8 positions
        right = generated(model, text, NEW)
        job = job_of(model, text, NEW)
        steps = steps_until(guessing(job, oracle(right, len(job.encode("")), wrong_every), 5), NEW)
        assert [token for step in steps for token in step.tokens] == right
        assert len(steps) < NEW / 2 + 2  # guesses were really taken


@pytest.mark.parametrize("name", ["llama", "mistral"])
def test_some_of_its_guesses_are_right_and_some_are_wrong(name: str, word_models: dict[str, LoadedModel]) -> None:
    """Random models seldom repeat what they read, but they come to repeat themselves."""
    model = word_models.get(name) or model_of(name)
    rng, drafted, accepted = random.Random(name), 0, 0
    for _ in range(4):
        steps = steps_until(steps_of(PromptLookup(ngram=1, draft_tokens=4), model, random_prompt(rng), tokens=60), 60)
        drafted += int(sum(step.details["drafted"] for step in steps))
        accepted += int(sum(step.details["accepted"] for step in steps))
    assert drafted > accepted >= 3


def steps_until(steps: Iterator[Step], tokens: int) -> list[Step]:
    taken: list[Step] = []
    while sum(len(step.choices) for step in taken) < tokens:
        taken.append(next(steps))
    return taken


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
@pytest.mark.parametrize("temperature", [0.3, 1.0])
def test_sampled_tokens_are_those_of_a_lane_that_guesses_nothing(
    architecture: str, temperature: float, word_models: dict[str, LoadedModel]
) -> None:
    model, rng, drafted = word_models[architecture], random.Random(7), 0
    for seed in range(8):
        text = " ".join([random_prompt(rng)] * 2)
        steps = steps_until(
            steps_of(PromptLookup(ngram=1), model, text, temperature=temperature, seed=seed, tokens=60), 60
        )
        expected = tokens_of(DynamicCached(), model, text, 60, temperature=temperature, seed=seed)
        assert [token for step in steps for token in step.tokens] == expected
        drafted += int(sum(step.details["drafted"] for step in steps))
    assert drafted > 50


def test_one_random_draw_is_made_for_each_committed_token(word_models: dict[str, LoadedModel]) -> None:
    class Counting(Chooser):
        draws = 0

        def __call__(self, logits: torch.Tensor) -> Picked:
            self.draws += 1
            return super().__call__(logits)

    likely = tokens_of(DynamicCached(), word_models["llama"], "w3 w4", 40, temperature=0.5)
    counting = Counting(Rule(Sampling(temperature=0.5)), torch.device("cpu"))
    job = replace(job_of(word_models["llama"], "w3 w4", 40), choose=counting)
    steps = steps_until(guessing(job, oracle(likely, 2, wrong_every=4), 5), 40)
    assert 0 < sum(step.details["accepted"] for step in steps) < sum(step.details["drafted"] for step in steps)
    assert sum(len(step.choices) for step in steps) == counting.draws


@pytest.mark.parametrize("name", ["llama", "mistral", "gemma3"])
def test_after_a_step_the_cache_holds_what_one_without_guesses_holds(
    name: str, word_models: dict[str, LoadedModel]
) -> None:
    """Keys and values of each layer, number by number: a rejected guess leaves no trace."""
    model = word_models.get(name) or model_of(name)
    ids = model.tokenizer.encode("w3 w4 w5 w6 w7 w8 w9 w10 w11 w12")
    right = generated(model, "w3 w4 w5 w6 w7 w8 w9 w10 w11 w12", 6)
    with torch.inference_mode():
        caches = [DynamicCache(config=model.network.config) for _ in range(2)]
        for cache in caches:
            model.network(input_ids=torch.tensor([ids]), **cache_kwargs(model.network, cache))
        caches[0].activate_past_recording()
        wrong = [*right[1:4], (right[4] + 1) % WORDS, 5, 6]
        job = job_of(model, "w3", 100)
        assert [c.token for c in verify.verify_draft(job, caches[0], torch.tensor(right[:1]), wrong)] == right[1:5]
        for token in right[:4]:
            model.network(input_ids=torch.tensor([[token]]), **cache_kwargs(model.network, caches[1]))
    assert caches[0].get_seq_length() == caches[1].get_seq_length() == len(ids) + 4
    assert cache_bytes(caches[0]) == cache_bytes(caches[1])
    for ours, theirs in zip(caches[0].layers, caches[1].layers, strict=True):
        torch.testing.assert_close(ours.keys, theirs.keys, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(ours.values, theirs.values, atol=1e-5, rtol=1e-4)


def test_steps_say_what_was_guessed_accepted_and_run(word_models: dict[str, LoadedModel]) -> None:
    model = word_models["llama"]
    right = generated(model, "w3 w4", 12)
    job = job_of(model, "w3 w4", 100)
    steps = list(islice(guessing(job, oracle(right, 2, 6), 4), 4))
    assert [step.details for step in steps] == [
        {"drafted": 0, "accepted": 0},
        {"drafted": 4, "accepted": 4},  # tokens 1 to 4; the 5th is the model's own
        {"drafted": 4, "accepted": 0},  # the 6th was guessed wrong, and what was guessed behind it is lost with it
        {"drafted": 4, "accepted": 4},
    ]
    assert [step.positions for step in steps] == [2, 5, 5, 5]
    assert [len(step.choices) for step in steps] == [1 + int(step.details["accepted"]) for step in steps]
    held = len(job.encode("")) + sum(len(step.choices) for step in steps) - 1
    assert steps[-1].cache_bytes == held * steps[0].cache_bytes // 2


def test_no_pass_reaches_past_the_context(word_models: dict[str, LoadedModel]) -> None:
    """A position that GPT-2 has no embedding for would be an IndexError."""
    job = job_of(word_models["gpt2"], " ".join(["w3 w4 w5"] * 168), 10**6)  # 504 of 512 positions
    steps = guessing(job, lambda _, most: [3] * most, 64)
    assert next(steps).positions + next(steps).positions == 511  # and the token written behind them would be the 512th


def test_no_more_is_guessed_than_will_be_asked_for(word_models: dict[str, LoadedModel]) -> None:
    right = generated(word_models["llama"], "w3 w4", 30)
    job = job_of(word_models["llama"], "w3 w4", 12)
    steps = steps_until(guessing(job, oracle(right, 2, 10**6), 7), 12)
    assert [len(step.choices) for step in steps] == [1, 8, 3]


@pytest.mark.parametrize("name", STATES)
def test_models_whose_state_cannot_be_rolled_back_are_refused(name: str) -> None:
    assert "cannot be turned back" in (PromptLookup().unavailable_reason(model_of(name)) or "")


@pytest.mark.parametrize("name", [*FULL, *SLIDING])
def test_models_that_pass_the_trial_are_accepted(name: str) -> None:
    assert PromptLookup().unavailable_reason(model_of(name)) is None


def test_a_model_that_transformers_calls_stateful_is_refused(
    word_models: dict[str, LoadedModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(word_models["llama"].network, "_is_stateful", True)
    assert PromptLookup().unavailable_reason(word_models["llama"])


def test_the_remark_counts_the_guesses_or_says_that_there_were_none() -> None:
    token = Choice(1, -1.0, 2, -2.0)

    def taken(drafted: int, accepted: int) -> TimedStep:
        return TimedStep(Step((token,) * (accepted + 1), 1, details={"drafted": drafted, "accepted": accepted}), 1.0)

    assert PromptLookup().remarks([taken(0, 0), taken(10, 9), taken(10, 3)]) == [
        "Prompt lookup guessed 20 tokens and the model accepted 12 of them (60%): 6 accepted a step, 7 tokens a step "
        "in 2 steps after the prompt."
    ]
    assert PromptLookup().remarks([taken(0, 0), taken(0, 0)]) == [
        "Prompt lookup found nothing to repeat in 1 step: each wrote one token."
    ]
    assert PromptLookup().remarks([taken(0, 0)]) == []
