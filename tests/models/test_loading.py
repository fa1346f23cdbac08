import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from kvdemo.models import loading, memory
from kvdemo.models.errors import out_of_memory
from kvdemo.models.sources import find
from tests.models.saved import refusal, save_llama
from tests.tiny_models import tiny_llama_network


@pytest.fixture
def llama(tmp_path) -> Path:
    return save_llama(tmp_path / "llama")


def said(folder: Path, **options) -> str:
    return refusal(lambda: loading.load(str(folder), **options))


def test_a_folder_is_loaded_ready_to_decode(llama):
    seen = []
    model = loading.load(str(llama), device="cpu", progress=seen.append)
    assert (model.id, model.source.kind, model.source.revision) == (str(llama), "folder", None)
    assert (model.dtype, model.device.type) == (torch.float32, "cpu")
    assert not model.network.training
    assert not any(p.requires_grad for p in model.network.parameters())
    assert [p.text for p in seen] == [f"Loading {llama} into memory"]
    ids = torch.tensor([model.tokenizer.encode("What is KV caching?")])
    with torch.inference_mode():
        expected = AutoModelForCausalLM.from_pretrained(llama)(ids).logits
        assert torch.equal(model.network(ids).logits, expected)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_the_number_format_is_the_one_asked_for(llama, dtype):
    assert loading.load(str(llama), device="cpu", dtype=dtype).dtype == getattr(torch, dtype)


def test_unavailable_devices_and_formats_are_refused_before_anything_is_opened(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert "no CUDA device" in said(tmp_path, device="cuda")
    assert "'tpu'" in said(tmp_path, device="tpu")
    assert "'int4'" in said(tmp_path, dtype="int4")


@pytest.mark.parametrize(("units", "expected"), [(True, torch.bfloat16), (False, torch.float16)])
def test_on_a_gpu_auto_is_the_16_bit_format_that_it_has_units_for(monkeypatch, units, expected):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: units and not including_emulation)
    assert loading.choose("auto", "auto") == (torch.device("cuda"), expected)
    assert loading.choose("cuda", "float32") == (torch.device("cuda"), torch.float32)
    assert loading.choose("cpu", "auto") == (torch.device("cpu"), torch.float32)


@pytest.mark.parametrize("content", [b"", b"not safetensors", b"\xff" * 64, None])
def test_damaged_weights_are_reported(llama, content):
    weights = llama / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000] if content is None else content)
    assert "damaged" in said(llama)


def test_missing_weights_are_refused(llama):
    weights = load_file(llama / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, llama / "model.safetensors", metadata={"format": "pt"})
    assert "lacks 1 of its weights (model.layers.1.mlp.up_proj.weight first)" in said(llama)


@pytest.mark.parametrize("change", [{"hidden_size": 128}, {"hidden_size": "many"}, {"num_attention_heads": 0}])
def test_a_configuration_that_does_not_fit_the_weights_is_reported(llama, change):
    file = llama / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    assert "cannot be loaded" in said(llama)


@pytest.mark.parametrize("content", ["{}", "{", '{"model": 7}'])
def test_a_damaged_tokenizer_is_reported(llama, content):
    (llama / "tokenizer.json").write_text(content)
    assert "tokenizer" in said(llama)


def test_the_chat_template_of_a_processor_is_read(llama):
    template = "{% for m in messages %}USER: {{ m['content'][0]['text'] }} ASSISTANT:{% endfor %}"
    (llama / "chat_template.json").write_text(json.dumps({"chat_template": template}))
    model = loading.load(str(llama), device="cpu")
    assert model.prompt("hello", chat=True).text == "USER: hello ASSISTANT:"


@pytest.mark.parametrize("content", ["{", "[]"])
def test_a_damaged_chat_template_of_a_processor_is_reported(llama, content):
    (llama / "chat_template.json").write_text(content)
    assert "chat_template.json is not" in said(llama)


