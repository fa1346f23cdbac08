"""The search against transformers' own, and what a text that comes in pieces must keep."""

import random
import threading
from collections.abc import Mapping
from itertools import accumulate, islice, pairwise
from threading import Event
from typing import Any

import pytest
import torch

from kvdemo.core.errors import BadInput
from kvdemo.core.figures import units
from kvdemo.core.settings.race import RaceRequest
from kvdemo.core.types import Choice, Step, TimedStep
from kvdemo.models.loaded import LoadedModel
from kvdemo.race import session
from kvdemo.strategies.kv_cache.teacher_forcing import logprobs
from kvdemo.strategies.search import beams
from kvdemo.strategies.search.beam_search import BeamSearch
from tests.strategies.conftest import generated, steps_of, word_tokenizer
from tests.strategies.layered import FULL, SLIDING, STATES, model_of
from tests.strategies.references import random_prompt
from tests.tiny_models import loaded, tiny_llama_network


def searched(model: LoadedModel, text: str, n: int, beams: int) -> tuple[list[int], float]:
    """The reference: the best beam of `generate()` and its summed log-probability, all beams n tokens long."""
    ids = torch.tensor([model.tokenizer.encode(text)])
    out = model.network.generate(
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=n,
        do_sample=False,
        num_beams=beams,
        eos_token_id=None,
        pad_token_id=0,
        length_penalty=0.0,  # the sum, not the mean; of texts of one length the best is the same
        return_dict_in_generate=True,
        output_scores=True,
    )
    return list(out.sequences[0, ids.shape[1] :].tolist()), float(out.sequences_scores[0])


def whole(model: LoadedModel, text: str, n: int, beams: int) -> list[Step]:
    return list(steps_of(BeamSearch(beams=beams), model, text, tokens=n))


def tokens(steps: list[Step]) -> list[int]:
    return [token for step in steps for token in step.tokens]


@pytest.mark.slow
@pytest.mark.parametrize(("architecture", "beams"), [("llama", 2), ("gpt2", 4)])
def test_beam_search_writes_the_text_of_transformers(
    architecture: str, beams: int, word_models: Mapping[str, LoadedModel]
) -> None:
    model, rng = word_models[architecture], random.Random(beams)
    unlike_greedy = 0
    for _ in range(50):
        text = random_prompt(rng)
        expected, score = searched(model, text, 16, beams)
        steps = whole(model, text, 16, beams)
        assert tokens(steps) == expected
        assert steps[-1].details["best_score"] == pytest.approx(score, abs=1e-3)
        unlike_greedy += expected != generated(model, text, 16)
    assert unlike_greedy > 20  # it must have had something to find


@pytest.mark.slow
@pytest.mark.parametrize("name", [*FULL, *SLIDING, *STATES])
def test_the_rows_of_every_kind_of_layer_follow_their_beams(name: str) -> None:
    model, rng = model_of(name), random.Random(name)
    for text in [random_prompt(rng) for _ in range(3)] + ["w3"]:
        assert tokens(whole(model, text, 14, 3)) == searched(model, text, 14, 3)[0]


@pytest.mark.parametrize("n", [1, 2, 6])
def test_a_vocabulary_smaller_than_the_beams_is_searched_as_transformers_does(n: int) -> None:
    model = loaded("five", tiny_llama_network(5), word_tokenizer())
    steps = whole(model, "w3 w4", n, 32)
    assert tokens(steps) == searched(model, "w3 w4", n, 32)[0]
    assert len(steps[-1].levels[-1]) == min(32, 5**n)


@pytest.mark.parametrize("limit", [1, 2, 30])
def test_exactly_the_requested_tokens_are_committed(tiny_model: LoadedModel, limit: int) -> None:
    steps = whole(tiny_model, "The quick brown fox", limit, 4)
    assert len(tokens(steps)) == limit
    assert all(step.choices for step in steps)
    assert tokens(steps) == searched(tiny_model, "The quick brown fox", limit, 4)[0]


def test_choices_have_the_models_log_probabilities_and_add_up_to_the_score(tiny_model: LoadedModel) -> None:
    ids = tiny_model.tokenizer.encode("fox")
    steps = whole(tiny_model, "fox", 25, 4)
    choices = [choice for step in steps for choice in step.choices]
    own = [choice.logprob for choice in choices]
    assert own == pytest.approx(logprobs(tiny_model, ids, tokens(steps), Event()), abs=1e-4)
    assert sum(own) == pytest.approx(steps[-1].details["best_score"], abs=1e-3)
    for choice in choices:
        before = ids
        with torch.inference_mode():
            exact = tiny_model.network(input_ids=torch.tensor([before])).logits[0, -1].log_softmax(-1)
        others = exact.clone()
        others[choice.token] = -torch.inf
        assert choice.runner_up == int(others.argmax())
        assert choice.runner_up_logprob == pytest.approx(float(others.max()), abs=1e-4)
        ids = [*before, choice.token]


