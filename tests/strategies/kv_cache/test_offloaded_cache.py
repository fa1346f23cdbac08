import pytest
import torch
from transformers import DynamicCache

from kvdemo.core.types import Step, TimedStep
from kvdemo.models.loaded import LoadedModel
from kvdemo.strategies.kv_cache.offloaded_cache import Offloaded, split
from tests.strategies.conftest import tokens_of
from tests.strategies.layered import model_of
from tests.strategies.references import NEW_TOKENS, references


def test_without_a_gpu_the_strategy_is_unavailable_with_a_reason(tiny_llama: LoadedModel) -> None:
    assert "the model is on cpu" in (Offloaded().unavailable_reason(tiny_llama) or "")


def test_bytes_on_the_device_and_in_main_memory_are_counted_separately() -> None:
    cache = DynamicCache()
    cache.update(torch.zeros(1, 2, 3, 4), torch.zeros(1, 2, 3, 4), 0)
    cache.update(torch.zeros(1, 2, 5, 4, device="meta"), torch.zeros(1, 2, 5, 4, device="meta"), 1)
    assert split(cache) == (2 * 2 * 5 * 4 * 4, 2 * 2 * 3 * 4 * 4)


def test_the_remark_states_the_bytes_of_both_memories() -> None:
    step = Step((), positions=1, details={"device_bytes": 2e6, "host_bytes": 30e6})
    assert Offloaded().remarks([TimedStep(step, 1.0)]) == [
        "Offloaded cache held 2 MB of its cache on the GPU between two steps and 30 MB in main memory."
    ]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
@pytest.mark.parametrize("name", ["llama", "gpt2", "qwen3", "mistral", "gemma3"])
def test_on_a_gpu_offloading_passes_the_contract(name: str) -> None:
    """The contract runs on the CPU, where this strategy does not."""
    model = model_of(name)
    expected = references(model)
    model.network.to("cuda")
    try:
        assert Offloaded().unavailable_reason(model) is None
        for text, answer in expected.items():
            assert tokens_of(Offloaded(), model, text, NEW_TOKENS) == answer
    finally:
        model.network.to("cpu")
