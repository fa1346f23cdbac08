from itertools import islice
from threading import Event
from typing import Any

import pytest
import torch
from transformers import CONFIG_MAPPING, AutoModelForCausalLM, cache_utils
from transformers.cache_utils import (
    DummyLayer,
    DynamicIndexedLayer,
    DynamicLayer,
    DynamicSlidingWindowLayer,
    LinearAttentionAndFullAttentionLayer,
    LinearAttentionAndSlidingWindowAttentionLayer,
    LinearAttentionLayer,
)

from kvdemo.caches import byte_count
from kvdemo.core.errors import BadInput
from kvdemo.core.figures import units
from kvdemo.core.types import TimedStep
from kvdemo.models.loaded import LoadedModel
from kvdemo.strategies.kv_cache import quantized_cache, teacher_forcing
from kvdemo.strategies.kv_cache.dynamic_cache import DynamicCached
from kvdemo.strategies.kv_cache.quantized_cache import Quantized
from tests.models.tiny_configs import NO_SPECIAL, SIZES
from tests.strategies.conftest import WORDS, steps_of, word_tokenizer
from tests.strategies.layered import model_of
from tests.tiny_models import loaded

NEW = 12


def run(model: LoadedModel, text: str = "The quick brown fox", **options: str) -> list[TimedStep]:
    return [TimedStep(step, 1.0) for step in islice(steps_of(Quantized(**options), model, text), NEW)]


def test_fp8_holds_one_byte_per_number_and_two_scales_per_layer(tiny_model: LoadedModel) -> None:
    exact = list(islice(steps_of(DynamicCached(), tiny_model, "The quick brown fox"), NEW))
    for timed, theirs in zip(run(tiny_model), exact, strict=True):
        assert timed.step.details["exact_bytes"] == theirs.cache_bytes
        assert timed.step.cache_bytes == theirs.cache_bytes / 4 + 2 * 2 * 4  # layers · keys and values · float32
        assert timed.step.details["residual_bytes"] == 0


def test_prefill_logits_are_exact_and_later_ones_are_close(tiny_llama: LoadedModel) -> None:
    prompt = tiny_llama.tokenizer.encode("The quick brown fox")
    choices = [timed.step.choices[0] for timed in run(tiny_llama)]
    exact = teacher_forcing.logprobs(tiny_llama, prompt, [choice.token for choice in choices], Event())
    apart = [abs(choice.logprob - theirs) for choice, theirs in zip(choices, exact, strict=True)]
    assert apart[0] < 1e-5
    assert 1e-4 < max(apart) < 2  # if it were nothing, nothing was quantised


def test_the_remarks_state_the_memory_saved_and_the_loss_of_accuracy(tiny_llama: LoadedModel) -> None:
    steps = run(tiny_llama)
    (remark,) = Quantized().remarks(steps)
    assert "an exact cache holds 256 B (by formula), 3.9" in remark or "4× as much" in remark
    prompt = tiny_llama.tokenizer.encode("The quick brown fox")
    (sentence,) = Quantized().post_race_check(tiny_llama, prompt, steps, Event())
    assert "Fed the 12 tokens that QuantizedCache wrote" in sentence
    exact = teacher_forcing.logprobs(
        tiny_llama, prompt, [token for timed in steps for token in timed.step.tokens], Event()
    )
    assert f"{sum(exact) / 12:.3f} on average" in sentence


@pytest.mark.parametrize("new", [1, 5, 64, 130])
@pytest.mark.parametrize("prompt", [1, 7])
def test_teacher_forcing_is_one_pass_over_the_text(tiny_llama: LoadedModel, prompt: int, new: int) -> None:
    ids = [(7 * n) % 300 + 3 for n in range(prompt + new)]
    with torch.inference_mode():
        rows = tiny_llama.network(input_ids=torch.tensor([ids])).logits[0].log_softmax(-1)
    whole = [float(rows[n - 1, ids[n]]) for n in range(prompt, prompt + new)]
    assert teacher_forcing.logprobs(tiny_llama, ids[:prompt], ids[prompt:], Event()) == pytest.approx(whole, abs=1e-4)


class StopAfter:
    """A stop signal that is raised at the n-th look at it."""

    def __init__(self, looks: int) -> None:
        self.left = looks

    def is_set(self) -> bool:
        self.left -= 1
        return self.left < 0

    def set(self) -> None:
        raise AssertionError("nobody here raises it")


