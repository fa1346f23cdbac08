"""Out of a cache, into the old format or a file, and back: nothing may change, and nothing wrong may come in."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from transformers import Cache, DynamicCache, StaticCache

from kvdemo.caches import cache_file, legacy_format
from kvdemo.core.errors import BadInput
from kvdemo.models.loaded import LoadedModel
from kvdemo.models.network.cache_argument import cache_kwargs
from tests.strategies.layered import FULL, SLIDING, STATES, model_of
from tests.tiny_models import tiny_llama_network

TEXT = "The quick brown fox jumps"


@torch.inference_mode()
def go_on(model: LoadedModel, cache: Cache, new_ids: list[int], n: int) -> list[int]:
    """n greedy tokens behind what the cache holds and some ids that it does not hold yet."""
    tokens: list[int] = []
    for _ in range(n):
        out = model.network(input_ids=torch.tensor([new_ids]), **cache_kwargs(model.network, cache))
        tokens.append(int(out.logits[0, -1].argmax()))
        new_ids = tokens[-1:]
    return tokens


def half_way(model: LoadedModel, n: int = 6) -> tuple[DynamicCache, list[int], int]:
    """A cache after n tokens, the ids that it holds, and the token that comes next."""
    cache, ids = DynamicCache(config=model.network.config), model.tokenizer.encode(TEXT)
    tokens = go_on(model, cache, ids, n)
    return cache, [*ids, *tokens[:-1]], tokens[-1]


def undisturbed(model: LoadedModel) -> list[int]:
    return go_on(model, DynamicCache(config=model.network.config), model.tokenizer.encode(TEXT), 30)


def test_generation_continues_from_a_converted_cache(tiny_model: LoadedModel) -> None:
    cache, _, newest = half_way(tiny_model)
    again = legacy_format.from_legacy(legacy_format.to_legacy(cache), tiny_model)
    assert go_on(tiny_model, again, [newest], 24) == undisturbed(tiny_model)[6:]


def test_generation_continues_from_a_saved_cache(tiny_model: LoadedModel, tmp_path: Path) -> None:
    cache, held, newest = half_way(tiny_model)
    cache_file.save(tmp_path / "cache.safetensors", cache, tiny_model, held)
    again, ids = cache_file.load(tmp_path / "cache.safetensors", tiny_model)
    assert ids == held
    assert go_on(tiny_model, again, [newest], 24) == undisturbed(tiny_model)[6:]


@pytest.mark.parametrize("name", FULL)
def test_every_model_of_plain_layers_can_be_saved(name: str, tmp_path: Path) -> None:
    model = model_of(name)
    cache, held, newest = half_way(model)
    cache_file.save(tmp_path / "cache.safetensors", cache, model, held)
    again, _ = cache_file.load(tmp_path / "cache.safetensors", model)
    assert go_on(model, again, [newest], 24) == undisturbed(model)[6:]


def test_the_legacy_format_is_a_tuple_of_key_value_pairs(tiny_llama: LoadedModel) -> None:
    cache, held, _ = half_way(tiny_llama)
    pairs = legacy_format.to_legacy(cache)
    assert isinstance(pairs, tuple) and all(isinstance(pair, tuple) for pair in pairs)
    assert [[tuple(tensor.shape) for tensor in pair] for pair in pairs] == [[(1, 2, len(held), 8)] * 2] * 2


def test_converted_pairs_and_the_cache_share_no_memory(tiny_llama: LoadedModel) -> None:
    cache, held, newest = half_way(tiny_llama)
    pairs = legacy_format.to_legacy(cache)
    before = [[tensor.clone() for tensor in pair] for pair in pairs]
    go_on(tiny_llama, legacy_format.from_legacy(pairs, tiny_llama), [newest], 5)
    go_on(tiny_llama, cache, [newest], 5)
    for pair, old in zip(pairs, before, strict=True):
        assert all(map(torch.equal, pair, old))
    assert pairs[0][0].shape[2] == len(held)


@pytest.mark.slow
@pytest.mark.parametrize("name", SLIDING)
def test_windowed_layers_can_be_converted_while_they_hold_all_positions(name: str, tmp_path: Path) -> None:
    model, text = model_of(name), " ".join(f"w{3 + 7 * n % 190}" for n in range(20))
    ids, whole = model.tokenizer.encode(text), DynamicCache(config=model.network.config)
    expected = go_on(model, whole, ids, 30)
    with pytest.raises(BadInput, match="layers with a window have dropped positions"):
        legacy_format.to_legacy(whole)
    cache = legacy_format.recording(model)
    tokens = go_on(model, cache, ids, 6)
    cache_file.save(tmp_path / "cache.safetensors", cache, model, [*ids, *tokens[:-1]])
    again, _ = cache_file.load(tmp_path / "cache.safetensors", model)
    pairs = legacy_format.to_legacy(cache)
    for found in (
        again,
        legacy_format.from_legacy(pairs, model),
        legacy_format.fill(legacy_format.recording(model), pairs),
    ):
        assert go_on(model, found, tokens[-1:], 24) == expected[6:]
    assert legacy_format.unavailable_reason(model) is None


@pytest.mark.parametrize("name", STATES)
def test_caches_with_other_tensors_than_keys_and_values_are_refused(name: str, tmp_path: Path) -> None:
    model = model_of(name)
    assert "not plain keys and values" in (legacy_format.unavailable_reason(model) or "")
    cache, held, _ = half_way(model)
    with pytest.raises(BadInput, match="cannot be converted"):
        legacy_format.to_legacy(cache)
    with pytest.raises(BadInput, match="cannot be converted"):
        cache_file.save(tmp_path / "cache.safetensors", cache, model, held)
    with pytest.raises(BadInput, match="cannot take a cache"):
        legacy_format.from_legacy((), model)
    with pytest.raises(BadInput, match="cannot take a cache"):
        cache_file.load(tmp_path / "cache.safetensors", model)


def test_other_caches_and_empty_ones_are_refused(tiny_llama: LoadedModel) -> None:
    with pytest.raises(BadInput, match="StaticLayer"):
        legacy_format.to_legacy(StaticCache(config=tiny_llama.network.config, max_cache_len=8))
    for empty in (DynamicCache(), DynamicCache(config=tiny_llama.network.config)):
        with pytest.raises(BadInput, match="holds nothing yet"):
            legacy_format.to_legacy(empty)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda pairs: pairs[:1],
        lambda pairs: (*pairs, pairs[0]),
        lambda pairs: pairs[:0],
        lambda pairs: (pairs[0], (pairs[1][0], pairs[1][1][:, :, :-1])),
        lambda pairs: tuple((k[:, :1], v[:, :1]) for k, v in pairs),
        lambda pairs: tuple((k[..., :4], v[..., :4]) for k, v in pairs),
        lambda pairs: tuple((k[:, :, :0], v[:, :, :0]) for k, v in pairs),
        lambda pairs: tuple((k[0], v[0]) for k, v in pairs),
        lambda pairs: tuple((k,) for k, _ in pairs),
    ],
)
def test_tensors_that_the_model_did_not_write_are_refused(
    tiny_llama: LoadedModel, spoil: Callable[[legacy_format.Legacy], legacy_format.Legacy]
) -> None:
    pairs = legacy_format.to_legacy(half_way(tiny_llama)[0])
    with pytest.raises(BadInput, match="has other shapes than tiny-llama writes"):
        legacy_format.from_legacy(spoil(pairs), tiny_llama)


def test_another_number_format_is_refused(tiny_llama: LoadedModel) -> None:
    pairs = legacy_format.to_legacy(half_way(tiny_llama)[0])
    with pytest.raises(BadInput, match="holds bfloat16 and tiny-llama runs in float32"):
        legacy_format.from_legacy(tuple((k.bfloat16(), v.bfloat16()) for k, v in pairs), tiny_llama)


def test_a_batch_is_converted_and_refused_for_saving(tiny_llama: LoadedModel, tmp_path: Path) -> None:
    cache, held, newest = half_way(tiny_llama)
    cache.batch_repeat_interleave(3)
    assert legacy_format.from_legacy(legacy_format.to_legacy(cache), tiny_llama).layers[0].keys.shape[0] == 3
    with pytest.raises(ValueError, match="one text"):
        cache_file.save(tmp_path / "cache.safetensors", cache, tiny_llama, held)
    with pytest.raises(ValueError, match="one id for each position"):
        cache_file.save(tmp_path / "cache.safetensors", half_way(tiny_llama)[0], tiny_llama, [*held, newest])


@pytest.fixture
def saved(tiny_llama: LoadedModel, tmp_path: Path) -> Path:
    cache, held, _ = half_way(tiny_llama)
    cache_file.save(tmp_path / "cache.safetensors", cache, tiny_llama, held)
    return tmp_path / "cache.safetensors"


def refusal(path: Path, model: LoadedModel) -> str:
    """Why a file is refused: one sentence, whatever is wrong with it."""
    with pytest.raises(BadInput) as refused:
        cache_file.load(path, model)
    said = str(refused.value)
    assert "\n" not in said and re.search(r"[^.]\.$", said)
    return said


def rewritten(path: Path, **changed: str | None) -> Path:
    """The same file with another header; None takes an entry out."""
    with safe_open(path, framework="pt") as opened:
        about = {name: value for name, value in (opened.metadata() | changed).items() if value is not None}
        tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    save_file(tensors, path, metadata=about)
    return path


def test_files_without_a_cache_are_refused(saved: Path, tiny_llama: LoadedModel) -> None:
    whole = saved.read_bytes()
    for spoilt in (b"", b"{}", b"\xff" * 100, whole[:100], whole[:-100], whole + b"more"):
        saved.write_bytes(spoilt)
        assert "cannot be read" in refusal(saved, tiny_llama)
    assert "cannot be read" in refusal(saved.parent, tiny_llama)
    assert "cannot be read" in refusal(saved.parent / "absent", tiny_llama)
    torch.save({"a": torch.zeros(1)}, saved)  # a pickle
    assert "cannot be read" in refusal(saved, tiny_llama)
    save_file({"a": torch.zeros(1)}, saved)
    assert "is not a cache that kvdemo saved" in refusal(saved, tiny_llama)


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("tokens", None),
        ("tokens", "[1, 2"),
        ("tokens", "[1, 2]"),
        ("tokens", "7"),
        ("tokens", json.dumps([10**6] * 20)),
        ("tokens", json.dumps([1.5] * 20)),
        ("tokens", "[" * 100_000),
        ("shapes", "{}"),
        ("shapes", "[[[1]]]"),
        ("shapes", "null"),
    ],
)
def test_a_damaged_header_is_refused(saved: Path, tiny_llama: LoadedModel, header: str, value: str | None) -> None:
    said = refusal(rewritten(saved, **{header: value}), tiny_llama)
    assert "is damaged: save it again" in said or "other shapes" in said


def test_tensors_that_contradict_the_header_are_refused(saved: Path, tiny_llama: LoadedModel) -> None:
    with safe_open(saved, framework="pt") as opened:
        about, tensors = opened.metadata(), {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    for spoilt in (
        tensors | {"2.keys": tensors["0.keys"].clone()},
        {name: tensor for name, tensor in tensors.items() if name != "1.values"},
        tensors | {"0.keys": tensors["0.keys"][:, :, :-1].contiguous()},
    ):
        save_file(spoilt, saved, metadata=about)
        assert "does not hold what its header says" in refusal(saved, tiny_llama)
    save_file({name: tensor.half() for name, tensor in tensors.items()}, saved, metadata=about)
    assert "holds float16" in refusal(saved, tiny_llama)


def test_a_cache_of_another_model_is_refused(saved: Path, tiny_llama: LoadedModel, tiny_gpt2: LoadedModel) -> None:
    assert "another model (model 'tiny-llama', and here it is 'tiny-gpt2')" in refusal(saved, tiny_gpt2)
    newer = replace(tiny_llama, source=replace(tiny_llama.source, revision="abc"))
    assert "revision '', and here it is 'abc'" in refusal(saved, newer)
    trained = replace(tiny_llama, network=tiny_llama_network(len(tiny_llama.tokenizer), seed=1))
    assert "(weights " in refusal(saved, trained)
    narrow = replace(tiny_llama, network=tiny_llama_network(len(tiny_llama.tokenizer)).bfloat16())
    assert "dtype 'float32', and here it is 'bfloat16'" in refusal(saved, narrow)


def test_an_unwritable_path_gives_one_sentence(tiny_llama: LoadedModel, tmp_path: Path) -> None:
    cache, held, _ = half_way(tiny_llama)
    with pytest.raises(BadInput, match=r"cannot be written to .*[^.]\.$"):
        cache_file.save(tmp_path / "absent" / "cache.safetensors", cache, tiny_llama, held)
