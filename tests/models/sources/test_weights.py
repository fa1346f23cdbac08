from collections.abc import Sequence
from pathlib import Path
from threading import Event
from typing import Any

import pytest
import torch
import transformers
from transformers import AutoModelForCausalLM, DynamicCache

from kvdemo.core.settings.race import RaceRequest
from kvdemo.costs import formulas
from kvdemo.models import loading
from kvdemo.models.facts import architecture
from kvdemo.models.loaded import LoadedModel
from kvdemo.models.network.forward import cache_bytes, next_token_logits
from kvdemo.race import session
from kvdemo.strategies.compatibility import movable_keys
from tests.models.saved import refusal, small_tokenizer
from tests.models.wrappers import TEXT, WRAPPERS, save, wrapper

PROMPT = list(range(40, 50))
NEW = 8


def greedy(model: LoadedModel, cache: DynamicCache | None) -> list[int]:
    """The tokens behind PROMPT, on text alone, as the lanes compute them."""
    written: list[int] = []
    new = list(PROMPT)
    with torch.inference_mode():
        while len(written) < NEW:
            written.append(int(next_token_logits(model, new, cache).argmax()))
            new = [written[-1]] if cache is not None else [*PROMPT, *written]
    return written


def generated(network: Any, prompt: Sequence[int] = PROMPT) -> list[int]:
    """What transformers' own generate() writes. Llama 4's whole class fails there; its text part does not."""
    network = getattr(network, "language_model", network)
    ids = torch.tensor([list(prompt)])
    settings = {"max_new_tokens": NEW, "min_new_tokens": NEW, "do_sample": False, "pad_token_id": 0}
    return network.generate(ids, attention_mask=torch.ones_like(ids), **settings)[0, len(prompt) :].tolist()


@pytest.mark.slow
@pytest.mark.parametrize("kind", WRAPPERS)
def test_a_multimodal_model_writes_generates_text(kind: str, tmp_path: Path) -> None:
    whole = wrapper(kind)
    model = loading.load(str(save(tmp_path / kind, whole)), device="cpu", dtype="float32")
    expected = generated(whole)
    assert greedy(model, None) == expected
    cache = DynamicCache(config=model.network.config)
    assert greedy(model, cache) == expected
    plan = architecture.parse((tmp_path / kind / "config.json").read_text())
    assert cache_bytes(cache) == formulas.kv_bytes(plan, len(PROMPT) + NEW - 1, 4)
    assert model.layers == plan.layers
    assert model.config.vocab_size == model.rows == plan.vocab_size == 300


@pytest.mark.slow
@pytest.mark.parametrize("kind", WRAPPERS)
def test_a_multimodal_model_races(kind: str, tmp_path: Path) -> None:
    whole = wrapper(kind)
    model = loading.load(str(save(tmp_path / kind, whole)), device="cpu", dtype="float32")
    form = {"prompt": "It keeps keys", "chat": False, "max_new_tokens": NEW, "ignore_eos": True}
    request = RaceRequest.parse(form | {"strategies": "no_cache,dynamic_cache"})
    raced = session.run(request, model, lambda _: None, Event()).document
    assert [lane["status"] for lane in raced["lanes"]] == ["done", "done"]
    expected = generated(whole, raced["prompt"]["tokens"])
    assert [lane["tokens"] for lane in raced["lanes"]] == [expected, expected]
    assert raced["comparison"]["lanes"][0]["first_divergence"] is None


def test_a_plan_counts_the_parameters_of_the_text_part(tmp_path: Path) -> None:
    for kind in ("qwen3_vl", "gemma3", "llava"):
        whole = wrapper(kind)
        head = whole.get_output_embeddings()
        parts = [whole.get_decoder(), head]
        text = {id(weight): weight.numel() for part in parts for weight in part.parameters()}
        plan = architecture.parse((save(tmp_path / kind, whole) / "config.json").read_text())
        assert plan.parameters == sum(text.values()), kind


def test_the_text_part_saved_alone_can_be_loaded(tmp_path: Path) -> None:
    text = wrapper("gemma3").config.text_config
    torch.manual_seed(0)
    alone = AutoModelForCausalLM.from_config(text).eval()
    assert type(alone).__name__ == "Gemma3ForCausalLM"
    model = loading.load(str(save(tmp_path / "text", alone)), device="cpu", dtype="float32")
    assert greedy(model, DynamicCache(config=model.network.config)) == generated(alone)


@pytest.mark.parametrize(("kind", "beside"), [("Emu3", {}), ("Mllama", {"cross_attention_layers": [1]})])
def test_a_text_part_whose_class_is_listed_under_the_type_of_the_whole_is_planned_and_loaded(
    kind: str, beside: dict[str, Any], tmp_path: Path
) -> None:
    numbers = {key: value for key, value in TEXT.items() if key != "head_dim"} | {"bos_token_id": 1, **beside}
    torch.manual_seed(0)
    alone = getattr(transformers, f"{kind}ForCausalLM")(getattr(transformers, f"{kind}TextConfig")(**numbers)).eval()
    folder = save(tmp_path / "text", alone)
    plan = architecture.parse((folder / "config.json").read_text())
    model = loading.load(str(folder), device="cpu", dtype="float32")
    cache = DynamicCache(config=model.network.config)
    assert greedy(model, cache) == greedy(model, None) == generated(alone)
    assert cache_bytes(cache) == formulas.kv_bytes(plan, len(PROMPT) + NEW - 1, 4)
    assert plan.parameters == alone.num_parameters()


def test_a_model_that_insists_on_a_picture_is_refused_with_that_reason(tmp_path: Path) -> None:
    small = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = {"model_type": "opt", "vocab_size": 300, "hidden_size": 32, "ffn_dim": 32, "num_hidden_layers": 1}
    text |= {"num_attention_heads": 2, "word_embed_proj_dim": 32}
    parts = {"text_config": text, "vision_config": small | {"image_size": 16, "patch_size": 4}, "qformer_config": small}
    blip = transformers.Blip2ForConditionalGeneration(transformers.Blip2Config(**parts))
    folder = save(tmp_path / "blip", blip)
    said = refusal(lambda: loading.load(str(folder)))
    assert "Blip2ForConditionalGeneration does not continue a text alone" in said
    assert "pixel_values" in said


def test_an_encoder_decoder_inside_a_folder_is_refused_before_its_weights_are_read(tmp_path: Path) -> None:
    numbers = {"vocab_size": 300, "d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_ffn_dim": 16}
    numbers |= {"decoder_ffn_dim": 16, "encoder_attention_heads": 2, "decoder_attention_heads": 2}
    bart = transformers.BartForConditionalGeneration(transformers.BartConfig(**numbers))
    bart.save_pretrained(tmp_path / "bart")
    small_tokenizer().save_pretrained(tmp_path / "bart")
    assert "encoder-decoder model" in refusal(lambda: loading.load(str(tmp_path / "bart")))


def test_the_rotary_positions_of_a_text_part_are_found(tmp_path: Path) -> None:
    model = loading.load(str(save(tmp_path / "whole", wrapper("qwen3_vl"))), device="cpu", dtype="float32")
    assert movable_keys.unavailable_reason(model) is None
