"""The window against what its docstring says of it: token by token, on caches that are built anew for each step."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice

import pytest
import torch
from torch import Tensor
from transformers import CONFIG_MAPPING, AutoModelForCausalLM, DynamicCache, LlamaConfig, LlamaForCausalLM

from kvdemo.core.types import Step, TimedStep
from kvdemo.models.loaded import LoadedModel
from kvdemo.strategies.chooser import Picked
from kvdemo.strategies.kv_cache.dynamic_cache import DynamicCached
from kvdemo.strategies.kv_cache.sliding_window import SlidingWindow
from tests.strategies.conftest import WORDS, steps_of, tokens_of, word_tokenizer
from tests.strategies.draft.test_prompt_lookup import job_of
from tests.strategies.layered import SLIDING, STATES, model_of
from tests.tiny_models import loaded

ROTARY = ("llama", "qwen3", "gpt_neox", "falcon new", "mixtral", "phi3")
LONG = " ".join(f"w{3 + 7 * n % 190}" for n in range(20))


def llama(layers: int, **numbers: object) -> LoadedModel:
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 4, "num_key_value_heads": 2}
    config = LlamaConfig(vocab_size=WORDS, num_hidden_layers=layers, initializer_range=0.2, **sizes, **numbers)
    return loaded("tiny", LlamaForCausalLM(config).eval(), word_tokenizer())


def decoded(strategy: SlidingWindow, model: LoadedModel, text: str, n: int) -> tuple[list[Step], list[Tensor]]:
    """n steps, and the logits that each chose from."""
    job, seen = job_of(model, text, n), []

    def choose(logits: Tensor) -> Picked:
        seen.append(logits.clone())
        return job.choose(logits)

    return list(islice(strategy.decode(replace(job, choose=choose)), n)), seen


@pytest.mark.parametrize("name", ROTARY)
@pytest.mark.parametrize("text", ["w3", LONG])
def test_a_window_that_holds_the_whole_text_is_full_attention(name: str, text: str) -> None:
    model = model_of(name)
    strategy = SlidingWindow(window=len(text.split()) + 19, sinks=1)
    assert tokens_of(strategy, model, text, 20) == tokens_of(DynamicCached(), model, text, 20)
    assert SlidingWindow().unavailable_reason(model) is None


@pytest.mark.parametrize("name", ROTARY)
def test_logits_equal_full_attention_until_the_first_position_is_dropped(name: str) -> None:
    _, ours = decoded(SlidingWindow(window=10, sinks=2), model_of(name), "w3 w4 w5", 14)
    _, full = decoded(SlidingWindow(), model_of(name), "w3 w4 w5", 14)
    close = [torch.allclose(a, b, atol=1e-4) for a, b in zip(ours, full, strict=True)]
    assert close[:10] == [True] * 10  # 3 + 9 positions are seen by the tenth token's query: all twelve are kept
    assert not close[10]


def kept(seen: int, sinks: int, window: int) -> list[int]:
    """Positions that the newest of so many sees, itself included."""
    return [p for p in range(seen) if p < sinks or p >= seen - window]


@pytest.mark.parametrize(("sinks", "window"), [(0, 6), (1, 1), (2, 6), (4, 5)])
@pytest.mark.parametrize("text", ["w3", "w3 w4 w5 w6 w7 w8 w9 w10"])
def test_with_one_layer_the_logits_are_those_of_the_kept_tokens_alone(sinks: int, window: int, text: str) -> None:
    """Keys and values of a first layer know nothing of other tokens: so nothing but positions can differ."""
    model = llama(layers=1)
    steps, logits = decoded(SlidingWindow(window=window, sinks=sinks), model, text, 40)
    prompt = model.tokenizer.encode(text)
    ids = prompt + [token for step in steps for token in step.tokens]
    for n, ours in enumerate(logits[1:], start=1):
        alone = [ids[p] for p in kept(len(prompt) + n, sinks, window)]
        with torch.inference_mode():
            expected = model.network(input_ids=torch.tensor([alone])).logits[0, -1]
        torch.testing.assert_close(ours, expected, atol=1e-4, rtol=1e-4)


@contextmanager
def untouched(model: LoadedModel) -> Iterator[list[tuple[list[Tensor], list[Tensor]]]]:
    """Each layer's keys before they are turned, and its values, (heads, head_dim) a position, as they are computed."""
    held: list[tuple[list[Tensor], list[Tensor]]] = [([], []) for _ in model.network.model.layers]
    hooks = []
    for layer, parts in zip(model.network.model.layers, held, strict=True):
        for module, part in zip((layer.self_attn.k_proj, layer.self_attn.v_proj), parts, strict=True):
            hooks.append(
                module.register_forward_hook(lambda _m, _i, out, part=part: part.extend(out[0].unflatten(-1, (2, -1))))
            )
    yield held
    for hook in hooks:
        hook.remove()


def placed(keys: Tensor) -> Tensor:
    """Keys (positions, heads, head_dim) turned for positions 0, 1, 2 ...: Su et al., eq. 34, in complex numbers."""
    half = keys.shape[-1] // 2
    angles = torch.arange(len(keys))[:, None] / 10000 ** (torch.arange(half) / half)
    turned = torch.complex(keys[..., :half], keys[..., half:]) * torch.polar(torch.ones_like(angles), angles)[:, None]
    return torch.cat((turned.real, turned.imag), dim=-1)


