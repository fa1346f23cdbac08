from pathlib import Path

import gguf
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM

from kvdemo.models.sources import gguf_file
from tests.models.saved import small_llama, small_tokenizer, write_gguf


def convert(tmp_path: Path, **options) -> Path:
    write_gguf(tmp_path / "m.gguf", small_llama(300), **options)
    folder = tmp_path / "converted"
    folder.mkdir()
    gguf_file.convert(tmp_path / "m.gguf", folder, lambda _: None)
    return folder


@pytest.fixture(scope="module")
def converted(tmp_path_factory) -> Path:
    return convert(tmp_path_factory.mktemp("gguf"))


def test_unquantized_weights_survive_bit_for_bit_and_compute_the_same(converted):
    before, after = small_llama(300), LlamaForCausalLM.from_pretrained(converted).eval()
    assert all(torch.equal(after.state_dict()[name], weight) for name, weight in before.state_dict().items())
    ids = torch.tensor([[5, 60, 290, 7]])
    with torch.inference_mode():
        assert torch.equal(before(ids).logits, after(ids).logits)


@pytest.mark.parametrize("kind", [gguf.GGMLQuantizationType.Q4_1, gguf.GGMLQuantizationType.Q8_0])
def test_quantized_weights_are_those_that_transformers_reads(tmp_path, kind):
    ours = load_file(convert(tmp_path, kind=kind) / "model.safetensors")
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file="m.gguf", dtype=torch.float32).state_dict()
    assert set(theirs) - set(ours) == {"lm_head.weight"}  # tied to the embedding, not stored twice
    assert all(torch.equal(theirs[name], weight) for name, weight in ours.items())
    assert not torch.equal(
        ours["model.layers.0.self_attn.q_proj.weight"], small_llama(300).model.layers[0].self_attn.q_proj.weight
    )


def test_the_configuration_is_that_of_the_converted_model(converted):
    before, after = small_llama(300).config, LlamaForCausalLM.from_pretrained(converted).config
    for name in ("hidden_size", "head_dim", "num_key_value_heads", "max_position_embeddings", "rope_parameters"):
        assert getattr(after, name) == getattr(before, name)
    assert after.rms_norm_eps == pytest.approx(before.rms_norm_eps)
    assert after.tie_word_embeddings
    assert not hasattr(after, "quantization_config")


@given(st.text(alphabet=st.one_of(st.sampled_from(" \n0123456789x="), st.characters(codec="utf-8"))))
def test_the_tokenizer_encodes_any_text_as_the_original(converted, text):
    assert loaded_tokenizer(converted).encode(text) == small_tokenizer_once().encode(text)


def test_each_digit_is_a_token_and_spaces_before_it_are_one_token(converted):
    assert loaded_tokenizer(converted).tokenize("x  12") == ["x", "ĠĠ", "1", "2"]


def test_the_tokenizer_has_its_special_tokens_template_and_length_limit(converted):
    tokenizer = loaded_tokenizer(converted)
    assert (tokenizer.bos_token, tokenizer.eos_token, tokenizer.unk_token) == (
        "<|im_start|>",
        "<|im_end|>",
        "<|endoftext|>",
    )
    assert tokenizer.tokenize("a<|im_end|>") == ["a", "<|im_end|>"]
    assert (
        tokenizer.apply_chat_template([{"role": "user", "content": "hi"}], tokenize=False) == "<|im_start|>hi<|im_end|>"
    )
    assert tokenizer.model_max_length == 256


def test_progress_counts_the_tensors_up(tmp_path):
    seen = []
    write_gguf(tmp_path / "m.gguf", small_llama(300))
    gguf_file.convert(tmp_path / "m.gguf", tmp_path, seen.append)
    fractions = [p.fraction for p in seen if p.fraction is not None]
    assert fractions == [i / 20 for i in range(20)]  # 9 a layer, the embedding and the last norm


_read: dict[Path, object] = {}


def loaded_tokenizer(folder: Path):
    if folder not in _read:
        _read[folder] = AutoTokenizer.from_pretrained(folder)
    return _read[folder]


def small_tokenizer_once():
    return _read.setdefault(Path(), small_tokenizer())
