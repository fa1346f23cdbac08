"""What every strategy must keep, on every tiny architecture."""

import random
from collections.abc import Mapping
from itertools import islice

import pytest
import torch

from kvdemo import strategies
from kvdemo.core import BadInput
from kvdemo.models.loaded import LoadedModel
from kvdemo.strategies.base import Strategy

from .conftest import WORDS, generated, steps_of, tokens_of

PROMPTS, NEW_TOKENS = 50, 24
every_strategy = pytest.mark.parametrize(
    "strategy", [strategies.get(i) for i in strategies.introductions()], ids=lambda s: s.id
)
every_model = pytest.mark.parametrize("architecture", ["llama", "gpt2"])


@pytest.fixture
def model(strategy: Strategy, architecture: str, word_models: Mapping[str, LoadedModel]) -> LoadedModel:
    """The tiny model of an architecture, if the strategy runs on it here."""
    if reason := strategy.unavailable_reason(word_models[architecture]):
        pytest.skip(reason)
    return word_models[architecture]


def random_prompt(rng: random.Random) -> str:
    return " ".join(f"w{rng.randrange(3, WORDS)}" for _ in range(rng.randrange(1, 40)))


@every_strategy
@every_model
def test_a_lossless_strategy_writes_what_generate_writes(strategy: Strategy, model: LoadedModel) -> None:
    if not strategy.lossless:
        pytest.skip("lossy by design")
    rng = random.Random(strategy.id)
    seen = set()
    for _ in range(PROMPTS):
        text = random_prompt(rng)
        reference = generated(model, text, NEW_TOKENS)
        assert tokens_of(strategy, model, text, NEW_TOKENS) == reference
        seen.update(reference)
    assert len(seen) > 20  # models that repeat one token would prove nothing


@every_strategy
@every_model
def test_sampling_is_reproducible_and_depends_on_the_seed(strategy: Strategy, model: LoadedModel) -> None:
    try:
        draws = [tokens_of(strategy, model, "w3 w4 w5", 20, temperature=1.0, seed=seed) for seed in (1, 1, 2)]
    except BadInput as refusal:
        assert str(refusal).endswith(".")  # one that cannot draw says so, and what to do
        return
    assert draws[0] == draws[1] != draws[2]


@every_strategy
@every_model
def test_every_step_commits_tokens_with_true_log_probabilities(strategy: Strategy, model: LoadedModel) -> None:
    if not strategy.lossless:
        pytest.skip("its log-probabilities are those of what it keeps")
    ids = model.tokenizer.encode("w7 w8 w9")
    for step in islice(steps_of(strategy, model, "w7 w8 w9"), 8):
        assert step.choices
        assert step.positions >= 1
        for choice in step.choices:
            with torch.inference_mode():
                logprobs = model.network(input_ids=torch.tensor([ids])).logits[0, -1].log_softmax(-1)
            assert choice.logprob == pytest.approx(float(logprobs[choice.token]), abs=1e-4)
            assert choice.rival != choice.token
            assert choice.rival_logprob == pytest.approx(float(logprobs[choice.rival]), abs=1e-4)
            ids.append(choice.token)


@every_strategy
@pytest.mark.parametrize("architecture", ["llama"])
def test_a_suspended_strategy_leaves_its_caller_outside_inference_mode(strategy: Strategy, model: LoadedModel) -> None:
    steps = steps_of(strategy, model, "w3")
    next(steps)
    assert not torch.is_inference_mode_enabled()


@every_strategy
def test_a_strategy_introduces_itself(strategy: Strategy) -> None:
    assert strategy.id == strategy.id.lower()
    assert strategy.name
    assert strategy.summary.endswith(".") and "\n" not in strategy.summary
    assert len((type(strategy).__doc__ or "").splitlines()) > 2  # it is the explanation in the page
