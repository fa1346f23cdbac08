"""What every strategy must keep, on every kind of model: it works, or it says in a sentence why it does not."""

import copy
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from itertools import islice
from threading import Event

import pytest
import torch

from kvdemo import strategies
from kvdemo.core.errors import BadInput
from kvdemo.models.loaded import LoadedModel
from kvdemo.race.divergence import proof
from kvdemo.samplers import Rule
from kvdemo.strategies.base import Strategy
from kvdemo.strategies.draft import draft_model

from .conftest import DRAWS, similar, steps_of, tokens_of
from .layered import FULL, SLIDING, STATES, model_of
from .references import NEW_TOKENS, random_prompt, references

PLAIN = ("llama", "gpt2")
ARCHITECTURES = (*PLAIN, "qwen3", "mistral", "gemma3", "qwen3_next", "lfm2", "falcon_h1")
VARIANTS = sorted({*FULL, *SLIDING, *STATES} - {*ARCHITECTURES})  # of what these are made of: ten prompts will do

every_strategy = pytest.mark.parametrize(
    "strategy", [strategies.get(DRAWS.get(i, i)) for i in strategies.introductions()], ids=lambda s: s.id
)
every_model = pytest.mark.parametrize("architecture", ARCHITECTURES)
plain_models = pytest.mark.parametrize("architecture", PLAIN)


@pytest.fixture
def model(strategy: Strategy, architecture: str, word_models: Mapping[str, LoadedModel]) -> LoadedModel:
    """The tiny model of an architecture, if the strategy runs on it here."""
    found = word_models.get(architecture) or model_of(architecture)
    if reason := strategy.unavailable_reason(found):
        assert reason.endswith(".")
        pytest.skip(reason)
    if strategy.id == "compiled_cache" and architecture not in PLAIN:
        pytest.skip("compiling takes seconds for each model, and what is compiled is the step that static_cache runs")
    return found


@cache
def draft_of(model: LoadedModel, _asked: str) -> LoadedModel:
    return similar(model, noise=0.02)


@pytest.fixture(autouse=True)
def a_draft_model_for_whoever_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draft_model, "load_draft", draft_of)
    monkeypatch.setattr(draft_model, "unavailable_reason", lambda _model, _asked: None)


def in_turns(strategy: Strategy, model: LoadedModel, texts: Sequence[str]) -> list[list[int]]:
    """The answers of several lanes at once, a step of one after a step of another, as a race takes them."""
    lanes = [steps_of(strategy, model, text, tokens=NEW_TOKENS) for text in texts]
    answers: list[list[int]] = [[] for _ in lanes]
    while any(len(answer) < NEW_TOKENS for answer in answers):
        for lane, answer in zip(lanes, answers, strict=True):
            if len(answer) < NEW_TOKENS:
                answer.extend(next(lane).tokens)
    return [answer[:NEW_TOKENS] for answer in answers]


@every_strategy
@pytest.mark.parametrize(
    ("architecture", "each"),
    [
        ("llama", 1),
        *(pytest.param(name, 5, marks=pytest.mark.slow) for name in ARCHITECTURES),
        *(pytest.param(name, 1, marks=pytest.mark.slow) for name in VARIANTS),
    ],
)
def test_a_lossless_strategy_writes_what_generate_writes(strategy: Strategy, each: int, model: LoadedModel) -> None:
    """Two lanes at a time: nothing that one of them keeps may reach the other. `each`: prompts of each length."""
    if not strategy.lossless:
        pytest.skip("lossy by design")
    expected = references(model, each)
    texts = list(expected)
    for pair in zip(texts[::2], texts[1::2], strict=True):
        assert in_turns(strategy, model, pair) == [expected[text] for text in pair]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_plain_loops_and_caches_are_available_on_every_architecture(
    architecture: str, word_models: Mapping[str, LoadedModel]
) -> None:
    """A reason that is given too often would let the test above pass without a look at a token."""
    model = word_models.get(architecture) or model_of(architecture)
    for strategy in ("reencode", "no_cache", "dynamic_cache", "static_cache", "batched", "beam_search"):
        assert strategies.get(strategy).unavailable_reason(model) is None


