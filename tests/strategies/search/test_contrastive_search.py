"""The search against the formula of its paper, worked out without a cache: one pass for each candidate's whole text."""

from __future__ import annotations

import copy
import random
import threading
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

import pytest
import torch

from kvdemo.core.settings.race import RaceRequest
from kvdemo.core.types import Choice, Step, TimedStep
from kvdemo.models.loaded import LoadedModel
from kvdemo.race import session
from kvdemo.strategies.search.contrastive_search import ContrastiveSearch
from tests.strategies.conftest import generated, steps_of, tokens_of, word_tokenizer
from tests.strategies.layered import FULL, SLIDING, STATES, model_of
from tests.strategies.references import random_prompt
from tests.tiny_models import loaded, tiny_llama_network

NEW = 12


@torch.inference_mode()
def run(model: LoadedModel, ids: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Probabilities after the last token, and the last layer's state at every position, without a cache."""
    out = model.network(input_ids=torch.tensor([list(ids)]), use_cache=False, output_hidden_states=True)
    return out.logits[0, -1].softmax(-1), out.hidden_states[-1][0]


def searched(model: LoadedModel, text: str, n: int, alpha: float, k: int) -> list[int]:
    """The reference, a candidate at a time."""
    ids = list(model.tokenizer.encode(text))
    for _ in range(n):
        probabilities, _ = run(model, ids)
        scores = {}
        for token in probabilities.topk(k).indices.tolist():
            *past, own = run(model, [*ids, token])[1]
            nearest = max(float(torch.cosine_similarity(own, state, dim=0)) for state in past)
            scores[token] = (1 - alpha) * float(probabilities[token]) - alpha * nearest
        ids.append(max(scores, key=lambda token: scores[token]))
    return ids[-n:]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["llama", "gpt2", *FULL, *SLIDING, *STATES])
def test_contrastive_search_follows_its_formula_on_every_kind_of_layer(name: str) -> None:
    model, rng = model_of(name), random.Random(name)
    unlike_greedy = 0
    for text in [random_prompt(rng), random_prompt(rng, 3), "w3"]:
        expected = searched(model, text, NEW, 0.6, 4)
        assert tokens_of(ContrastiveSearch(), model, text, NEW) == expected
        unlike_greedy += expected != generated(model, text, NEW)
    assert unlike_greedy  # it must have had something to find


def test_a_vocabulary_smaller_than_the_candidates_is_tried_whole() -> None:
    model = loaded("five", tiny_llama_network(5), word_tokenizer())
    found = tokens_of(ContrastiveSearch(candidates=32), model, "w3 w4", NEW)
    assert found == searched(model, "w3 w4", NEW, 0.6, 5)


@pytest.mark.parametrize(("alpha", "k"), [(0.0, 4), (0.3, 2), (1.0, 8)])
def test_alpha_and_k_have_the_meaning_of_the_formula(alpha: float, k: int) -> None:
    model = model_of("llama")
    written = tokens_of(ContrastiveSearch(alpha=alpha, candidates=k), model, "w3 w4 w5", NEW)
    assert written == searched(model, "w3 w4 w5", NEW, alpha, k)
    assert (written == generated(model, "w3 w4 w5", NEW)) == (alpha == 0)


def test_a_step_is_one_pass_over_the_candidates_and_holds_a_row_for_each(tiny_llama: LoadedModel) -> None:
    prompt = len(tiny_llama.tokenizer.encode("The quick brown fox"))
    first, second = islice(steps_of(ContrastiveSearch(candidates=5), tiny_llama, "The quick brown fox"), 2)
    assert [(ran.rows, ran.positions, ran.context) for ran in first.passes] == [
        (1, prompt, prompt),
        (5, 1, prompt + 1),
    ]
    assert [(ran.rows, ran.positions, ran.context) for ran in second.passes] == [(5, 1, prompt + 2)]
    facts = tiny_llama.facts()
    a_position = 2 * facts["layers"] * facts["kv_heads"] * facts["head_dim"] * 4
    assert second.cache_bytes == 5 * a_position * (prompt + 2)


def test_log_probabilities_are_the_models_own(tiny_llama: LoadedModel) -> None:
    ids = list(tiny_llama.tokenizer.encode("fox"))
    for step in islice(steps_of(ContrastiveSearch(), tiny_llama, "fox"), NEW):
        exact, _ = run(tiny_llama, ids)
        (choice,) = step.choices
        assert choice.logprob == pytest.approx(float(exact[choice.token].log()), abs=1e-4)
        ids.append(choice.token)


def test_contrastive_search_ends_at_the_context() -> None:
    """GPT-2 has no embedding for position 512."""
    model = model_of("gpt2")
    text = " ".join(["w3 w4 w5"] * ((model.context_length - 5) // 3))
    prompt = len(model.tokenizer.encode(text))
    assert len(list(steps_of(ContrastiveSearch(), model, text))) == model.context_length - prompt


@pytest.mark.parametrize("temperature", [0.01, 1.0])
def test_a_temperature_is_refused_before_the_first_step(tiny_llama: LoadedModel, temperature: float) -> None:
    asked = {"prompt": "fox", "strategies": "contrastive_search", "max_new_tokens": 5, "temperature": temperature}
    (lane,) = session.run(RaceRequest.parse(asked), tiny_llama, lambda _: None, threading.Event()).document["lanes"]
    assert (lane["status"], lane["steps"]) == ("failed", [])
    assert lane["error"].endswith("draws nothing: set the temperature to 0.")


@pytest.mark.parametrize("name", ["rwkv", "bert"])
def test_a_model_whose_cache_rows_cannot_be_selected_is_refused_in_one_sentence(name: str) -> None:
    reason = ContrastiveSearch().unavailable_reason(model_of(name))
    assert reason and reason.endswith(".")


def test_a_model_without_hidden_states_is_refused_in_one_sentence() -> None:
    model = model_of("llama")
    network = copy.deepcopy(model.network)
    whole = network.forward
    network.forward = lambda **given: replace(whole(**given), hidden_states=None)
    reason = ContrastiveSearch().unavailable_reason(replace(model, network=network))
    assert reason == "it does not give the hidden states of its layers: use DynamicCache."


def test_the_remark_counts_the_rejected_likelier_tokens() -> None:
    def step(rank: int) -> TimedStep:
        figures = {"rank": rank, "similarity": 0.5, "likeliest_similarity": 0.75 if rank else 0.5}
        return TimedStep(Step((Choice(1, -1, 2, -2),), 4, details=figures), 1.0)

    assert ContrastiveSearch().remarks([step(0), step(2), step(0)]) == [
        "Contrastive search passed over the likeliest token for 1 of 3 tokens: there it took a similarity of 0.50 on "
        "average in place of 0.75. The hidden states of its tokens had on average a cosine similarity of 0.50 to the "
        "nearest before."
    ]
    (same,) = ContrastiveSearch().remarks([step(0)])
    assert "took the likeliest token each time, 1 token in all" in same
