"""The weights shown are those of the layer and head that were asked for, and are bounded."""

from __future__ import annotations

import pytest
import torch

from kvdemo.inside.panels.attention import MOST_POSITIONS
from kvdemo.models.loaded import LoadedModel
from tests.inside.passes import run
from tests.inside.shown import shown
from tests.inside.tiny_models import model, network
from tests.models.tiny_configs import TINY

TEXT = "The quick brown fox jumps over"


@pytest.mark.parametrize("name", TINY)
def test_every_model_shows_attention_weights_or_says_why_not(name: str) -> None:
    panel = shown(model(name), "attention", layer=1, head=2, prompt=TEXT, continuation=[5])
    if "cannot" in panel:
        assert "Layer 1 of" in panel["cannot"]
        assert panel["cannot"].endswith(".")
        return
    ids = model(name).encode_text(TEXT, special=True)
    with torch.inference_mode():
        out = network(name, "eager")(input_ids=torch.tensor([ids]), output_attentions=True)
    layers = model(name).config.num_hidden_layers
    expected = out.attentions[1 if len(out.attentions) == layers else 0][0, 2]
    assert [len(row) for row in panel["rows"]] == list(range(1, len(ids) + 1))
    for query, row in enumerate(panel["rows"]):
        assert row == pytest.approx(expected[query, : query + 1].tolist(), abs=1e-4)
    assert (panel["layers"], panel["heads"]) == (layers, 4)


def test_every_token_except_the_last_has_a_row_of_weights(tiny_llama: LoadedModel) -> None:
    alone = shown(tiny_llama, "attention", prompt=TEXT, continuation=[5])["rows"]
    longer = shown(tiny_llama, "attention", prompt=TEXT, continuation="5,6,7")["rows"]
    assert len(longer) == len(alone) + 2
    for before, after in zip(alone, longer[: len(alone)], strict=True):
        assert after == pytest.approx(before, abs=2e-4)


def test_without_tokens_after_the_text_the_weights_are_those_of_the_steps(tiny_llama: LoadedModel) -> None:
    steps = shown(tiny_llama, "steps", prompt=TEXT, max_new_tokens=6)
    written = steps["tokens"][steps["prompt_tokens"] :]
    alone = shown(tiny_llama, "attention", prompt=TEXT, max_new_tokens=6)
    assert alone == shown(tiny_llama, "attention", prompt=TEXT, continuation=written)
    assert len(alone["rows"]) == steps["steps"][-1]["length"]


def test_tokens_decoded_for_the_steps_are_reused(tiny_llama: LoadedModel) -> None:
    document, passes = run(tiny_llama, "steps,attention", prompt=TEXT, max_new_tokens=6)
    assert passes == run(tiny_llama, "steps", prompt=TEXT, max_new_tokens=6)[1] + 1
    assert document["panels"]["attention"] == shown(tiny_llama, "attention", prompt=TEXT, max_new_tokens=6)


@pytest.mark.parametrize(("asked", "says"), [({"layer": 2}, "choose layer 1 or lower"), ({"head": 4}, "choose head 3")])
def test_a_missing_layer_or_head_is_named(tiny_llama: LoadedModel, asked: dict[str, int], says: str) -> None:
    assert says in shown(tiny_llama, "attention", **asked)["cannot"]


def test_a_text_that_is_too_long_is_refused_with_the_largest_length(tiny_llama: LoadedModel) -> None:
    text = "The quick brown fox jumps over the lazy dog.\n" * 100
    assert f"at most {MOST_POSITIONS}:" in shown(tiny_llama, "attention", prompt=text)["cannot"]
