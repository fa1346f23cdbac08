from collections.abc import Iterator

import pytest
import torch

from kvdemo.models.network import attention

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.fixture(autouse=True)
def torchs_own_setting() -> Iterator[None]:
    before = torch.backends.cuda.cudnn_sdp_enabled()
    yield
    torch.backends.cuda.enable_cudnn_sdp(before)


@pytest.fixture
def hopper(monkeypatch: pytest.MonkeyPatch) -> None:
    """Torch's order on a Hopper GPU, where it decides at the first call that cuDNN comes first."""
    order = [[1, 2, 0, 3, 4]]
    monkeypatch.setattr(attention, "settle_order", lambda _: order.__setitem__(0, [3, 1, 2, 0, 4]))
    monkeypatch.setattr(torch._C, "_get_sdp_priority_order", lambda: order[0])


@pytest.mark.usefixtures("hopper")
@pytest.mark.parametrize(
    ("wanted", "first", "line"),
    [
        (None, "flash", "sdpa; flash first, then memory-efficient, math; cuDNN off, because it builds a plan for"),
        ("0", "flash", "cuDNN off, because it builds a plan for each new length"),
        ("1", "cuDNN", "cuDNN on, and it builds a plan for each new length"),
    ],
)
def test_cudnn_is_off_on_a_gpu_unless_it_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, wanted: str | None, first: str, line: str
) -> None:
    monkeypatch.delenv(attention.SETTING, raising=False)
    if wanted is not None:
        monkeypatch.setenv(attention.SETTING, wanted)
    attention.choose(CUDA)
    told = attention.describe("sdpa", CUDA)
    assert told["attention_kernels"][0] == first
    assert line in told["attention_line"]


def test_a_model_on_the_cpu_changes_no_setting_and_states_no_cudnn() -> None:
    for setting in (True, False):
        torch.backends.cuda.enable_cudnn_sdp(setting)
        attention.choose(CPU)
        assert torch.backends.cuda.cudnn_sdp_enabled() is setting
        told = attention.describe("sdpa", CPU)
        assert told == {"attention_kernels": ["flash", "math"], "attention_line": "sdpa; flash first, then math"}


@pytest.mark.parametrize("implementation", ["eager", "flash_attention_2", None])
def test_no_kernels_are_named_when_torch_does_not_choose_them(implementation: str | None) -> None:
    assert attention.describe(implementation, CUDA) == {"attention_kernels": None, "attention_line": implementation}


def test_every_kernel_that_torch_orders_has_a_name_but_the_overrideable_one() -> None:
    unnamed = {number for number in torch._C._get_sdp_priority_order() if attention.backend_of(number) is None}
    assert unnamed <= {4}
