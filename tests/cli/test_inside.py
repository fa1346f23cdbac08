"""`inside` on the command line: counts, shapes and bytes, each beside an independent computation."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, DynamicCache

from kvdemo.cli import main
from kvdemo.documents import schema

PROMPT = "The quick brown fox jumps over the lazy"
NEW = 7


@pytest.fixture(autouse=True)
def interrupts_as_before() -> Iterator[None]:
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


def run(folder: Path, *more: str) -> int:
    return main(["inside", "--prompt", PROMPT, "--model", str(folder), "--max-new-tokens", str(NEW), *more])


@pytest.fixture
def document(tiny_folder: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert run(tiny_folder, "--panels", "steps,attention,formulas", "--json") == 0
    made: dict[str, Any] = json.loads(capsys.readouterr().out)
    schema.check(made)
    return made


@torch.inference_mode()
def test_counts_shapes_and_bytes_are_those_of_an_independent_run(document: dict[str, Any], tiny_folder: Path) -> None:
    network = AutoModelForCausalLM.from_pretrained(tiny_folder, dtype=torch.float32)
    ids = AutoTokenizer.from_pretrained(tiny_folder)(PROMPT)["input_ids"]
    written = network.generate(torch.tensor([ids]), max_new_tokens=NEW, do_sample=False)[0].tolist()
    panel = document["panels"]["steps"]
    assert panel["tokens"] == written

    cache = DynamicCache(config=network.config)
    network(input_ids=torch.tensor([written[:-1]]), cache=cache)
    layers = cache.layers
    assert [group["layers"] for group in panel["caches"]] == [[0, 1]]
    assert panel["caches"][0]["key_shape"] == list(layers[0].keys.shape) == [1, 2, len(written) - 1, 8]
    assert panel["caches"][0]["value_shape"] == list(layers[1].values.shape)
    held = sum(tensor.nbytes for layer in layers for tensor in (layer.keys, layer.values))
    assert panel["steps"][-1]["cache_bytes"] == panel["steps"][-1]["formula_bytes"] == held

    lengths = range(len(ids), len(written))  # a row of the triangle for each position, in each step without a cache
    assert panel["totals"]["products_all"] == sum(sum(range(1, length + 1)) for length in lengths)
    assert panel["totals"]["products"] == sum(range(1, len(written)))
    assert panel["steps"][-1]["products_all_so_far"] == panel["totals"]["products_all"]
    assert panel["steps"][-1]["products_so_far"] == panel["totals"]["products"]


@torch.inference_mode()
def test_attention_weights_are_those_of_the_models_own_output(document: dict[str, Any], tiny_folder: Path) -> None:
    network = AutoModelForCausalLM.from_pretrained(tiny_folder, dtype=torch.float32, attn_implementation="eager")
    ids = document["panels"]["steps"]["tokens"][:-1]
    expected = network(input_ids=torch.tensor([ids]), output_attentions=True).attentions[0][0, 0]
    for query, row in enumerate(document["panels"]["attention"]["rows"]):
        assert row == pytest.approx(expected[query, : query + 1].tolist(), abs=1e-4)


def test_without_json_each_panel_has_its_sentences(tiny_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tiny_folder, "--panels", "steps,attention,formulas", "--layer", "9") == 0
    out = capsys.readouterr().out
    assert f"{NEW} steps after " in out
    assert "by formula." in out
    assert "has 2 layers, counted from 0: choose layer 1 or lower." in out
    assert "Memory of the cache: 2 · layers · kv_heads · head_dim · bytes · t · b" in out


def test_an_empty_text_is_bad_input(tiny_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inside", "--prompt", " ", "--model", str(tiny_folder)]) == 2
    assert "The text is empty" in capsys.readouterr().err
