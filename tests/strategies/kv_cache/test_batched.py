from itertools import islice

import pytest

from kvdemo.core.types import Step, TimedStep
from kvdemo.models.loaded import LoadedModel
from kvdemo.strategies.kv_cache.batched import Batched
from kvdemo.strategies.kv_cache.dynamic_cache import DynamicCached
from tests.strategies.conftest import steps_of, tokens_of


@pytest.mark.parametrize("rows", [1, 5])
def test_every_row_is_run_and_held(tiny_model: LoadedModel, rows: int) -> None:
    steps = list(islice(steps_of(Batched(rows=rows), tiny_model, "The quick brown fox"), 5))
    alone = list(islice(steps_of(DynamicCached(), tiny_model, "The quick brown fox"), 5))
    assert [step.positions for step in steps] == [rows * step.positions for step in alone]
    assert [step.cache_bytes for step in steps] == [rows * step.cache_bytes for step in alone]
    assert {step.details["rows"] for step in steps} == {rows}


def test_sampling_makes_one_draw_per_token_for_all_rows(tiny_model: LoadedModel) -> None:
    for seed in range(3):
        expected = tokens_of(DynamicCached(), tiny_model, "fox", 30, temperature=0.8, seed=seed)
        assert tokens_of(Batched(), tiny_model, "fox", 30, temperature=0.8, seed=seed) == expected


def test_the_remark_compares_throughput_with_latency() -> None:
    steps = [TimedStep(Step((), 1), seconds) for seconds in (9.0, 0.04, 0.05, 0.5)]  # one step was disturbed
    (remark,) = Batched(rows=8).remarks(steps)
    assert remark.startswith("Batched (rows 8): a row waited 50 ms for a token, which is 20 tokens/s, and 8 rows")
    assert "together made 160 tokens/s" in remark
    assert "less than 6.25 ms" in remark
    assert Batched().remarks(steps[:1]) == []
