from itertools import islice

import pytest

from kvdemo.models.loaded import LoadedModel
from kvdemo.strategies.kv_cache.dynamic_cache import DynamicCached
from kvdemo.strategies.recompute.no_cache import NoCache
from tests.strategies.conftest import steps_of

PROMPT = "The quick brown fox"


def test_the_prompt_is_run_once_and_then_one_position_per_step(tiny_model: LoadedModel) -> None:
    prompt = len(tiny_model.tokenizer.encode(PROMPT))
    positions = [step.positions for step in islice(steps_of(DynamicCached(), tiny_model, PROMPT), 6)]
    assert positions == [prompt, 1, 1, 1, 1, 1]
    uncached = [step.positions for step in islice(steps_of(NoCache(), tiny_model, PROMPT), 6)]
    assert uncached == [prompt + n for n in range(6)]


@pytest.mark.parametrize("fixture", ["tiny_llama", "tiny_gpt2"])
def test_the_bytes_of_the_cache_are_those_of_the_formula(fixture: str, request: pytest.FixtureRequest) -> None:
    model: LoadedModel = request.getfixturevalue(fixture)
    facts = model.facts()
    # keys and values · layers · kv_heads · head_dim · 4 bytes of float32, for each position held
    per_position = 2 * facts["layers"] * facts["kv_heads"] * facts["head_dim"] * 4
    held = 0
    for step in islice(steps_of(DynamicCached(), model, PROMPT), 6):
        held += step.positions
        assert step.cache_bytes == per_position * held
