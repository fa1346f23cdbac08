"""What a plan counts of the projection onto the vocabulary, and what is loaded."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import CONFIG_MAPPING, PreTrainedModel

from kvdemo.models import loading
from kvdemo.models.facts import architecture, tying
from kvdemo.models.facts.text_part import MULTIMODAL
from tests.models.wrappers import save, wrapper
from tests.tiny_models import tiny_llama_network

KEY = "tie_word_embeddings"
# Types whose whole is tied by default since transformers 5, and whose text part is not.
BY_DEFAULT = ("mistral3", "internvl")


def untied(kind: str) -> PreTrainedModel:
    """A whole model with a projection of its own, which is no embedding."""
    whole = wrapper(kind, **{KEY: False})
    assert whole.get_output_embeddings().weight is not whole.get_input_embeddings().weight
    return whole


def say(folder: Path, top: bool | None, text: bool | None) -> str:
    """Write into a config.json what it says of tied weights, at the top and in the text part; None: nothing."""
    file = folder / "config.json"
    raw = json.loads(file.read_text())
    for part, said in ((raw, top), (raw["text_config"], text)):
        part.pop(KEY, None)
        if said is not None:
            part[KEY] = said
    file.write_text(json.dumps(raw))
    return file.read_text()


def text_numbers(network: PreTrainedModel) -> int:
    """Count the numbers of a network's text part, a tied weight once."""
    parts = (network.get_decoder(), network.get_output_embeddings())
    return sum({id(weight): weight.numel() for part in parts for weight in part.parameters()}.values())


@pytest.mark.parametrize(("top", "text"), [(None, None), (None, False), (False, None), (False, False)])
@pytest.mark.parametrize("kind", BY_DEFAULT)
def test_a_head_that_no_key_ties_is_counted_as_it_is_loaded(
    kind: str, top: bool | None, text: bool | None, tmp_path: Path
) -> None:
    whole = untied(kind)
    config = say(save(tmp_path, whole), top, text)
    held = loading.load(str(tmp_path), device="cpu", dtype="float32").network
    assert torch.equal(held.get_output_embeddings().weight, whole.get_output_embeddings().weight)
    assert architecture.parse(config).parameters == text_numbers(held)


@pytest.mark.parametrize("kind", ["mistral3", "gemma3", "qwen3_vl", "smolvlm"])
def test_a_head_in_the_files_is_counted_whatever_the_configuration_says(kind: str, tmp_path: Path) -> None:
    """transformers reads both weights and ties them where they are equal: its warning says so."""
    say(save(tmp_path, untied(kind)), True, True)
    held = loading.load(str(tmp_path), device="cpu", dtype="float32").network
    assert architecture.from_hub(str(tmp_path), allow_folders=True).parameters == text_numbers(held)
    assert architecture.from_config(held.config).parameters == text_numbers(held), "of the loaded model"


def test_a_head_in_the_files_that_is_equal_to_the_embedding_is_no_other_weight(tmp_path: Path) -> None:
    network = tiny_llama_network(300, tie_word_embeddings=True)
    save(tmp_path, network)
    weights = load_file(tmp_path / "model.safetensors")
    weights["lm_head.weight"] = weights["model.embed_tokens.weight"].clone()
    for changed, numbers in ((0, 0), (1, weights["lm_head.weight"].numel())):
        weights["lm_head.weight"][-1, -1] += changed
        save_file(weights, tmp_path / "model.safetensors", {"format": "pt"})
        held = loading.load(str(tmp_path), device="cpu", dtype="float32").network
        plan = architecture.from_hub(str(tmp_path), allow_folders=True)
        assert plan.parameters == text_numbers(held) == text_numbers(network) + numbers


@pytest.mark.parametrize("kind", BY_DEFAULT)
def test_a_head_that_a_key_ties_is_counted_as_the_embedding(kind: str, tmp_path: Path) -> None:
    whole = wrapper(kind, **{KEY: True})
    config = say(save(tmp_path, whole), True, None)
    held = loading.load(str(tmp_path), device="cpu", dtype="float32").network
    assert architecture.parse(config).parameters == text_numbers(held) == text_numbers(whole)


def test_no_type_is_tied_by_the_default_of_its_whole_against_its_text_part() -> None:
    """Every type that transformers has: one that is new must not be counted by the default alone either."""
    tied = []
    for kind in MULTIMODAL:
        config = CONFIG_MAPPING[kind]()
        tying.settle(config, {"model_type": kind})
        if getattr(config.get_text_config(decoder=True), KEY, None) is False and getattr(config, KEY, False):
            tied.append(kind)
    assert not tied


@pytest.mark.parametrize(
    ("raw", "tied"),
    [
        ({"model_type": "bloom"}, True),
        ({"model_type": "bloom", KEY: False}, False),
        ({"model_type": "qwen3"}, False),
        ({"model_type": "qwen3", KEY: True}, True),
        ({"model_type": "mistral3", "text_config": {"model_type": "mistral"}}, False),
        ({"model_type": "mistral3", "text_config": {"model_type": "mistral", KEY: True}}, True),
        ({"model_type": "gemma3", "text_config": {}}, True),
        ({"model_type": "lfm2_vl", "tie_embedding": False}, False),
    ],
)
def test_whether_weights_are_tied_is_read_where_it_is_said(raw: dict[str, Any], tied: bool) -> None:
    assert tying.ties(raw) is tied