@pytest.mark.parametrize(("prompt", "new", "passes"), [(5, 20, 1), (1100, 200, 2 + 4)])
def test_the_check_after_the_race_stops_before_each_pass(
    tiny_llama: LoadedModel, prompt: int, new: int, passes: int
) -> None:
    ids = [(7 * n) % 300 + 3 for n in range(prompt + new)]
    for looks in range(passes):
        assert teacher_forcing.logprobs(tiny_llama, ids[:prompt], ids[prompt:], StopAfter(looks)) is None
    whole = StopAfter(passes)
    assert len(teacher_forcing.logprobs(tiny_llama, ids[:prompt], ids[prompt:], whole) or ()) == new
    assert whole.left == 0
    stopped = Event()
    stopped.set()
    assert Quantized().post_race_check(tiny_llama, ids[:5], run(tiny_llama), stopped) == []


MIXED = ("qwen2", "gemma2", "gemma3", "gpt_oss", "mimo, values narrower than keys", "qwen3_next", "lfm2", "jamba")


@pytest.mark.parametrize("name", MIXED)
def test_layers_that_grow_are_quantised_and_the_others_are_exact(name: str) -> None:
    model = model_of(name)
    assert Quantized().unavailable_reason(model) is None
    text = " ".join(f"w{3 + 7 * n % 190}" for n in range(15))  # longer than the windows
    steps = run(model, text)
    exact = list(islice(steps_of(DynamicCached(), model, text), NEW))
    for timed, theirs in zip(steps, exact, strict=True):
        details = timed.step.details
        assert details["exact_bytes"] == theirs.cache_bytes
        growing = theirs.cache_bytes - details["unquantized_bytes"]
        scales = 2 * 4 * (details["layers"] - details["unquantized_layers"])
        assert details["quantized_bytes"] == growing / 4 + scales  # float32 to fp8
        assert timed.step.cache_bytes == details["quantized_bytes"] + details["unquantized_bytes"]
    assert exact[-1].cache_bytes > exact[0].cache_bytes
    amount, remark = Quantized().remarks(steps)
    assert "an exact cache holds" in amount
    assert remark.startswith("QuantizedCache quantised 1 layer of keys and values that grow with the text. It kept ")
    assert remark.endswith(" exactly: 1 layer with a window or states, of bounded size.")
    assert steps[0].step.choices[0].logprob == pytest.approx(exact[0].choices[0].logprob, abs=1e-4)


def test_without_growing_layers_nothing_is_quantised_and_a_remark_says_so() -> None:
    model = model_of("mistral")
    assert Quantized().unavailable_reason(model) is None
    steps = run(model, "w3 w4 w5")
    exact = list(islice(steps_of(DynamicCached(), model, "w3 w4 w5"), NEW))
    assert [timed.step.cache_bytes for timed in steps] == [step.cache_bytes for step in exact]
    assert [timed.step.tokens for timed in steps] == [step.tokens for step in exact]
    assert Quantized().remarks(steps) == [
        "QuantizedCache quantised nothing. It kept 1.79 kB exactly: 2 layers with a window or states, of bounded size."
    ]


#: Two layers of keys and values alone, and two that keep an indexer's keys beside them.
INDEXED = SIZES | {
    "num_hidden_layers": 4, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "rotary_dim": 4,
    "num_local_experts": 2, "num_experts_per_tok": 1, "dense_intermediate_size": 48, "shared_intermediate_size": 16,
    "index_n_heads": 2, "index_head_dim": 8, "index_block_size": 4, "index_topk_blocks": 2,
    "layer_types": ["full_attention", "minimax_m3_sparse"] * 2,
}  # fmt: skip


def test_layers_that_grow_and_have_no_packed_form_are_not_said_to_have_a_window() -> None:
    config = CONFIG_MAPPING["minimax_m3_vl_text"](**INDEXED, **NO_SPECIAL)
    config.vocab_size = WORDS
    model = loaded("tiny-indexed", AutoModelForCausalLM.from_config(config).eval(), word_tokenizer())
    steps = run(model, "w3 w4 w5")
    positions = 3 + NEW - 1
    kept = (
        2 * positions * (2 * 2 * 8 + 8) * 4
    )  # layers · positions · (keys and values · heads · width + index) · float32
    assert steps[-1].step.details["unquantized_bytes"] == kept
    assert Quantized().remarks(steps)[1] == (
        f"QuantizedCache quantised 2 layers of keys and values that grow with the text. It kept "
        f"{units.amount(kept, 'B')} exactly: 2 layers of more than keys and values, growing but without a packed "
        "form."
    )


