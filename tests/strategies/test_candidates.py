"""What a token was chosen from: the stages are those of the rule, and recording them changes no draw."""

import math
from collections.abc import Mapping
from itertools import islice
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from kvdemo import strategies
from kvdemo.core.candidates import MODEL, MOST, Candidates
from kvdemo.core.settings.race import Sampling
from kvdemo.core.types import Choice, Step
from kvdemo.models.loaded import LoadedModel
from kvdemo.samplers import Rule
from kvdemo.strategies.base import Strategy
from kvdemo.strategies.chooser import Chooser, record
from kvdemo.strategies.draft import draft_model
from tests.samplers.test_contract import COMBINATIONS, named

from .conftest import DRAWS, job_of, similar

CPU = torch.device("cpu")
TEXT = [0, 1, 0, 2]
every_combination = pytest.mark.parametrize("combination", [{}, *COMBINATIONS], ids=named)

#: Scores as models give them, and as they should not: equal ones, cut ones, fewer than there are candidates.
SCORES = st.lists(st.one_of(st.integers(-4, 4).map(float), st.floats(-30, 30, width=32)), min_size=3, max_size=40)
LOGITS = st.tuples(SCORES, st.integers(0, 2**40)).map(
    lambda drawn: [-math.inf if i and drawn[1] >> i & drawn[1] >> 2 * i & 1 else x for i, x in enumerate(drawn[0])]
)


def chooser(given: Mapping[str, Any], temperature: float = 1.0, *, with_candidates: bool = True) -> Chooser:
    return Chooser(Rule(Sampling(temperature), dict(given)), CPU, lambda: TEXT, with_candidates=with_candidates)


def recorded(choose: Chooser, logits: Tensor) -> tuple[Choice, Candidates]:
    (choice,) = record(Step((choose(logits),), 1)).choices
    assert choice.candidates is not None
    return choice, choice.candidates


def entropy(probabilities: list[float]) -> float:
    """In bits, in double precision."""
    return -math.fsum(p * math.log2(p) for p in probabilities if p > 0)


@every_combination
@given(values=LOGITS)
@settings(max_examples=10)  # for each combination
def test_the_last_stage_is_the_sampled_distribution(combination: dict[str, Any], values: list[float]) -> None:
    logits = torch.tensor(values)
    expected, scores = chooser(combination).probabilities(logits).tolist(), chooser(combination).scores(logits)
    choice, found = recorded(chooser(combination), logits)
    assert [one.probabilities[-1] for one in found.likeliest] == [
        None if scores[one.token] == -math.inf else expected[one.token] for one in found.likeliest
    ]
    assert found.stages[-1].survivors == int(scores.isfinite().sum())
    assert found.stages[-1].entropy == pytest.approx(entropy(expected), abs=1e-4)
    assert found.likeliest[found.chosen].token == choice.token
    assert expected[choice.token] > 0


@every_combination
@given(values=LOGITS)
@settings(max_examples=10)  # for each combination
def test_the_first_stage_is_the_models_own_distribution(combination: dict[str, Any], values: list[float]) -> None:
    logits = torch.tensor(values)
    choice, found = recorded(chooser(combination), logits)
    model = logits.softmax(-1).tolist()
    possible = sorted((p for p, x in zip(model, values, strict=True) if x > -math.inf), reverse=True)
    first = found.stages[0]
    assert (first.name, first.survivors) == (MODEL, len(possible))
    assert first.entropy == pytest.approx(entropy(model), abs=1e-4) == choice.entropy
    assert [one.probabilities[0] for one in found.likeliest[:MOST]] == pytest.approx(possible[:MOST], abs=1e-7)
    assert len(found.likeliest) <= MOST + 1
    assert len({one.token for one in found.likeliest}) == len(found.likeliest)
    assert len(found.likeliest) <= MOST or found.chosen == MOST  # an eleventh is the chosen one


