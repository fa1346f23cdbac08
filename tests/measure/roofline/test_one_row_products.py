from collections.abc import Callable

import pytest
import torch

from kvdemo.measure.roofline import one_row_products
from kvdemo.models.loaded import LoadedModel
from tests.models.wrappers import flat, wrapper
from tests.tiny_models import tiny_llama_network


class Bench:
    """A call takes a second for each thousand bytes that it reads."""

    def seconds(self, work: Callable[[], object]) -> float:
        work()
        return self.bytes / 1000

    def __init__(self) -> None:
        self.bytes = 0


def test_weights_are_counted_by_their_reads_per_step() -> None:
    bench = Bench()

    def product(_: torch.Tensor, weight: torch.Tensor) -> Callable[[], object]:
        def call() -> None:
            bench.bytes = weight.nbytes * copies

        copies = -(-4096 // weight.nbytes)
        return call

    assert one_row_products.bytes_per_s(bench, torch.float32, 4096, {(8, 4): 3, (64, 64): 1}, product) == pytest.approx(
        1000
    )
    assert one_row_products.bytes_per_s(bench, torch.float32, 4096, {}, product) == 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_packed_products_equal_plain_products(dtype: torch.dtype) -> None:
    row, weight = torch.randn(1, 32).to(dtype), torch.randn(48, 32).to(dtype)
    try:
        made = one_row_products.packed(row, weight)
    except RuntimeError:
        pytest.skip("this processor packs no such numbers")
    torch.testing.assert_close(made(), one_row_products.eager(row, weight)(), rtol=1e-2, atol=1e-2)


def test_the_matrices_are_those_of_a_models_step_or_none(
    tiny_llama: LoadedModel, tiny_gpt2: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(one_row_products, "LEAST_BYTES", 1)
    found = one_row_products.matrices(tiny_llama.network, "llama")
    layers = tiny_llama.config.num_hidden_layers
    hidden, inner = tiny_llama.config.hidden_size, tiny_llama.config.intermediate_size
    assert found[inner, hidden] == 2 * layers
    assert found[hidden, inner] == layers
    assert found[tiny_llama.config.vocab_size, hidden] == 1
    assert one_row_products.matrices(tiny_gpt2.network, "gpt2") == {}


def test_matrices_that_are_too_small_are_not_measured(tiny_llama: LoadedModel) -> None:
    assert one_row_products.matrices(tiny_llama.network, "llama") == {}
    large = tiny_llama_network(
        16, hidden_size=256, intermediate_size=256, num_hidden_layers=1, num_attention_heads=8, num_key_value_heads=1
    )
    assert one_row_products.matrices(large, "llama") == {(256, 256): 5}  # neither keys and values nor the head


def test_the_matrices_of_a_model_for_pictures_are_those_of_its_text_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(one_row_products, "LEAST_BYTES", 1)
    found = one_row_products.matrices(wrapper("gemma3"), "gemma3")
    assert sum(found.values()) == 2 * 7 + 1  # a layer: four of attention, three of the feed-forward network; the head


def test_the_matrices_of_a_flat_model_for_pictures_are_those_of_its_text_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(one_row_products, "LEAST_BYTES", 1)
    found = one_row_products.matrices(flat(), "git")
    assert sum(found.values()) == 2 * 6 + 1  # a layer: four of attention, two of the feed-forward network; the head