@pytest.mark.parametrize(("sinks", "window"), [(0, 6), (2, 6), (4, 9)])
@pytest.mark.parametrize("text", ["w3 w4 w5", LONG])
def test_with_more_layers_the_kept_positions_are_numbered_from_0(sinks: int, window: int, text: str) -> None:
    """The definition, slowly: keys and values as each token was read, positions counted inside the cache.

    Each step gets a plain cache of its own. The keys in it are turned here, from what the layers made before turning.
    """
    model = llama(layers=3)
    ids = model.tokenizer.encode(text)
    steps, logits = decoded(SlidingWindow(window=window, sinks=sinks), model, text, 40)
    with torch.inference_mode(), untouched(model) as held:
        model.network(input_ids=torch.tensor([ids]))  # the prompt: all of it visible
        for step, ours in zip(steps, logits[1:], strict=False):
            *past, _ = kept(len(held[0][0]) + 1, sinks, window)
            turned = [placed(torch.stack([keys[p] for p in past])) for keys, _ in held]
            values = [torch.stack([values[p] for p in past]) for _, values in held]
            pairs = zip(turned, values, strict=True)
            cache = DynamicCache([(k.transpose(0, 1)[None], v.transpose(0, 1)[None]) for k, v in pairs])
            expected = model.network(
                input_ids=torch.tensor([[step.tokens[0]]]),
                position_ids=torch.tensor([[len(past)]]),
                past_key_values=cache,
            ).logits[0, -1]
            torch.testing.assert_close(ours, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("text", ["w3", LONG])
def test_memory_grows_to_the_window_and_stays(text: str) -> None:
    model = model_of("llama")
    steps = list(islice(steps_of(SlidingWindow(window=10, sinks=2), model, text), 60))
    prompt = len(text.split())
    assert [step.positions for step in steps] == [prompt] + [1] * 59
    a_position = 2 * 2 * 2 * 8 * 4  # keys and values · layers · kv_heads · head_dim · float32
    assert [step.details["kept"] for step in steps] == [min(prompt + n, 12) for n in range(60)]
    assert [step.details["dropped"] for step in steps] == [max(prompt + n - 12, 0) for n in range(60)]
    assert [step.details["exact_bytes"] for step in steps] == [(prompt + n) * a_position for n in range(60)]
    full = {step.cache_bytes for step in steps[1:] if step.details["dropped"]}
    assert full == {12 * a_position + 2 * a_position // 2}  # and the two sinks' keys as they were


@pytest.mark.parametrize(
    ("name", "why"),
    [("gpt2", "not rotary"), ("bloom", "not rotary"), ("mpt", "not rotary"), ("deepseek_v3", "moving a key")]
    + [(name, "of their own") for name in (*SLIDING, *STATES)],
)
def test_models_that_the_window_would_misread_are_refused(name: str, why: str) -> None:
    assert why in (SlidingWindow().unavailable_reason(model_of(name)) or "")


def test_rotary_angles_that_depend_on_the_text_length_are_refused() -> None:
    factors = {"short_factor": [1.0] * 4, "long_factor": [2.0] * 4, "factor": 4.0}
    parameters = {"rope_type": "longrope", "rope_theta": 10000.0, "original_max_position_embeddings": 512, **factors}
    model = llama(layers=1, rope_parameters=parameters)
    assert "(longrope) change with the text's length" in (SlidingWindow().unavailable_reason(model) or "")


@pytest.mark.parametrize(
    ("parameters", "runs"),
    [
        ({"rope_type": "dynamic", "factor": 2.0}, True),  # changes beyond the context alone
        ({"rope_type": "linear", "factor": 2.0}, True),
        ({"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 512}, False),  # scales its keys
    ],
)
def test_other_rotary_kinds_are_tried_and_refused_if_wrong(parameters: dict[str, object], runs: bool) -> None:
    model = llama(layers=2, rope_parameters=parameters | {"rope_theta": 10000.0})
    assert (SlidingWindow().unavailable_reason(model) is None) is runs
    if runs:
        assert tokens_of(SlidingWindow(), model, LONG, 20) == tokens_of(DynamicCached(), model, LONG, 20)


@pytest.mark.parametrize(("kind", "numbers"), [("cohere", {}), ("falcon", {"alibi": True}), ("smollm3", {})])
def test_a_model_that_rotates_keys_differently_is_refused(kind: str, numbers: dict[str, bool]) -> None:
    """Interleaved pairs, no turn, and every fourth layer without one: told from the model's own keys."""
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 4, "num_key_value_heads": 2}
    special = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
    config = CONFIG_MAPPING[kind](vocab_size=WORDS, num_hidden_layers=4, **sizes, **special, **numbers)
    model = loaded(kind, AutoModelForCausalLM.from_config(config).eval(), word_tokenizer())
    reason = SlidingWindow().unavailable_reason(model) or ""
    assert reason == "moving a key does not give the key that the model computes there: use DynamicCache."


def test_the_remarks_state_the_dropped_positions_and_the_constant_step_time(
    word_models: Mapping[str, LoadedModel],
) -> None:
    model = word_models["llama"]
    steps = [TimedStep(step, 0.02) for step in islice(steps_of(SlidingWindow(window=10, sinks=2), model, "w3"), 60)]
    kept_remark, flat = SlidingWindow(window=10, sinks=2).remarks(steps)
    assert kept_remark == (
        "Sliding window (window 10, sinks 2) kept 12 positions in 3.33 kB and dropped 48; "
        "a cache of all of them holds 15.4 kB (by formula)."
    )
    assert "20 ms in the first half of the run and 20 ms in the second" in flat
    (remark,) = SlidingWindow().remarks(
        [TimedStep(step, 0.02) for step in islice(steps_of(SlidingWindow(), model, "w3"), 3)]
    )
    assert (
        remark == "All 3 positions fitted into Sliding window (260): nothing was forgotten, so this was full attention."
    )