@every_combination
@given(values=LOGITS)
@settings(max_examples=10)  # for each combination
def test_the_chosen_tokens_interval_follows_those_of_likelier_tokens(
    combination: dict[str, Any], values: list[float]
) -> None:
    logits = torch.tensor(values)
    scores = chooser(combination).scores(logits).double()
    choice, found = recorded(chooser(combination), logits)
    order = sorted(range(len(values)), key=lambda token: (-float(scores[token]), token))
    p = scores.softmax(-1).tolist()
    rank = order.index(choice.token)
    assert found.rank == rank + 1
    low = math.fsum(p[token] for token in order[:rank])
    assert found.drawn == pytest.approx((low, low + p[choice.token]), abs=1e-5)


@every_combination
def test_recording_candidates_does_not_change_the_draws(combination: dict[str, Any]) -> None:
    torch.manual_seed(0)
    rows = 3 * torch.randn(60, 30)
    silent, telling = chooser(combination, with_candidates=False), chooser(combination)
    assert [silent(row).token for row in rows] == [recorded(telling, row)[0].token for row in rows]


def test_without_a_request_no_candidates_are_recorded() -> None:
    (choice,) = record(Step((chooser({}, with_candidates=False)(torch.randn(20)),), 1)).choices
    assert choice.candidates is None and choice.entropy is not None


def test_each_sampler_is_a_stage_in_the_order_of_application() -> None:
    given = {"min_p": 0.05, "top_k": 20, "temperature": 0.8, "repetition_penalty": 1.2}
    _, found = recorded(chooser(given), torch.randn(60))
    assert [stage.name for stage in found.stages] == [
        MODEL, "repetition penalty 1.2", "temperature 0.8", "top-k 20", "min-p 0.05"
    ]  # fmt: skip
    assert [stage.survivors for stage in found.stages[:4]] == [60, 60, 60, 20]


def test_a_cut_token_names_its_sampler_and_a_token_of_probability_0_is_not_cut() -> None:
    _, found = recorded(chooser({"top_k": 3, "min_p": 0.5}), torch.tensor([300.0, 299.9, 0.0, -1.0, -300.0]))
    cut = {one.token: one.cut for one in found.likeliest}
    assert cut == {0: None, 1: None, 2: 3, 3: 2, 4: 2}  # stages: model, temperature, top-k, min-p
    assert [one.probabilities[:2] for one in found.likeliest if one.token == 2] == [(0.0, 0.0)]


def test_a_sampler_that_reads_the_text_is_recorded_with_the_text_at_that_token() -> None:
    """All of a verification's tokens are recorded when the last is chosen: by then the text has them."""
    rows = torch.zeros(3, 30)
    rows[:, 4] = 5.0  # the likeliest each time, until it is in the text
    choose = Chooser(Rule(Sampling(0), {"no_repeat_ngram": 1}), CPU, lambda: TEXT, with_candidates=True)
    choices = record(Step(tuple(choose.while_expected(rows, [4, 3])), 1)).choices
    assert [choice.token for choice in choices] == [4, 3, 5]
    found = [choice.candidates for choice in choices if choice.candidates]
    assert [one.stages[-1].survivors for one in found] == [27, 26, 25]
    assert [(one.likeliest[0].token, one.likeliest[0].cut) for one in found] == [(4, None), (4, 1), (4, 1)]


def test_a_greedy_choice_has_no_draw() -> None:
    _, found = recorded(chooser({}, temperature=0), torch.tensor([1.0, 3.0, 3.0]))
    assert (found.rank, found.drawn, [stage.name for stage in found.stages]) == (1, None, [MODEL])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_sixteen_bit_logits_are_recorded_in_their_own_format(dtype: torch.dtype) -> None:
    logits = (3 * torch.randn(300)).to(dtype)
    choice, found = recorded(chooser({"top_p": 0.9}), logits)
    assert (
        found.likeliest[found.chosen].probabilities[-1] == chooser({"top_p": 0.9}).probabilities(logits)[choice.token]
    )


