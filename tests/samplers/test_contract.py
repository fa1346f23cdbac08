"""Every sampler, found by discovery: its scores are those of `generate()`, it leaves a token, off means off."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import Tensor

from kvdemo import samplers
from kvdemo.core.settings.race import Sampling
from kvdemo.models.loaded import LoadedModel
from kvdemo.samplers import Rule
from kvdemo.samplers.registry import load
from kvdemo.strategies.chooser import Chooser

CPU = torch.device("cpu")
#: A value of each option at which it does something to most distributions.
ON: dict[str, Any] = {
    "repetition_penalty": 1.4, "no_repeat_ngram": 2, "temperature": 0.7, "top_n_sigma": 1.0, "top_h": 0.6, "top_k": 5,
    "top_p": 0.8, "min_p": 0.1, "typical_p": 0.7, "epsilon": 0.02, "eta": 0.05,
}  # fmt: skip
#: What `generate()` calls an option, where it has it by another name; None where it has no such rule.
THEIRS: dict[str, str | None] = {
    "no_repeat_ngram": "no_repeat_ngram_size", "epsilon": "epsilon_cutoff", "eta": "eta_cutoff", "top_n_sigma": None,
}  # fmt: skip
COMBINATIONS = [
    *[{name: ON[name]} for name in ON],
    {"temperature": 1.3, "top_k": 20, "min_p": 0.1},
    {"temperature": 0.8, "top_k": 50, "top_p": 0.95},
    {"temperature": 1.5, "repetition_penalty": 1.2, "no_repeat_ngram": 3, "top_p": 0.9, "min_p": 0.05},
    {"temperature": 0.9, "top_h": 0.7, "typical_p": 0.8, "epsilon": 0.01, "eta": 0.01},
    dict(ON),
]


def rule(given: dict[str, Any]) -> Rule:
    """The rule of a lane that draws, whatever else it is given."""
    return Rule(Sampling(temperature=1.0), given)


def chooser(given: dict[str, Any], text: list[int]) -> Chooser:
    return Chooser(rule(given), CPU, lambda: text)


def named(combination: dict[str, Any]) -> str:
    return "+".join(combination)


def test_every_option_has_a_test_value() -> None:
    known = {name for one in samplers.introductions().values() for name in one.options}
    assert known - ON.keys() <= set()
    assert all(rule({name: ON[name]}).samplers for name in known)


@pytest.mark.parametrize("sampler", samplers.introductions())
def test_a_sampler_states_its_meaning_and_its_source(sampler: str) -> None:
    introduction = samplers.introductions()[sampler]
    assert introduction.summary.endswith(".")
    assert "19" in introduction.description or "20" in introduction.description
    assert set(load(introduction).options()) == set(introduction.options)


LOGITS = arrays("float32", st.integers(3, 60), elements=st.floats(-30, 30, width=32))


@pytest.mark.parametrize("combination", COMBINATIONS, ids=named)
@given(logits=LOGITS)
@settings(max_examples=20)  # for each of sixteen combinations
def test_at_least_one_token_is_left_and_probabilities_add_up(combination: dict[str, Any], logits: Any) -> None:
    scores = chooser(combination, [0, 1, 0, 2]).scores(torch.from_numpy(logits))
    assert scores.shape == logits.shape
    assert not scores.isnan().any()
    assert torch.isfinite(scores).any()
    assert math.isclose(float(scores.softmax(-1).sum()), 1, abs_tol=1e-4)


@given(logits=LOGITS)
def test_a_sampler_that_is_off_changes_no_score(logits: Any) -> None:
    off = {name: option.default for name, option in samplers.options().items() if name != "temperature"}
    scores = chooser(off, []).scores(torch.from_numpy(logits))
    assert torch.equal(scores, torch.from_numpy(logits))


@given(logits=LOGITS, temperature=st.floats(0.2, 5))
def test_top_n_sigma_keeps_the_same_tokens_at_every_temperature(logits: Any, temperature: float) -> None:
    tensor = torch.from_numpy(logits)
    deviation = float(tensor.double().std())
    distances = (tensor.double().max() - tensor.double()) / deviation if deviation else tensor.double() * 0
    if ((distances - 1).abs() < 1e-3).any() or deviation < 1e-3:
        return  # on the edge, rounding decides
    kept = [chooser({"top_n_sigma": 1.0, "temperature": t}, []).scores(tensor).isfinite() for t in (1.0, temperature)]
    assert torch.equal(*kept)
    assert torch.equal(kept[0], distances <= 1)


def generated(
    model: LoadedModel, ids: list[int], combination: dict[str, Any], tokens: int
) -> tuple[list[int], tuple[Tensor, Tensor]]:
    """What `generate()` draws; the logits, and the scores that it drew from, each of shape (tokens, vocab)."""
    theirs = {THEIRS.get(name, name): value for name, value in combination.items()}
    torch.manual_seed(0)
    out = model.network.generate(
        torch.tensor([ids]), **({"temperature": 1.0, "top_k": 0} | theirs), do_sample=True, max_new_tokens=tokens,
        output_scores=True, output_logits=True, return_dict_in_generate=True, pad_token_id=0,
    )  # fmt: skip
    return out.sequences[0, len(ids) :].tolist(), (torch.cat(out.logits), torch.cat(out.scores))


@pytest.mark.parametrize("combination", [one for one in COMBINATIONS if not one.keys() & {"top_n_sigma"}], ids=named)
def test_scores_equal_those_of_generate(tiny_llama: LoadedModel, combination: dict[str, Any]) -> None:
    check_against_generate(tiny_llama, combination, tokens=8)


@pytest.mark.model
@pytest.mark.parametrize("combination", [one for one in COMBINATIONS if not one.keys() & {"top_n_sigma"}], ids=named)
def test_scores_are_those_of_generate_on_the_default_model(smollm2: LoadedModel, combination: dict[str, Any]) -> None:
    check_against_generate(smollm2, combination, tokens=6)


def check_against_generate(model: LoadedModel, combination: dict[str, Any], tokens: int) -> None:
    ids = model.encode_text("The quick brown fox and the quick red fox", special=False)
    drawn, (logits, scores) = generated(model, ids, combination, tokens)
    for n in range(len(drawn)):
        ours = chooser(combination, [*ids, *drawn[:n]]).scores(logits[n])
        torch.testing.assert_close(ours, scores[n], rtol=0, atol=0)


@pytest.mark.slow
@pytest.mark.parametrize(
    "combination", [{}, {"top_k": 12}, {"temperature": 1.4, "min_p": 0.05}, {"top_p": 0.7}], ids=named
)
def test_draws_have_the_exact_probabilities(combination: dict[str, Any]) -> None:
    """Chi-square over 20,000 draws, at a level that a right sampler fails once in a hundred thousand runs."""
    from scipy.stats import chisquare  # noqa: PLC0415 - it takes half a second, and this test alone needs it

    torch.manual_seed(1)
    logits = 2 * torch.randn(40)
    draw = chooser(combination, [])
    counts = torch.zeros(40)
    for _ in range(20_000):
        counts[draw(logits).token] += 1
    expected = draw.probabilities(logits).double() * 20_000
    assert counts[expected == 0].sum() == 0
    common = expected >= 5
    observed = [*counts[common].tolist(), float(counts[~common].sum())]
    wanted = [*expected[common].tolist(), float(expected[~common].sum())]
    if wanted[-1] < 5:
        observed, wanted = observed[:-1], wanted[:-1]
        observed[0] += 20_000 - sum(observed)
        wanted[0] += 20_000 - sum(wanted)
    assert chisquare(observed, wanted).pvalue > 1e-5
