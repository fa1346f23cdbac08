"""Choose the kernels that torch may run for attention on a CUDA device, and say which they are.

`scaled_dot_product_attention` has several kernels and takes the first that can do the work. On Hopper and Blackwell
GPUs it tries cuDNN's first, and cuDNN builds a plan for each new length: about 40 ms, in every step of every lane whose
text grows. That is planning, not decoding, and it hides what a cache saves. So cuDNN's kernel is off, unless the
environment variable KVDEMO_CUDNN_ATTENTION is 1.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.attention import SDPBackend

from kvdemo.core.system import environment

SETTING = "KVDEMO_CUDNN_ATTENTION"
_NAMES = {
    SDPBackend.FLASH_ATTENTION: "flash",
    SDPBackend.EFFICIENT_ATTENTION: "memory-efficient",
    SDPBackend.CUDNN_ATTENTION: "cuDNN",
    SDPBackend.MATH: "math",
}
# What torch has for a CPU; the switches of the others are set there, too, and mean nothing.
_ON_CPU = (SDPBackend.FLASH_ATTENTION, SDPBackend.MATH)


def cudnn_wanted() -> bool:
    """Tell whether the user has asked for cuDNN's attention. Raises BadInput."""
    return environment.switch(SETTING)


def choose(device: torch.device) -> None:
    """Switch cuDNN's attention on or off for this process, before a model runs on a CUDA device."""
    if device.type == "cuda":
        torch.backends.cuda.enable_cudnn_sdp(cudnn_wanted())


def kernels(device: torch.device) -> list[str]:
    """List the kernels that are enabled on this device, in the order in which torch tries them."""
    if device.type == "cuda":
        settle_order(device)
    enabled = {
        SDPBackend.FLASH_ATTENTION: torch.backends.cuda.flash_sdp_enabled(),
        SDPBackend.EFFICIENT_ATTENTION: torch.backends.cuda.mem_efficient_sdp_enabled(),
        SDPBackend.CUDNN_ATTENTION: torch.backends.cuda.cudnn_sdp_enabled(),
        SDPBackend.MATH: torch.backends.cuda.math_sdp_enabled(),
    }
    order = [found for number in torch._C._get_sdp_priority_order() if (found := backend_of(number)) is not None]
    here = [backend for backend in order if enabled[backend] and (device.type == "cuda" or backend in _ON_CPU)]
    return [_NAMES[backend] for backend in here]


def describe(implementation: str | None, device: torch.device) -> dict[str, Any]:
    """Build the environment's entries on attention: the kernels in torch's order, and a line for people.

    `implementation` is what transformers runs (sdpa, eager ...). Torch chooses kernels for "sdpa" alone: for any other
    `attention_kernels` is None. The line is None where no implementation is known.
    """
    if implementation != "sdpa":
        return {"attention_kernels": None, "attention_line": implementation}
    names = kernels(device)
    line = f"sdpa; {names[0]} first{', then ' if names[1:] else ''}{', '.join(names[1:])}"
    if device.type == "cuda":
        line += f"; cuDNN {'on, and' if 'cuDNN' in names else 'off, because'} it builds a plan for each new length"
    return {"attention_kernels": names, "attention_line": line}


def backend_of(number: int) -> SDPBackend | None:
    """Look up a kernel by torch's number for it; None for one that has no name here."""
    return next((backend for backend in _NAMES if backend.value == number), None)


def settle_order(device: torch.device) -> None:
    """Have torch decide on its order: it does so at the first call, not at import."""
    tiny = torch.zeros(1, 1, 1, 8, device=device)
    torch._fused_sdp_choice(tiny, tiny, tiny)
