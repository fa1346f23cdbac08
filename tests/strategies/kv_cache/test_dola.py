"""The contrast against the paper's formulas, worked out step by step without a cache."""

from __future__ import annotations

import copy
import random
from dataclasses import replace
from itertools import islice
from types import SimpleNamespace

import pytest
import torch
from torch.nn import functional

from kvdemo.core.types import Choice, Step, TimedStep
from kvdemo.models.loaded import LoadedModel
from kvdemo.strategies.kv_cache.dola import DoLa, candidates
from tests.strategies.conftest import generated, steps_of, tokens_of
from tests.strategies.layered import FULL, SLIDING, STATES, model_of
from tests.strategies.references import random_prompt

NEW = 12


@torch.inference_mode()
def contrasted(model: LoadedModel, ids: list[int], layers: list[int]) -> tuple[torch.Tensor, torch.Tensor, int]:
    """The reference: contrasted scores of the next token, the model's own probabilities, and the layer contrasted."""
    out = model.network(input_ids=torch.tensor([ids]), use_cache=False, output_hidden_states=True)
    p = out.logits[0, -1].double().softmax(-1)
    apart = {}
    for layer in layers:
        q = model.network.lm_head(out.hidden_states[layer][0, -1]).double().softmax(-1)
        m = ((p + q) / 2).log()
        kl = [functional.kl_div(m, one, reduction="sum") for one in (p, q)]
        apart[layer] = (float(sum(kl)) / 2, q)
    layer = max(apart, key=lambda one: apart[one][0])
    scores = (p / apart[layer][1]).log()
    scores[p < 0.1 * p.max()] = -torch.inf
    return scores, p, layer


@pytest.mark.slow
@pytest.mark.parametrize("half", ["low", "high"])
@pytest.mark.parametrize("name", ["llama", "gpt2", *FULL, *SLIDING, *STATES])
def test_dola_follows_its_formulas_on_every_kind_of_layer(name: str, half: str) -> None:
    model, rng, unlike_greedy = model_of(name), random.Random(name), 0
    if reason := DoLa().unavailable_reason(model):
        assert name == "gemma2", reason  # its scores are capped behind the head
        return
    for text in [random_prompt(rng), "w3"]:
        ids = list(model.tokenizer.encode(text))
        steps = list(islice(steps_of(DoLa(layers=half), model, text), NEW))
        for step in steps:
            scores, p, layer = contrasted(model, ids, candidates(model, half))
            (choice,) = step.choices
            assert choice.token == int(scores.argmax())
            assert step.details["layer"] == layer
            assert choice.logprob == pytest.approx(float(p[choice.token].log()), abs=1e-4)  # the model's own
            ids.append(choice.token)
        unlike_greedy += [t for s in steps for t in s.tokens] != generated(model, text, NEW)
    assert unlike_greedy  # it must have had something to change


def test_samplers_are_applied_to_the_contrasted_scores() -> None:
    """What is drawn at a high temperature is plausible, and not always the best; the log-probability is the model's."""
    model = model_of("llama")
    ids, best = list(model.tokenizer.encode("w3 w4 w5")), 0
    for step in islice(steps_of(DoLa(), model, "w3 w4 w5", temperature=1.5, seed=3), 30):
        scores, p, _ = contrasted(model, ids, candidates(model, "low"))
        (choice,) = step.choices
        assert scores[choice.token].isfinite()
        assert choice.logprob == pytest.approx(float(p[choice.token].log()), abs=1e-4)
        best += choice.token == int(scores.argmax())
        ids.append(choice.token)
    assert best < 30


def test_with_plausibility_1_dola_is_greedy_decoding() -> None:
    model = model_of("llama")
    assert tokens_of(DoLa(plausibility=1.0), model, "w3 w4 w5", NEW) == generated(model, "w3 w4 w5", NEW)


@pytest.mark.parametrize(
    ("total", "tied", "low", "high"),
    [
        (32, False, range(0, 16, 2), range(16, 32, 2)),  # LLaMA 7B
        (40, False, range(0, 20, 2), range(20, 40, 2)),
        (60, False, range(0, 20, 2), range(40, 60, 2)),  # 33B
        (30, True, range(2, 15, 2), range(15, 30, 2)),
        (2, True, [1], [1]),
        (2, False, [0], [1]),
    ],
)
def test_the_candidate_layers_are_those_of_the_paper(total: int, tied: bool, low: range, high: range) -> None:
    embedding = torch.nn.Embedding(3, 2)
    head = SimpleNamespace(weight=embedding.weight if tied else torch.zeros(3, 2))
    network = SimpleNamespace(get_output_embeddings=lambda: head, get_input_embeddings=lambda: embedding)
    model = SimpleNamespace(network=network, layer_count=total)
    assert candidates(model, "low") == list(low)  # type: ignore[arg-type]
    assert candidates(model, "high") == list(high)  # type: ignore[arg-type]


def test_a_model_whose_head_does_not_give_its_scores_is_refused_in_one_sentence() -> None:
    model = model_of("llama")
    network = copy.deepcopy(model.network)
    whole = network.forward
    network.forward = lambda **given: (out := whole(**given)) and replace(out, logits=2 * out.logits)
    reason = DoLa().unavailable_reason(replace(model, network=network))
    assert reason and "behind the head" in reason and reason.endswith(".")


def test_the_remark_names_the_layers_and_counts_the_changed_tokens() -> None:
    def step(layer: int, logprob: float) -> TimedStep:
        return TimedStep(Step((Choice(1, logprob, 2, -2),), 1, details={"layer": layer, "divergence": 0.25}), 1.0)

    assert DoLa().remarks([step(2, -1), step(4, -3), step(4, -1)]) == [
        "DoLa took another than the likeliest token for 1 of 3 tokens. It contrasted with 2 layers, most often with "
        "layer 4 (2 of 3 steps); the Jensen-Shannon divergence from the last layer was 0.25 on average (at most 0.69)."
    ]
