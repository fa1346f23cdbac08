"""Choose the device and the number format that a model runs in, and wait until a device has done its work."""

from __future__ import annotations

import importlib.util

import torch

from kvdemo.core.errors import BadInput
from kvdemo.models.names.catalog import quoted

#: Over all GPUs of the machine, then main memory, then the disk, by transformers' own `device_map="auto"`.
SPREAD = "spread"
DEVICES = ("auto", "cpu", "cuda", "mps", SPREAD)
DTYPES = {"auto": None, "float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def choose(device: str, dtype: str) -> tuple[torch.device, torch.dtype]:
    """Choose the device and the number format that were asked for. Raises BadInput for what this machine lacks.

    A device "auto" is the CUDA GPU where there is one, else Apple's (mps), else the CPU; SPREAD begins with the same.
    A dtype "auto" is the one that `_fitting` says.
    """
    if device not in DEVICES:
        raise BadInput(f"There is no device {quoted(device)}: choose one of {', '.join(DEVICES)}.")
    if dtype not in DTYPES:
        raise BadInput(f"There is no number format {quoted(dtype)}: choose one of {', '.join(DTYPES)}.")
    if device == SPREAD and importlib.util.find_spec("accelerate") is None:
        raise BadInput(
            "A model is spread over several devices by the package accelerate, which is missing here: install it "
            "(pip install accelerate), or choose another device."
        )
    here = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if not here.get(device, True):
        what = {"cuda": "CUDA device", "mps": "Apple GPU (mps)"}[device]
        raise BadInput(f"This PyTorch sees no {what}: choose the device cpu or auto.")
    kind = next(name for name, there in here.items() if there and device in ("auto", SPREAD, name))
    return torch.device(kind), DTYPES[dtype] or _fitting(kind)


def _fitting(kind: str) -> torch.dtype:
    """Choose the number format that models are mostly run in on this kind of device."""
    match kind:
        case "cuda":  # GPUs before Ampere have no units for bfloat16
            supported = torch.cuda.is_bf16_supported(including_emulation=False)
            return torch.bfloat16 if supported else torch.float16
        case "mps":  # the M1 has no units for bfloat16, and macOS before 14 refuses it; every Apple GPU has float16
            return torch.float16
        case _:
            return torch.float32


def synchronize(*devices: torch.device) -> None:
    """Wait until devices have done all work given to them, so that a clock can be read."""
    for device in devices:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        elif device.type == "mps":
            torch.mps.synchronize()


def widest(device: torch.device) -> torch.dtype:
    """Choose the floating-point format with the most digits that a device has: Apple GPUs have no float64."""
    return torch.float32 if device.type == "mps" else torch.float64


def dtype_name(dtype: torch.dtype) -> str:
    """Return a number format as people write it: float32."""
    return str(dtype).removeprefix("torch.")