def test_work_is_counted_in_the_step_that_commits(tiny_model: LoadedModel) -> None:
    prompt = len(tiny_model.tokenizer.encode("The quick brown fox"))
    steps = whole(tiny_model, "The quick brown fox", 40, 4)
    assert sum(step.details["search_steps"] for step in steps) == 40
    assert sum(step.positions for step in steps) == prompt + 4 * 39
    assert steps[0].positions == prompt + 4 * (steps[0].details["search_steps"] - 1)
    facts = tiny_model.facts()
    a_position = 2 * facts["layers"] * facts["kv_heads"] * facts["head_dim"] * 4
    assert steps[-1].cache_bytes == 4 * a_position * (prompt + 39)  # four rows, the shared prompt in each


def test_tokens_committed_before_the_end_are_common_to_all_beams(tiny_model: LoadedModel) -> None:
    ids = tiny_model.tokenizer.encode("The quick brown fox")
    steps = whole(tiny_model, "The quick brown fox", 60, 4)
    assert len(steps) > 2
    with torch.inference_mode():
        rounds = list(islice(beams.search(tiny_model, ids, 4), 60))
    done = zip(
        accumulate(len(step.choices) for step in steps[:-1]),
        accumulate(int(step.details["search_steps"]) for step in steps[:-1]),
        strict=True,
    )
    for length, at in done:
        texts = [[choice.token for choice in beam.choices()] for beam in rounds[at - 1].beams]
        common = [len(set(column)) == 1 for column in zip(*texts, strict=True)]
        assert common[:length] == [True] * length
        assert not common[length]  # and not a token less than that


def test_the_scores_in_the_details_are_those_of_the_beams(tiny_model: LoadedModel) -> None:
    ids = tiny_model.tokenizer.encode("fox")
    last = whole(tiny_model, "fox", 12, 3)[-1].details
    with torch.inference_mode():
        found = list(islice(beams.search(tiny_model, ids, 3), 12))[-1]
    scores = [sum(logprobs(tiny_model, ids, [c.token for c in beam.choices()], Event())) for beam in found.beams]
    assert scores == sorted(scores, reverse=True)
    assert [beam.score for beam in found.beams] == pytest.approx(scores, abs=1e-3)
    assert last["best_score"] == pytest.approx(scores[0], abs=1e-3)
    assert last["mean_score"] == pytest.approx(sum(scores) / 3, abs=1e-3)
    assert (last["beams"], last["beam_tokens"]) == (3, 12)
    greedy = generated(tiny_model, "fox", 12)[: int(last["greedy_tokens"])]
    assert last["greedy_score"] == pytest.approx(sum(logprobs(tiny_model, ids, greedy, Event())), abs=1e-3)


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_the_greedy_text_is_tracked_while_it_is_among_the_candidates(
    architecture: str, word_models: Mapping[str, LoadedModel]
) -> None:
    model, rng, kept, lost = word_models[architecture], random.Random(3), 0, 0
    for _ in range(20):
        text = random_prompt(rng)
        with torch.inference_mode():
            rounds = list(islice(beams.search(model, model.tokenizer.encode(text), 4), 10))
        greedy = generated(model, text, 10)
        known = [choice.token for choice in rounds[-1].greedy.choices()]
        assert known == greedy[: len(known)]
        if len(known) == 10:
            kept += 1
            assert rounds[-1].greedy.score <= rounds[-1].beams[0].score
        else:
            lost += 1
            texts = [[choice.token for choice in beam.choices()] for beam in rounds[len(known) - 1].beams]
            assert known not in texts
    assert kept and lost


def test_the_tree_leads_to_the_text(tiny_model: LoadedModel) -> None:
    steps = whole(tiny_model, "The quick brown fox", 20, 3)
    assert [len(step.levels) for step in steps] == [step.details["search_steps"] for step in steps]
    tree = [level for step in steps for level in step.levels]
    assert [len(level) for level in tree] == [3] * 20
    assert {node.parent for node in tree[0]} == {0}
    path, place = [], 0
    for level in reversed(tree):
        path.append(level[place].token)
        place = level[place].parent
    assert path[::-1] == tokens(steps)
    assert [node.score for node in tree[0]] == [node.logprob for node in tree[0]]
    for above, level in pairwise(tree):
        assert [node.score for node in level] == sorted((node.score for node in level), reverse=True)
        for node in level:
            assert node.score == pytest.approx(above[node.parent].score + node.logprob, abs=1e-4)


def test_beam_search_ends_at_the_context(word_models: Mapping[str, LoadedModel]) -> None:
    """GPT-2 has no embedding for position 512: a step further would be an IndexError."""
    steps = whole(word_models["gpt2"], " ".join(["w3 w4 w5"] * 168), 10**6, 4)
    assert len(tokens(steps)) == 512 - 504


@pytest.mark.parametrize("temperature", [0.01, 1.0, 2.0])
def test_a_temperature_is_refused_before_the_first_step(tiny_model: LoadedModel, temperature: float) -> None:
    asked = {"prompt": "fox", "strategies": "beam_search", "max_new_tokens": 5, "temperature": temperature}
    document = session.run(RaceRequest.parse(asked), tiny_model, lambda _: None, threading.Event()).document
    (lane,) = document["lanes"]
    assert (lane["status"], lane["steps"]) == ("failed", [])
    assert lane["error"].endswith("draws nothing: set the temperature to 0.")


