"""The search against the paper's rule, worked out group by group without a cache."""

from __future__ import annotations

import random
import threading
from collections import Counter

import pytest
import torch

from kvdemo.core.settings.race import RaceRequest
from kvdemo.core.types import BeamNode, Choice, Step, TimedStep
from kvdemo.models.loaded import LoadedModel
from kvdemo.race import session
from kvdemo.strategies.search.beam_search import BeamSearch
from kvdemo.strategies.search.diverse_beam_search import DiverseBeamSearch
from tests.strategies.conftest import generated, steps_of, tokens_of, word_tokenizer
from tests.strategies.layered import FULL, SLIDING, STATES, model_of
from tests.strategies.references import random_prompt
from tests.tiny_models import loaded, tiny_llama_network

NEW = 10
Text = tuple[tuple[int, ...], float]


@torch.inference_mode()
def after(model: LoadedModel, ids: list[int]) -> list[float]:
    out = model.network(input_ids=torch.tensor([ids]), use_cache=False)
    return list(out.logits[0, -1].log_softmax(-1).tolist())


def searched(model: LoadedModel, text: str, n: int, sizes: list[int], penalty: float) -> list[Text]:
    """The reference: the texts of all groups after n tokens with their summed log-probabilities, best first."""
    prompt = list(model.tokenizer.encode(text))
    groups: list[list[Text]] = [[((), 0.0)] for _ in sizes]
    for _ in range(n):
        taken: Counter[int] = Counter()
        for number, size in enumerate(sizes):
            found = [
                (score + logprob - penalty * taken[token], (*tokens, token), score + logprob)
                for tokens, score in groups[number]
                for token, logprob in enumerate(after(model, [*prompt, *tokens]))
            ]
            best = sorted(found, reverse=True)[:size]
            groups[number] = [(tokens, score) for _, tokens, score in best]
            taken.update(tokens[-1] for tokens, _ in groups[number])
    return sorted((one for group in groups for one in group), key=lambda one: -one[1])


def tree_of(steps: list[Step]) -> list[Text]:
    levels = [level for step in steps for level in step.levels]
    found = []
    for last, node in enumerate(levels[-1]):
        path, place = [], last
        for level in reversed(levels):
            path.append(level[place].token)
            place = level[place].parent
        found.append((tuple(path[::-1]), node.score))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", ["llama", "gpt2", *FULL, *SLIDING, *STATES])
def test_diverse_beam_search_follows_its_rule_on_every_kind_of_layer(name: str) -> None:
    model, text = model_of(name), random_prompt(random.Random(name))
    expected = searched(model, text, NEW, [2, 2], 0.5)
    steps = list(steps_of(DiverseBeamSearch(), model, text, tokens=NEW))
    found = tree_of(steps)
    assert sorted(tokens for tokens, _ in found) == sorted(tokens for tokens, _ in expected)
    assert [score for _, score in found] == pytest.approx([score for _, score in expected], abs=1e-3)
    assert tuple(token for step in steps for token in step.tokens) == expected[0][0]


@pytest.mark.parametrize("n", [1, 2, 5])
def test_a_vocabulary_smaller_than_a_group_follows_the_rule(n: int) -> None:
    model = loaded("five", tiny_llama_network(5), word_tokenizer())
    expected = searched(model, "w3 w4", n, [16, 16], 0.5)
    steps = list(steps_of(DiverseBeamSearch(beams=32, groups=2), model, "w3 w4", tokens=n))
    found = tree_of(steps)
    assert sorted(tokens for tokens, _ in found) == sorted(tokens for tokens, _ in expected)
    said = DiverseBeamSearch(beams=32).remarks([TimedStep(step, 1.0) for step in steps])
    assert f"of its {len(expected)} beams" in said[1]


@pytest.mark.parametrize(("beams", "groups", "sizes"), [(3, 3, [1, 1, 1]), (5, 2, [3, 2])])
@pytest.mark.parametrize("penalty", [0.0, 0.3, 5.0])
def test_groups_of_any_size_and_any_penalty_follow_the_rule(
    beams: int, groups: int, sizes: list[int], penalty: float
) -> None:
    model, lane = model_of("llama"), DiverseBeamSearch(beams=beams, groups=groups, penalty=penalty)
    found = tree_of(list(steps_of(lane, model, "w3 w4 w5", tokens=6)))
    expected = searched(model, "w3 w4 w5", 6, sizes, penalty)
    assert sorted(tokens for tokens, _ in found) == sorted(tokens for tokens, _ in expected)


def test_the_first_group_of_one_beam_is_greedy_decoding() -> None:
    model = model_of("llama")
    found = tree_of(list(steps_of(DiverseBeamSearch(beams=3, groups=3), model, "w3 w4 w5", tokens=NEW)))
    assert tuple(generated(model, "w3 w4 w5", NEW)) in [tokens for tokens, _ in found]


def test_the_first_group_is_a_beam_search_of_its_size() -> None:
    model = model_of("llama")
    alone = tuple(tokens_of(BeamSearch(beams=2), model, "w3 w4 w5", NEW))
    found = tree_of(list(steps_of(DiverseBeamSearch(), model, "w3 w4 w5", tokens=NEW)))
    assert alone in [tokens for tokens, _ in found]


def test_with_a_high_penalty_the_groups_differ_in_every_token() -> None:
    model = model_of("llama")
    (step,) = steps_of(DiverseBeamSearch(beams=3, groups=3, penalty=100.0), model, "w3 w4 w5", tokens=NEW)
    assert all(len({node.token for node in level}) == 3 for level in step.levels)


@pytest.mark.parametrize(
    ("lane", "temperature", "remedy"),
    [
        ("diverse_beam_search:beams=2:groups=3", 0, "set beams to 3 or more, or groups to 2 or fewer."),
        ("diverse_beam_search", 0.5, "draws nothing: set the temperature to 0."),
    ],
)
def test_unsupported_settings_are_refused_with_a_remedy(
    lane: str, temperature: float, remedy: str, tiny_llama: LoadedModel
) -> None:
    asked = {"prompt": "fox", "strategies": lane, "max_new_tokens": 5, "temperature": temperature}
    (ran,) = session.run(RaceRequest.parse(asked), tiny_llama, lambda _: None, threading.Event()).document["lanes"]
    assert (ran["status"], ran["steps"]) == ("failed", [])
    assert ran["error"].endswith(remedy)


def test_the_remark_states_how_many_newest_tokens_differ() -> None:
    figures = {"beams": 4, "search_steps": 2, "mean_score": -10.5, "best_score": -9.25, "beam_tokens": 20}
    figures |= {"shared_tokens": 0, "greedy_score": -12.0, "greedy_tokens": 20}
    levels = tuple(tuple(BeamNode(0, token, -1, -1) for token in tokens) for tokens in ((1, 2, 1, 3), (4, 4, 4, 5)))
    step = Step((Choice(1, -1, 2, -2),) * 20, 4, details=figures, levels=levels)
    scores, said = DiverseBeamSearch().remarks([TimedStep(step, 1.0)])
    assert "summed log-probability of -9.25" in scores
    assert said == "The newest tokens of its 4 beams in 2 groups were 2.5 different ones on average."