def test_layers_that_keep_nothing_are_not_said_to_be_exact_by_a_window() -> None:
    steps = run(model_of("gemma4, layers that share keys"), "w3 w4 w5")
    details, (*_, remark) = steps[-1].step.details, Quantized().remarks(steps)
    assert details["empty_layers"] > 0
    counted = [details.get(key, 0) for key in ("bounded_layers", "larger_layers", "empty_layers")]
    assert sum(counted) == details["unquantized_layers"]
    assert f"{details['empty_layers']} layer" in remark and "without keys and values of their own" in remark


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        (DynamicSlidingWindowLayer(sliding_window=8), "bounded_layers"),
        (LinearAttentionLayer(), "bounded_layers"),
        (LinearAttentionAndFullAttentionLayer(), "larger_layers"),
        (LinearAttentionAndSlidingWindowAttentionLayer(sliding_window=8), "bounded_layers"),
        (DynamicIndexedLayer(), "larger_layers"),
        (DummyLayer(), "empty_layers"),
    ],
)
def test_the_reason_why_a_layer_is_exact_is_read_from_its_tensors(layer: Any, reason: str) -> None:
    if isinstance(layer, LinearAttentionLayer):
        layer.update_conv_state(torch.zeros(1, 6, 4))
    if isinstance(layer, DynamicLayer):
        layer.update(torch.zeros(1, 2, 3, 8), torch.zeros(1, 2, 3, 8))
    assert quantized_cache._why_exact(layer) == reason


@pytest.mark.parametrize("name", ["falcon_h1", "mamba"])
def test_models_without_layers_of_keys_and_values_are_refused(name: str) -> None:
    assert "no keys and values by themselves" in (Quantized().unavailable_reason(model_of(name)) or "")


def test_a_transformers_without_fp8_is_refused_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(cache_utils, "Fp8QuantizedLayer")
    reason = Quantized().unavailable_reason(model_of("llama")) or ""
    assert reason.startswith("transformers 5.") and reason.endswith(
        "has no cache in fp8: install a newer one, or choose int4."
    )
    with pytest.raises(BadInput, match="has no cache in fp8"):
        run(model_of("llama"), "w3")


def test_int4_without_its_package_is_refused_in_one_sentence(
    tiny_llama: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quantized_cache, "packing_backend", lambda: None)
    assert Quantized().unavailable_reason(tiny_llama) is None
    says = "int4 needs the package optimum-quanto or hqq: install one, or choose fp8."
    assert Quantized(kind="int4").unavailable_reason(tiny_llama) == says
    with pytest.raises(BadInput, match="needs the package"):  # and never fp8 in its place
        run(tiny_llama, kind="int4")


@pytest.mark.skipif(quantized_cache.packing_backend() is None, reason="neither optimum-quanto nor hqq is installed")
@pytest.mark.parametrize("kind", ["int4", "int2"])
@pytest.mark.parametrize("text", ["fox", "The quick brown fox jumps over the lazy dog"])
def test_integer_caches_keep_the_newest_positions_unquantised(tiny_llama: LoadedModel, kind: str, text: str) -> None:
    steps = run(tiny_llama, text, kind=kind)
    prompt, a_position = steps[0].step.positions, 256  # float32: 2 · 2 layers · 2 heads · 8 · 4
    for n, timed in enumerate(steps):
        assert timed.step.details["residual_bytes"] == n * a_position
        assert timed.step.details["exact_bytes"] == (prompt + n) * a_position


def test_integer_quantisation_of_a_latent_cache_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quantized_cache, "packing_backend", lambda: "quanto")
    assert "latent" in (Quantized(kind="int2").unavailable_reason(model_of("deepseek_v3")) or "")


class Packed(torch.Tensor):
    """A tensor that stands for four times what it takes, as the packages' packed tensors do."""

    @staticmethod
    def __new__(cls, data: torch.Tensor, scale: torch.Tensor) -> "Packed":
        return torch.Tensor._make_wrapper_subclass(cls, (data.numel() * 2,), dtype=torch.float32)

    def __init__(self, data: torch.Tensor, scale: torch.Tensor) -> None:
        self.data_, self.scale = data, scale

    @classmethod
    def __torch_dispatch__(cls, *_: object, **__: object) -> None:
        raise NotImplementedError

    def __tensor_flatten__(self) -> tuple[list[str], None]:
        return ["data_", "scale"], None


def test_the_bytes_of_packed_tensors_are_those_of_their_storage() -> None:
    packed = Packed(torch.zeros(8, dtype=torch.uint8), torch.zeros(1))
    assert packed.nbytes == 64
    assert byte_count.nbytes([packed, {"scale": torch.zeros(3), "shape": (4, 4)}, None]) == 8 + 4 + 12