class Copies(TorchDispatchMode):
    """Counts what is copied from the device to the host: `int()`, `.item()`, a tensor in an `if`, a mask's places."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func.overloadpacket.__name__ in ("_local_scalar_dense", "nonzero", "is_nonzero", "_to_copy"):
            self.names.append(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))


@every_combination
def test_a_draw_copies_one_number_to_the_host_with_any_samplers(combination: dict[str, Any]) -> None:
    choose, logits = chooser(combination), torch.randn(400)
    choose(logits)  # eta makes its rule at the first token
    with Copies() as counted:
        choose(logits)
    assert counted.names == ["_local_scalar_dense"]


@every_combination
def test_a_sampler_does_not_change_its_input_scores(combination: dict[str, Any]) -> None:
    """They are what the stage before is shown as."""
    scores = 3 * torch.randn(1, 60)
    for _, sampler in Rule(Sampling(1.0), combination).stages:
        before = scores.clone()
        after = sampler.processor()(torch.tensor([TEXT]), scores)
        assert torch.equal(scores, before)
        scores = after


LOOPS = [strategies.get(DRAWS.get(i, i)) for i in strategies.introductions()]


@pytest.fixture(autouse=True)
def a_draft_model_for_whoever_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draft_model, "load_draft", lambda model, _: similar(model, noise=0.02))
    monkeypatch.setattr(draft_model, "unavailable_reason", lambda _model, _asked: None)


@pytest.mark.parametrize("given", [{}, {"temperature": 0.9, "top_k": 8, "no_repeat_ngram": 2}], ids=named)
@pytest.mark.parametrize("strategy", LOOPS, ids=lambda strategy: strategy.id)
def test_every_strategy_records_candidates_or_states_why_it_cannot(
    strategy: Strategy, given: dict[str, Any], word_models: Mapping[str, LoadedModel]
) -> None:
    model = word_models["llama"]
    if reason := strategy.unavailable_reason(model):
        pytest.skip(reason)
    if strategy.no_candidates:
        assert strategy.info.no_candidates.endswith(".")
        if given or strategy.elsewhere:
            return
    rule = Rule(Sampling(), given or strategy.sampling)
    job = job_of(model, "w3 w4 w5 w3 w4", rule=rule, tokens=12, with_candidates=True)
    choices = [choice for step in islice(strategy.decode(job), 5) for choice in record(step).choices]
    told = [choice.candidates for choice in choices if choice.candidates]
    assert len(told) == (0 if strategy.no_candidates else len(choices))
    for choice, found in zip(choices, told, strict=False):
        assert found.likeliest[found.chosen].token == choice.token
        assert math.log(found.likeliest[found.chosen].probabilities[0] or 0) == pytest.approx(choice.logprob, abs=1e-4)
        assert [stage.name for stage in found.stages if "layers" not in stage.name] == [MODEL, *dict(rule.stages)]


def test_a_strategys_own_stage_comes_before_the_samplers_of_the_lane(word_models: Mapping[str, LoadedModel]) -> None:
    job = job_of(word_models["llama"], "w3 w4", rule=Rule(Sampling(1.0), {"top_k": 5}), tokens=4, with_candidates=True)
    (choice,) = record(next(strategies.get("dola").decode(job))).choices
    assert choice.candidates is not None
    model, contrast, *_ = choice.candidates.stages
    assert (model.name, contrast.name) == (MODEL, "contrast of layers")
    assert contrast.survivors < model.survivors  # the plausible ones


@pytest.mark.parametrize("with_candidates", [False, True])
def test_recording_copies_all_figures_of_a_step_at_once(with_candidates: bool) -> None:
    choose = chooser({"top_k": 5}, with_candidates=with_candidates)
    step = Step(tuple(choose(row) for row in torch.randn(4, 50)), 1)
    with Copies() as counted:
        record(step)
    # on a CPU `tolist` reads memory without an operation; what is cast to the widest format is no copy to the host
    assert set(counted.names) <= {"_to_copy"}
