import pytest
import torch

from kvdemo.models import device
from tests.models.saved import refusal


@pytest.fixture
def machine(monkeypatch):
    """A machine with the named GPUs."""

    def has(*kinds: str) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: "cuda" in kinds)
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: True)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: "mps" in kinds)

    return has


@pytest.mark.parametrize(
    ("there", "taken", "dtype"),
    [
        (("cuda",), "cuda", torch.bfloat16),
        (("mps",), "mps", torch.float16),
        (("cuda", "mps"), "cuda", torch.bfloat16),
        ((), "cpu", torch.float32),
    ],
)
def test_auto_takes_a_gpu_if_there_is_one(machine, there, taken, dtype):
    machine(*there)
    assert device.choose("auto", "auto") == (torch.device(taken), dtype)
    assert device.choose("cpu", "auto") == (torch.device("cpu"), torch.float32)
    assert device.choose("auto", "float32") == (torch.device(taken), torch.float32)


def test_a_gpu_that_is_not_here_is_refused(machine):
    machine()
    assert "Apple GPU (mps): choose" in refusal(lambda: device.choose("mps", "auto"))
    assert "CUDA device: choose" in refusal(lambda: device.choose("cuda", "auto"))
    assert "auto, cpu, cuda, mps" in refusal(lambda: device.choose("tpu", "auto"))
    machine("mps")
    assert device.choose("mps", "auto") == (torch.device("mps"), torch.float16)
    assert "CUDA device" in refusal(lambda: device.choose("cuda", "auto"))


@pytest.mark.parametrize("kind", ["cuda", "mps", "cpu"])
def test_synchronize_calls_the_function_of_its_device(monkeypatch, kind):
    waited = []
    monkeypatch.setattr(torch.cuda, "synchronize", lambda where: waited.append(f"cuda {where}"))
    monkeypatch.setattr(torch.mps, "synchronize", lambda: waited.append("mps"))
    device.synchronize(torch.device(kind))
    assert waited == {"cuda": ["cuda cuda"], "mps": ["mps"], "cpu": []}[kind]


def test_apple_gpus_have_no_float64():
    assert [device.widest(torch.device(kind)) for kind in ("cuda", "cpu", "mps")] == [
        torch.float64,
        torch.float64,
        torch.float32,
    ]
