"""The legacy format: shapes and bytes of the cache, and the same tokens from what was converted and saved."""

import errno
import os
import tempfile
import threading
from pathlib import Path

import pytest
import torch
from transformers import DynamicCache

from kvdemo.caches import legacy_format
from kvdemo.core.settings.inside import InsideRequest
from kvdemo.inside.panels import legacy
from kvdemo.inside.session import run
from kvdemo.models.loaded import LoadedModel
from kvdemo.models.network.cache_argument import cache_kwargs
from tests.inside.shown import TEXT, shown
from tests.strategies.layered import FULL, SLIDING, STATES, model_of

WORDS = "w10 w11 w12 w13 w14 w15 w16 w17 w18 w19"


@torch.inference_mode()
def greedy(model: LoadedModel, prompt: str) -> list[int]:
    """The whole text again for each token."""
    ids = model.tokenizer.encode(prompt)
    start = len(ids)
    for _ in range(legacy.STEPS):
        logits = model.network(input_ids=torch.tensor([ids]), **cache_kwargs(model.network, None)).logits
        ids = [*ids, int(logits[0, -1].argmax())]
    return ids[start:]


def test_decoding_continues_with_the_same_tokens_after_each_conversion(tiny_model: LoadedModel) -> None:
    panel = shown(tiny_model, "legacy")
    assert panel["tokens"] == panel["converted"] == panel["resumed"] == greedy(tiny_model, TEXT)
    assert panel["same"] and panel["pieces"] == [tiny_model.piece(token) for token in panel["tokens"]]


def test_on_a_full_disk_the_panel_says_so_and_the_others_are_shown(
    tiny_llama: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(tempfile, "TemporaryDirectory", full)
    panels = run(InsideRequest(TEXT, panels=("legacy", "steps")), tiny_llama, lambda _: None, threading.Event())[
        "panels"
    ]
    assert panels["legacy"] == {
        "cannot": "This panel needs a file, and none can be written here: No space left on device."
    }
    assert "cannot" not in panels["steps"]


@torch.inference_mode()
def test_shapes_and_bytes_are_those_of_the_cache(tiny_model: LoadedModel) -> None:
    panel = shown(tiny_model, "legacy")
    ids = tiny_model.tokenizer.encode(TEXT)
    cache = DynamicCache(config=tiny_model.network.config)
    tiny_model.network(input_ids=torch.tensor([ids]), **cache_kwargs(tiny_model.network, cache))
    layers = cache.layers
    assert panel["layers"] == len(layers)
    assert panel["shapes"] == [list(layers[0].keys.shape), list(layers[0].values.shape)]
    assert panel["other_shapes"] == []
    assert panel["bytes"] == sum(layer.keys.nbytes + layer.values.nbytes for layer in layers)
    assert panel["file_bytes"] > panel["bytes"]


@pytest.mark.parametrize("name", [*FULL, *SLIDING])
def test_plain_layers_and_windows_are_converted_in_both_directions(name: str) -> None:
    panel = shown(model_of(name), "legacy", WORDS)
    assert panel["same"] and panel["tokens"] == greedy(model_of(name), WORDS)


def test_layers_of_other_shapes_are_shown() -> None:
    panel = shown(model_of("gemma4, other heads in its full layers"), "legacy", WORDS)
    assert panel["shapes"] == [[1, 2, 10, 8]] * 2 and panel["other_shapes"] == [[[1, 1, 10, 16]] * 2]


@pytest.mark.parametrize("name", [*STATES, "mamba", "deepseek_v32, an indexer's keys", "openai-gpt"])
def test_layers_without_keys_and_values_are_named(name: str) -> None:
    assert "cannot be written as pairs" in shown(model_of(name), "legacy", WORDS)["cannot"]


def test_a_fault_of_the_conversion_back_is_shown(tiny_llama: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    own = legacy_format.from_legacy
    monkeypatch.setattr(legacy_format, "from_legacy", lambda pairs, model: own(tuple((v, k) for k, v in pairs), model))
    panel = shown(tiny_llama, "legacy")
    assert not panel["same"] and panel["converted"] != panel["tokens"] == panel["resumed"]


def test_the_temporary_file_is_removed(
    tiny_llama: LoadedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert shown(tiny_llama, "legacy")["file_bytes"] > 0
    assert not list(tmp_path.iterdir())


def test_a_text_that_fills_the_context_is_shortened(tiny_gpt2: LoadedModel) -> None:
    ids = tiny_gpt2.tokenizer.encode("fox " * 512)[:512]
    panel = shown(tiny_gpt2, "legacy", tiny_gpt2.decode(ids))
    assert panel["same"] and panel["shapes"][0][2] == 512 - legacy.STEPS
    assert shown(tiny_gpt2, "legacy", "a", max_new_tokens=1)["same"]
