"""Test models: two tiny random ones made here in milliseconds, and the real one for the end-to-end runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from kvdemo.models.loaded import LoadedModel, Source

from .serving import served

# Seconds are measured in benchmarks, not in tests: a busy machine fails none.
hypothesis.settings.register_profile("kvdemo", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("kvdemo")

CHAT_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
CORPUS = [
    "The quick brown fox jumps over the lazy dog.\n\n\n  What is KV caching?\n\tdef f(x):\n\n    return x * 2\n",
    "Large language models are recent advances in deep learning. She poured coffee. 键值缓存 在 推理 中\n\n\n",
]


#: A test that uses one of these fixtures gets its markers (see pyproject.toml).
FIXTURE_MARKERS = {
    "browser": ("browser",),
    "smollm2": ("model",),
    "real_app": ("model", "slow"),
    "tiny_app": ("slow",),
}
#: So does a test in one of these folders.
FOLDER_MARKERS = {"browser": ("browser",), "remote": ("slow",)}


@pytest.hookimpl(tryfirst=True)  # before pytest looks at `-m`
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test by what it uses: fixtures, a folder, a strategy that compiles."""
    for item in items:
        fixtures = getattr(item, "fixturenames", ())
        names = [name for fixture, markers in FIXTURE_MARKERS.items() if fixture in fixtures for name in markers]
        names += [name for folder, markers in FOLDER_MARKERS.items() if folder in item.path.parts for name in markers]
        parameters = item.callspec.params.values() if hasattr(item, "callspec") else ()
        names += ["slow" for value in parameters if getattr(value, "id", None) == "compiled_cache"]
        for name in dict.fromkeys(names):
            item.add_marker(name)


def byte_level_tokenizer() -> PreTrainedTokenizerFast:
    """A byte-level BPE like GPT-2's and SmolLM2's: any text, merges over runs of newlines and spaces."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        CORPUS * 4,
        trainers.BpeTrainer(
            vocab_size=400,
            special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|im_end|>", clean_up_tokenization_spaces=False
    )


def tiny_llama_network(vocab_size: int, seed: int = 0) -> LlamaForCausalLM:
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=vocab_size,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=2048,
        initializer_range=0.2,  # wide enough for texts that vary; the default makes every logit nearly equal
        bos_token_id=None,
        eos_token_id=2,
    )
    return LlamaForCausalLM(config).eval()


def tiny_gpt2_network(vocab_size: int, seed: int = 0) -> GPT2LMHeadModel:
    torch.manual_seed(seed)
    config = GPT2Config(
        vocab_size=vocab_size,
        n_embd=32,
        n_layer=2,
        n_head=4,
        n_positions=512,
        initializer_range=0.2,
        bos_token_id=None,
        eos_token_id=2,
    )
    return GPT2LMHeadModel(config).eval()


def loaded(name: str, network: torch.nn.Module, tokenizer: PreTrainedTokenizerFast) -> LoadedModel:
    return LoadedModel(name, network, tokenizer, Source("folder", "made in the test", Path()))


@pytest.fixture(scope="session")
def tiny_llama() -> LoadedModel:
    """Grouped-query attention, rotary positions, a chat template."""
    tokenizer = byte_level_tokenizer()
    tokenizer.chat_template = CHAT_TEMPLATE
    return loaded("tiny-llama", tiny_llama_network(len(tokenizer)), tokenizer)


@pytest.fixture(scope="session")
def tiny_gpt2() -> LoadedModel:
    """Multi-head attention, learned positions, no chat template."""
    tokenizer = byte_level_tokenizer()
    return loaded("tiny-gpt2", tiny_gpt2_network(len(tokenizer)), tokenizer)


@pytest.fixture(scope="session", params=["tiny_llama", "tiny_gpt2"])
def tiny_model(request: pytest.FixtureRequest) -> LoadedModel:
    model: LoadedModel = request.getfixturevalue(request.param)
    return model


@pytest.fixture(scope="module")
def quick_limits() -> Iterator[None]:
    """The device measured in a moment: for tests of what is done with the figures, not of the figures."""
    from kvdemo.measure.roofline import device_peaks  # noqa: PLC0415

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(device_peaks, "WARMUP_S", 0.002)
        patch.setattr(device_peaks, "READING_S", 0.001)
        patch.setattr(device_peaks, "BUSY_S", 0.0)
        for name in ("CPU_BUFFER", "MOST_CPU_BUFFER", "LEAST_BUFFER"):
            patch.setattr(device_peaks, name, 2**22)
        yield


@pytest.fixture(scope="session")
def smollm2() -> LoadedModel:
    """The real SmolLM2-135M-Instruct, from wherever it can be had; fetched and converted once."""
    from kvdemo.models.catalog import DEFAULT  # noqa: PLC0415
    from kvdemo.models.loading import load  # noqa: PLC0415

    return load(DEFAULT, device="cpu", dtype="float32")


def save(model: LoadedModel, folder: Path) -> Path:
    """Write a model to a folder that can be loaded like any other."""
    model.network.save_pretrained(folder)
    model.tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_folder(tiny_llama: LoadedModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny Llama as a folder."""
    return save(tiny_llama, tmp_path_factory.mktemp("tiny-llama"))


@pytest.fixture(scope="session")
def tiny_app(tiny_folder: Path) -> Iterator[str]:
    """The address of a running app whose default model is the tiny Llama."""
    with served({"KVDEMO_MODEL": str(tiny_folder), "KVDEMO_DEVICE": "cpu"}) as url:
        yield url


@pytest.fixture(scope="session")
def real_app() -> Iterator[str]:
    """The address of the app as it is shipped, on the real model."""
    with served() as url:
        yield url
