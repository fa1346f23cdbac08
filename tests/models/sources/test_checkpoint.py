import importlib.util
import json

import pytest

from kvdemo.models.sources import checkpoint
from tests.models.saved import refusal, save_bert, save_llama


@pytest.fixture
def llama(tmp_path):
    return save_llama(tmp_path / "model")


def configure(path, **changes):
    file = path / "config.json"
    file.write_text(json.dumps({k: v for k, v in (json.loads(file.read_text()) | changes).items() if v is not None}))


def said(path):
    return refusal(lambda: checkpoint.check(path, "M"))


def test_a_saved_causal_model_is_accepted(llama):
    checkpoint.check(llama, "M")


def test_a_missing_folder_and_an_empty_one_are_named(tmp_path):
    assert "no folder that can be read" in said(tmp_path / "nowhere")
    assert "has no config.json" in said(tmp_path)


def test_missing_weights_and_a_missing_tokenizer_are_named(llama):
    (llama / "tokenizer.json").rename(llama / "away")
    assert "has no tokenizer" in said(llama)
    (llama / "model.safetensors").unlink()
    assert "has no model.safetensors" in said(llama)


def test_a_pickle_is_never_opened(llama):
    (llama / "model.safetensors").rename(llama / "pytorch_model.bin")
    assert "pickle" in said(llama)


@pytest.mark.parametrize("content", ["", "{", "[]", "null", "\x00", "[" * 100_000])
def test_a_corrupt_configuration_is_named(llama, content):
    (llama / "config.json").write_text(content)
    assert "config.json" in said(llama)


def test_a_configuration_that_is_not_text_is_named(llama):
    (llama / "config.json").write_bytes(b"\xff\xfe\x00")
    assert "config.json is not valid JSON" in said(llama)


@pytest.mark.parametrize(
    ("settings", "package"),
    [
        ({"quant_method": "gptq", "bits": 4}, "optimum"),
        ({"quant_method": "awq", "bits": 4}, "gptqmodel"),
        ({"quant_method": "bitsandbytes", "load_in_4bit": True}, "bitsandbytes"),
    ],
)
def test_quantized_weights_without_their_package_are_refused_by_the_configuration(llama, settings, package):
    if importlib.util.find_spec(package):
        pytest.skip(f"{package} is installed")
    configure(llama, quantization_config=settings)
    sentence = said(llama)
    assert sentence.startswith("M has quantized weights, which cannot be read here (")
    assert f"pip install {package}" in sentence or f"pip install -U {package}" in sentence
    assert "damaged" not in sentence


@pytest.mark.parametrize("settings", [{"quant_method": "unheard_of"}, {}, None])
def test_a_quantization_that_transformers_passes_over_is_no_obstacle(llama, settings):
    configure(llama, quantization_config=settings)
    checkpoint.check(llama, "M")


def test_a_masked_language_model_is_refused(tmp_path):
    assert "BertForMaskedLM" in said(save_bert(tmp_path / "bert"))


def test_an_encoder_decoder_is_refused_even_if_its_class_could_continue_text(llama):
    configure(llama, model_type="bart", architectures=["BartForCausalLM"], is_encoder_decoder=True)
    assert "encoder-decoder" in said(llama)


def test_the_program_code_of_a_model_is_not_run(llama):
    configure(llama, model_type="homemade", auto_map={"AutoModelForCausalLM": "modeling.Homemade"})
    (llama / "modeling.py").write_text("raise SystemExit('was run')")
    assert "needs program code of its own" in said(llama)


@pytest.mark.parametrize("kind", ["homemade", None, 7, ["llama"], {"a": 1}])
def test_an_unknown_type_is_named(llama, kind):
    configure(llama, model_type=kind)
    assert "does not know" in said(llama)


@pytest.mark.parametrize("classes", [None, [], "LlamaForCausalLM", [{"x": 1}], 7])
def test_odd_lists_of_architectures_are_refused_in_one_sentence(llama, classes):
    configure(llama, architectures=classes)
    assert "choose a causal language model" in said(llama)


def test_missing_shards_and_shards_outside_the_folder_are_refused(llama):
    (llama / "model.safetensors").rename(llama / "model-00001-of-00002.safetensors")
    index = llama / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "model-00001-of-00002.safetensors"}}))
    checkpoint.check(llama, "M")
    for missing in ("model-00002-of-00002.safetensors", "../model/config.json"):
        index.write_text(json.dumps({"weight_map": {"a": "model-00001-of-00002.safetensors", "b": missing}}))
        assert f"{missing} is missing" in said(llama)
    for content in ({}, {"weight_map": []}, {"weight_map": {"a": 1}}):
        index.write_text(json.dumps(content))
        assert "names no files" in said(llama)
