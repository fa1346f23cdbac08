"""The rows against single lanes of the same seeds, and the choice among them against their mean log-probabilities."""

from __future__ import annotations

import random
import threading
from statistics import fmean

import pytest
import torch

from kvdemo.core.settings.race import RaceRequest, Sampling
from kvdemo.core.types import Choice, Step, TimedStep
from kvdemo.models.loaded import LoadedModel
from kvdemo.race import session
from kvdemo.samplers import Rule
from kvdemo.strategies.kv_cache.dynamic_cache import DynamicCached
from kvdemo.strategies.search.best_of_n import SEEDS_APART, BestOfN
from tests.strategies.conftest import job_of, steps_of, tokens_of
from tests.strategies.layered import FULL, SLIDING, STATES, model_of
from tests.strategies.references import random_prompt

NEW = 12


@torch.inference_mode()
def mean_logprob(model: LoadedModel, text: str, tokens: list[int]) -> float:
    """The reference: one pass over the whole text, without a cache."""
    ids = [*model.tokenizer.encode(text), *tokens]
    logits = model.network(input_ids=torch.tensor([ids]), use_cache=False).logits[0]
    own = logits.log_softmax(-1)[range(len(ids) - len(tokens) - 1, len(ids) - 1), tokens]
    return float(own.mean())


def drawn(model: LoadedModel, text: str, rows: int, **more: float) -> Step:
    (step,) = steps_of(BestOfN(rows=rows), model, text, temperature=1.0, tokens=NEW, **more)  # type: ignore[arg-type]
    return step


def texts_of(step: Step) -> list[list[int]]:
    """Each text of the tree's last level, from the prompt on."""
    found = []
    for last in range(len(step.levels[-1])):
        path, place = [], last
        for level in reversed(step.levels):
            path.append(level[place].token)
            place = level[place].parent
        found.append(path[::-1])
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", ["llama", "gpt2", *FULL, *SLIDING, *STATES])
def test_each_row_draws_as_a_single_lane_and_the_likeliest_is_chosen(name: str) -> None:
    model, text = model_of(name), random_prompt(random.Random(name))
    alone = [
        tokens_of(DynamicCached(), model, text, NEW, temperature=1.0, seed=5 + SEEDS_APART * row) for row in range(4)
    ]
    means = [mean_logprob(model, text, tokens) for tokens in alone]
    ranked = sorted(range(4), key=lambda row: -means[row])
    step = drawn(model, text, 4, seed=5)
    assert texts_of(step) == [alone[row] for row in ranked]
    assert list(step.tokens) == alone[ranked[0]]
    assert step.details["best_mean"] == pytest.approx(max(means), abs=1e-4)
    assert step.details["worst_mean"] == pytest.approx(min(means), abs=1e-4)
    assert len(set(map(tuple, alone))) > 1


def test_a_repetition_penalty_reads_only_its_own_row() -> None:
    """A repetition penalty, a rule of the text so far, must not see what other rows wrote."""
    model, text = model_of("llama"), "w3 w4 w5"
    specs = [f"dynamic_cache:seed={seed}" for seed in (0, SEEDS_APART, 2 * SEEDS_APART)] + ["best_of_n:rows=3"]
    asked = {"prompt": text, "chat": False, "ignore_eos": True, "max_new_tokens": 10, "strategies": [
        f"{spec}:temperature=1:repetition_penalty=1.5" for spec in specs
    ]}  # fmt: skip
    lanes = session.run(RaceRequest.parse(asked), model, lambda _: None, threading.Event()).document["lanes"]
    *alone, best = lanes
    ranked = sorted(alone, key=lambda lane: -fmean(p for step in lane["steps"] for p in step["logprobs"]))
    assert best["tokens"] == ranked[0]["tokens"]
    assert best["metrics"]["ttft_s"] is None and best["metrics"]["levels"] == 10


def test_a_row_is_scored_up_to_its_end_of_text() -> None:
    model, text = model_of("llama"), "w3 w4 w5"
    whole = drawn(model, text, 4)
    stop = texts_of(whole)[1][3]  # the second text, of those that were not cut, ends at its fourth token

    def cut(tokens: list[int]) -> list[int]:
        return tokens[: tokens.index(stop) + 1] if stop in tokens else tokens

    means = {tuple(cut(tokens)): mean_logprob(model, text, cut(tokens)) for tokens in texts_of(whole)}
    (step,) = BestOfN().decode(job_of(model, text, rule=Rule(Sampling(1.0)), tokens=NEW, ends=(stop,)))
    assert step.tokens == max(means, key=lambda tokens: means[tokens])
    assert len(step.levels) == len(step.tokens)


def test_the_prompt_runs_once_and_the_cache_holds_a_row_for_each_text(tiny_llama: LoadedModel) -> None:
    prompt = len(tiny_llama.tokenizer.encode("The quick brown fox"))
    step = drawn(tiny_llama, "The quick brown fox", 5)
    shapes = [(ran.rows, ran.positions, ran.context) for ran in step.passes]
    assert shapes == [(1, prompt, prompt), *((5, 1, prompt + n) for n in range(1, NEW))]
    facts = tiny_llama.facts()
    a_position = 2 * facts["layers"] * facts["kv_heads"] * facts["head_dim"] * 4
    assert step.cache_bytes == 5 * a_position * (prompt + NEW - 1)


def test_without_a_temperature_best_of_n_fails_with_a_remedy(tiny_llama: LoadedModel) -> None:
    asked = {"prompt": "fox", "strategies": "best_of_n", "max_new_tokens": 5}
    (lane,) = session.run(RaceRequest.parse(asked), tiny_llama, lambda _: None, threading.Event()).document["lanes"]
    assert (lane["status"], lane["steps"]) == ("failed", [])
    assert lane["error"].endswith("set a temperature above 0, as in best_of_n:temperature=0.8.")


@pytest.mark.parametrize("name", ["rwkv", "bert"])
def test_a_model_whose_cache_rows_cannot_be_copied_is_refused_in_one_sentence(name: str) -> None:
    reason = BestOfN().unavailable_reason(model_of(name))
    assert reason and reason.endswith(".")


def test_the_remark_states_the_mean_log_probabilities() -> None:
    def remark(best_row: int) -> str:
        figures = {"rows": 4, "best_row": best_row, "best_mean": -1.0, "first_mean": -1.5}
        figures |= {"mean_of_means": -2.0, "worst_mean": -3.25}
        (said,) = BestOfN().remarks([TimedStep(Step((Choice(1, -1, 2, -2),), 4, details=figures), 1.0)])
        return said

    assert remark(2) == (
        "Best of n drew 4 texts. The best has a mean log-probability of -1.00 a token, the one drawn first -1.50, all "
        "of them -2.00 on average and the worst -3.25."
    )
    assert "which was drawn first" in remark(0)