@pytest.mark.slow
@every_strategy
@pytest.mark.parametrize("architecture", ["llama", "gemma3"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_a_lossless_strategy_departs_from_the_model_by_rounding_alone(
    strategy: Strategy, model: LoadedModel, dtype: torch.dtype
) -> None:
    """Every few steps as if it had departed there: what it recorded is no further off than rounding takes it."""
    if not strategy.lossless or strategy.id == "compiled_cache":
        pytest.skip("lossy by design, or compiled for seconds")
    model = replace(model, network=copy.deepcopy(model.network).to(dtype))
    for text in ("w3 w4 w5", "w9 w30 w2 w77 w5 w61"):
        steps = islice(steps_of(strategy, model, text, tokens=NEW_TOKENS), NEW_TOKENS)
        choices = [choice for step in steps for choice in step.choices][:NEW_TOKENS]
        for end in range(1, len(choices) + 1, 5):
            sides = choices[:end], choices[:end]
            again = None if strategy.recomputes else strategy.decode
            evidence = proof.examine(model, model.tokenizer.encode(text), sides, (None, again), Rule(), Event())
            assert max(evidence.of_limit) < 1


@every_strategy
@plain_models
def test_sampling_is_reproducible_and_depends_on_the_seed(strategy: Strategy, model: LoadedModel) -> None:
    try:
        draws = [tokens_of(strategy, model, "w3 w4 w5", 10, temperature=1.0, seed=seed) for seed in (1, 1, 2)]
    except BadInput as refusal:
        assert str(refusal).endswith(".")  # one that cannot draw says so, and what to do
        return
    assert draws[0] == draws[1] != draws[2]


@every_strategy
@every_model
def test_every_step_commits_tokens_with_true_log_probabilities(strategy: Strategy, model: LoadedModel) -> None:
    if not strategy.lossless:
        pytest.skip("its log-probabilities are those of what it keeps")
    text = random_prompt(random.Random(strategy.id), length=6)
    steps = list(islice(steps_of(strategy, model, text, tokens=NEW_TOKENS), 8))
    assert all(step.choices and step.positions >= 1 for step in steps)
    choices = [choice for step in steps for choice in step.choices]
    prompt = model.tokenizer.encode(text)
    with torch.inference_mode():
        ids = torch.tensor([[*prompt, *(choice.token for choice in choices)]])
        rows = model.network(input_ids=ids, use_cache=False).logits[0, len(prompt) - 1 : -1].log_softmax(-1)
    for choice, logprobs in zip(choices, rows, strict=True):
        assert choice.logprob == pytest.approx(float(logprobs[choice.token]), abs=1e-4)
        assert choice.runner_up != choice.token
        assert choice.runner_up_logprob == pytest.approx(float(logprobs[choice.runner_up]), abs=1e-4)


@every_strategy
@plain_models
def test_every_step_declares_its_passes(strategy: Strategy, model: LoadedModel) -> None:
    """Costs follow from them: positions must be those of the model's passes, and contexts follow the text."""
    prompt = len(model.tokenizer.encode("w3 w4 w5 w3 w4"))
    taken = 0
    for step in islice(steps_of(strategy, model, "w3 w4 w5 w3 w4", tokens=NEW_TOKENS), 6):
        own = [ran for ran in step.ran(prompt + taken) if not ran.draft]
        assert sum(ran.rows * ran.positions for ran in own) == step.positions
        assert all(1 <= ran.positions <= ran.context and 1 <= ran.logits <= ran.positions for ran in own)
        taken += len(step.choices)
        if strategy.id != "sliding_window":  # it forgets
            assert own[-1].held >= prompt + taken - 1  # all but the newest token, which no pass has read yet


@every_strategy
@pytest.mark.parametrize("architecture", ["llama"])
def test_a_suspended_strategy_leaves_its_caller_outside_inference_mode(strategy: Strategy, model: LoadedModel) -> None:
    steps = steps_of(strategy, model, "w3", tokens=NEW_TOKENS)
    next(steps)
    assert not torch.is_inference_mode_enabled()


@every_strategy
def test_a_strategy_introduces_itself(strategy: Strategy) -> None:
    assert strategy.id == strategy.id.lower()
    assert strategy.name
    assert strategy.summary.endswith(".") and "\n" not in strategy.summary
    assert len((type(strategy).__doc__ or "").splitlines()) > 2  # it is the explanation in the page