@pytest.mark.parametrize("content", ["{}", '{"chat_template": 3}'])
def test_a_file_of_a_processor_without_a_template_is_none(llama, content):
    (llama / "chat_template.json").write_text(content)
    assert not loading.load(str(llama), device="cpu").has_chat_template


def test_code_beside_a_known_model_is_not_run(llama):
    file = llama / "config.json"
    auto_map = {"AutoModelForCausalLM": "evil.Model", "AutoConfig": "evil.Config"}
    file.write_text(json.dumps(json.loads(file.read_text()) | {"auto_map": auto_map}))
    (llama / "evil.py").write_text("raise SystemExit('was run')")
    assert type(loading.load(str(llama)).network).__name__ == "LlamaForCausalLM"


@pytest.mark.parametrize("typed", ["", "two words", "../..", "/", "x" * 1_000_000, "/nul\0byte", "~nobody-here/x", "."])
def test_odd_names_are_refused_in_a_sentence(typed):
    said(typed)


def test_folders_are_refused_when_they_are_not_allowed(llama, monkeypatch):
    monkeypatch.setenv("SPACE_ID", "someone/space")
    assert "Folders of this server" in said(llama)
    assert loading.load(str(llama), allow_folders=True).id == str(llama)
    monkeypatch.setenv("KVDEMO_ALLOW_FOLDERS", "1")
    assert loading.load(str(llama)).id == str(llama)
    monkeypatch.delenv("SPACE_ID")
    monkeypatch.setenv("KVDEMO_ALLOW_FOLDERS", "0")
    assert "Folders of this server" in said(llama)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:119] err == 0. DefaultCPUAllocator: can't allocate memory: you tried"
        ),
        MemoryError(),
    ],
)
def test_too_little_memory_is_reported_as_such(llama, monkeypatch, error):
    def refuse(*_, **__):
        raise error

    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", refuse)
    assert "does not fit into memory" in said(llama)


def test_the_cpu_allocators_out_of_memory_error_is_recognised():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert out_of_memory(caught.value)
    assert not out_of_memory(RuntimeError("shapes do not match"))
    assert not out_of_memory(ValueError("out of memory"))


def test_weights_larger_than_main_memory_are_refused_before_loading(llama, monkeypatch):
    numbers = memory.parameters(llama / "model.safetensors")
    assert numbers == sum(p.numel() for p in AutoModelForCausalLM.from_pretrained(llama).parameters())
    monkeypatch.setattr(memory, "main_memory", lambda: numbers * 4 - 1)
    assert "choose a smaller model" in said(llama, device="cpu", dtype="float32")
    loading.load(str(llama), device="cpu", dtype="bfloat16")


def test_a_container_has_less_memory_than_its_computer(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "CONTAINER_LIMIT", tmp_path / "memory.max")
    installed = memory.main_memory()
    assert installed is None or installed > 2**28
    (tmp_path / "memory.max").write_text("max\n")
    assert memory.main_memory() == installed
    (tmp_path / "memory.max").write_text("4096\n")
    assert memory.main_memory() == (installed and 4096)


def test_an_error_of_the_tokenizers_library_is_reported(llama, monkeypatch):
    def refuse(*_, **__):
        raise Exception("data did not match any variant")

    monkeypatch.setattr(AutoTokenizer, "from_pretrained", refuse)
    assert "has a tokenizer that cannot be read (data did not match any variant)" in said(llama)


def test_a_vocabulary_of_a_single_token_is_refused(tmp_path):
    """A runner-up, a second beam or another draft would not exist, so each strategy would fail in its own way."""
    folder, two = (save_llama(tmp_path / str(rows)) for rows in (1, 2))
    for rows, name in ((1, folder), (2, two)):
        tiny_llama_network(rows, eos_token_id=None).save_pretrained(name)
    sentence = f"{folder} has a vocabulary of a single token, so it can write one text only: choose another model."
    assert said(folder, device="cpu").startswith(sentence)
    source = find.find(str(folder), print, allow_folders=True)
    assert refusal(lambda: loading.read_without_weights(str(folder), source)).startswith(sentence)
    assert loading.load(str(two), device="cpu").rows == 2
