"""`inside` on the command line: differences of hidden states and logits are those of passes made without kvdemo."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from kvdemo.cli import main

PROMPT = "The quick brown fox jumps over the lazy"


@pytest.fixture(autouse=True)
def interrupts_as_before() -> Iterator[None]:
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def panels(tiny_folder: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert main(["inside", "--model", str(tiny_folder), "--device", "cpu", "--prompt", PROMPT, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["kind"], document["status"]) == ("inside", "done")
    panels: dict[str, Any] = document["panels"]
    assert not [name for name, panel in panels.items() if "cannot" in panel]
    return panels


@torch.inference_mode()
def test_the_figures_are_those_of_passes_made_without_kvdemo(panels: dict[str, Any], tiny_folder: Path) -> None:
    network = AutoModelForCausalLM.from_pretrained(tiny_folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(tiny_folder)
    ids, longer = (tokenizer.encode(text, return_tensors="pt") for text in (PROMPT, PROMPT + " dog"))

    before, after = (network(some, output_hidden_states=True).hidden_states for some in (ids, longer))
    assert len(panels["past"]["layers"]) == len(before) == network.config.num_hidden_layers + 1
    for layer, was, now in zip(panels["past"]["layers"], before, after, strict=True):
        difference = float((now[:, : ids.shape[1]] - was).abs().max())
        assert layer["largest_difference"] == pytest.approx(difference, abs=1e-6)
        assert layer["scale"] == pytest.approx(float(was.abs().max()))

    cache = None
    new = ids
    steps = panels["rounding"]["formats"][0]["steps"]
    for step in steps:
        out = network(new, past_key_values=cache, use_cache=True)
        uncached, cache = network(ids, use_cache=False).logits[0, -1], out.past_key_values
        difference = float((out.logits[0, -1] - uncached).abs().max())
        best, second = uncached.topk(2).values.tolist()
        assert step["token"] == int(uncached.argmax()) and step["same"]
        assert step["largest_difference"] == pytest.approx(difference, abs=1e-5)
        assert step["margin"] == pytest.approx(best - second, abs=1e-5)
        new = torch.tensor([[step["token"]]])
        ids = torch.cat([ids, new], 1)


def test_without_json_a_person_can_read_it(tiny_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inside", "--model", str(tiny_folder), "--prompt", PROMPT, "--panels", "past,legacy"]) == 0
    said = capsys.readouterr().out
    assert "── past" in said and "the past does not change" in said
    assert "── legacy" in said and "the same tokens" in said
