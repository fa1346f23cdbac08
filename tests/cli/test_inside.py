"""`inside` on the command line: each figure beside that of a run made without kvdemo."""

import contextlib
import io
import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, DynamicCache, PreTrainedModel

from kvdemo.cli import main
from kvdemo.core.settings.inside import PANELS
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


@pytest.fixture(scope="module")
def panels(tiny_folder: Path) -> dict[str, Any]:
    """All panels of one document."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        assert run(tiny_folder, "--device", "cpu", "--panels", ",".join(PANELS), "--json") == 0
    made: dict[str, Any] = json.loads(said.getvalue())
    schema.check(made)
    assert (made["kind"], made["status"]) == ("inside", "done")
    assert not [name for name, panel in made["panels"].items() if "cannot" in panel]
    found: dict[str, Any] = made["panels"]
    return found


@pytest.fixture(scope="module")
def network(tiny_folder: Path) -> PreTrainedModel:
    return AutoModelForCausalLM.from_pretrained(tiny_folder, dtype=torch.float32, attn_implementation="eager").eval()


def encoded(folder: Path, text: str = PROMPT) -> torch.Tensor:
    ids: torch.Tensor = AutoTokenizer.from_pretrained(folder).encode(text, return_tensors="pt")
    return ids


@torch.inference_mode()
def test_counts_shapes_and_bytes_equal_those_of_an_independent_run(
    panels: dict[str, Any], network: PreTrainedModel, tiny_folder: Path
) -> None:
    ids = encoded(tiny_folder)
    written = network.generate(ids, max_new_tokens=NEW, do_sample=False)[0].tolist()
    panel = panels["steps"]
    assert panel["tokens"] == written

    cache = DynamicCache(config=network.config)
    network(input_ids=torch.tensor([written[:-1]]), cache=cache)
    layers = cache.layers
    assert [group["layers"] for group in panel["caches"]] == [[0, 1]]
    assert panel["caches"][0]["key_shape"] == list(layers[0].keys.shape) == [1, 2, len(written) - 1, 8]
    assert panel["caches"][0]["value_shape"] == list(layers[1].values.shape)
    held = sum(tensor.nbytes for layer in layers for tensor in (layer.keys, layer.values))
    assert panel["steps"][-1]["cache_bytes"] == panel["steps"][-1]["formula_bytes"] == held

    lengths = range(ids.shape[1], len(written))  # a row of the triangle for each position, in each step without a cache
    assert panel["totals"]["products_all"] == sum(sum(range(1, length + 1)) for length in lengths)
    assert panel["totals"]["products"] == sum(range(1, len(written)))
    assert panel["steps"][-1]["products_all_so_far"] == panel["totals"]["products_all"]
    assert panel["steps"][-1]["products_so_far"] == panel["totals"]["products"]


@torch.inference_mode()
def test_attention_weights_equal_the_models_own_output(panels: dict[str, Any], network: PreTrainedModel) -> None:
    ids = panels["steps"]["tokens"][:-1]
    expected = network(input_ids=torch.tensor([ids]), output_attentions=True).attentions[0][0, 0]
    for query, row in enumerate(panels["attention"]["rows"]):
        assert row == pytest.approx(expected[query, : query + 1].tolist(), abs=1e-4)


@torch.inference_mode()
def test_differences_equal_those_of_passes_made_without_kvdemo(
    panels: dict[str, Any], network: PreTrainedModel, tiny_folder: Path
) -> None:
    ids, longer = (encoded(tiny_folder, text) for text in (PROMPT, PROMPT + " dog"))
    usual = AutoModelForCausalLM.from_pretrained(tiny_folder, dtype=torch.float32).eval()  # another order of sums
    before, after = (usual(some, output_hidden_states=True).hidden_states for some in (ids, longer))
    assert len(panels["past"]["layers"]) == len(before) == network.config.num_hidden_layers + 1
    for layer, was, now in zip(panels["past"]["layers"], before, after, strict=True):
        difference = float((now[:, : ids.shape[1]] - was).abs().max())
        assert layer["largest_difference"] == pytest.approx(difference, abs=1e-6)
        assert layer["scale"] == pytest.approx(float(was.abs().max()))

    cache = None
    new = ids
    for step in panels["rounding"]["formats"][0]["steps"]:
        out = network(new, past_key_values=cache, use_cache=True)
        uncached, cache = network(ids, use_cache=False).logits[0, -1], out.past_key_values
        difference = float((out.logits[0, -1] - uncached).abs().max())
        best, second = uncached.topk(2).values.tolist()
        assert step["token"] == int(uncached.argmax()) and step["same"]
        assert step["largest_difference"] == pytest.approx(difference, abs=1e-5)
        assert step["margin"] == pytest.approx(best - second, abs=1e-5)
        new = torch.tensor([[step["token"]]])
        ids = torch.cat([ids, new], 1)


def test_without_json_each_panel_is_printed_as_sentences(tiny_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tiny_folder, "--panels", "steps,attention,formulas,past,legacy", "--layer", "9") == 0
    out = capsys.readouterr().out
    assert f"{NEW} steps after " in out
    assert "by formula." in out
    assert "has 2 layers, counted from 0: choose layer 1 or lower." in out
    assert "Memory of the cache: 2 · layers · kv_heads · head_dim · bytes · t · b" in out
    assert "── past" in out and "the past does not change" in out
    assert "── legacy" in out and "the same tokens" in out


def test_an_empty_text_is_bad_input(tiny_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inside", "--prompt", " ", "--model", str(tiny_folder)]) == 2
    assert "The text is empty" in capsys.readouterr().err