def test_nan_logits_are_reported_in_one_sentence(tiny_llama: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    head = tiny_llama.network.lm_head
    monkeypatch.setattr(head, "forward", lambda x: torch.full((*x.shape[:-1], head.out_features), torch.nan))
    with pytest.raises(BadInput, match="not finite"):
        next(steps_of(BeamSearch(), tiny_llama, "fox", tokens=5))


def test_the_remarks_state_the_scores_and_the_shared_prefix() -> None:
    def step(search_steps: int, tokens: int, **changed: float) -> TimedStep:
        figures = {"beams": 4, "search_steps": search_steps, "mean_score": -10.5, "best_score": -9.25}
        figures |= {"beam_tokens": 20, "shared_tokens": 17, "greedy_score": -12.0, "greedy_tokens": 20}
        return TimedStep(Step((Choice(1, -1, 2, -2),) * tokens, 4, details=figures | changed), 1.0)

    scores, share = BeamSearch().remarks([step(3, 5), step(11, 9), step(6, 6)])
    assert scores == (
        "Beam search's best text of 20 tokens has a summed log-probability of -9.25, its 4 beams -10.50 on average. "
        "The greedy text has -12.00."
    )
    assert share == (
        "The 4 beams shared the first 17 of those 20 tokens; up to 11 steps of the search went by between two pieces "
        "of text."
    )
    assert "no longer among them from token 7 on" in BeamSearch().remarks([step(3, 20, greedy_tokens=7)])[0]
    assert "It is the greedy text." in BeamSearch().remarks([step(3, 20, greedy_score=-9.25)])[0]


@pytest.mark.parametrize("lane", ["beam_search", "diverse_beam_search"])
@pytest.mark.parametrize("place", [0, 1, 5, 11])
def test_the_remark_on_a_lane_that_an_end_of_text_cut_is_about_its_text(lane: str, place: int) -> None:
    """The search goes on behind an end of text until its beams agree. What it finds there is not the lane's."""
    model = loaded("ends", tiny_llama_network(100), word_tokenizer())
    asked = {"prompt": "w3 w4 w5", "strategies": lane, "max_new_tokens": 12}

    def raced(**more: bool) -> dict[str, Any]:
        request = RaceRequest.parse(asked | more)
        return dict(session.run(request, model, lambda _: None, Event()).document["lanes"][0])

    whole = raced(ignore_eos=True)["tokens"]
    model.network.generation_config.eos_token_id = whole[place]
    ran = raced()
    written, reached = whole[: whole.index(whole[place]) + 1], len(ran["beams"])
    assert (ran["tokens"], ran["finish_reason"]) == (written, "eos")
    score = sum(logprobs(model, model.tokenizer.encode("w3 w4 w5"), written, Event()))
    said = next(remark for remark in ran["remarks"] if "summed log-probability" in remark)
    assert (
        f"text of {len(written)} token{'s' * (len(written) != 1)} has a summed log-probability of {score:.2f}" in said
    )
    assert ("the search had reached" in said) == (reached > len(written))
    if reached > len(written):
        greedy = generated(model, "w3 w4 w5", len(written))
        assert f"reached {reached} tokens: the best of its 4 beams had {ran['beams'][-1][0]['score']:.2f}," in said
        assert ("Each of its tokens is the likeliest" in said) == (written == greedy)


def test_the_remark_on_a_lane_that_was_stopped_is_about_what_it_has_written() -> None:
    model = loaded("stopped", tiny_llama_network(100), word_tokenizer())
    first = next(steps_of(BeamSearch(), model, "w3 w4 w5", tokens=200))
    assert len(first.choices) < first.details["beam_tokens"]
    said = BeamSearch().remarks([TimedStep(first, 1.0)])[0]
    score = sum(choice.logprob for choice in first.choices)
    assert f"'s text of {units.count(len(first.choices), 'token')} has a summed log-probability of {score:.2f}." in said
    assert f"The lane ended there, and the search had reached {int(first.details['beam_tokens'])} tokens" in said


def test_a_text_that_leaves_the_likeliest_says_where() -> None:
    figures = {"beams": 4, "search_steps": 9, "mean_score": -10.5, "best_score": -9.25, "beam_tokens": 9}
    figures |= {"shared_tokens": 3, "greedy_score": -2.0, "greedy_tokens": 2}
    step = Step((Choice(1, -1, 2, -2), Choice(5, -3, 6, -1)), 4, details=figures)
    assert BeamSearch().remarks([TimedStep(step, 1.0)])[0] == (
        "Beam search's text of 2 tokens has a summed log-probability of -4.00. Its token 2 is the first that is not "
        "the likeliest there, which greedy decoding takes. The lane ended there, and the search had reached 9 tokens: "
        "the best of its 4 beams had -9.25, all of them -10.50 on average."
    )
