"""Start the app as on ZeroGPU, on a machine without a GPU: `python -m tests.server.zerogpu_space`.

`spaces`, its emulation of CUDA before a GPU is lent, its packing of the weights and its worker are the real ones. What
the worker then asks of CUDA itself is answered here, in main memory: a build of torch for GPUs, starting the GPU, and
moving the weights onto it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import torch


def forked_too_late() -> bool:
    """Whether CUDA was started before; by name, as `spaces` asks for it in another process."""
    return False


if torch.version.cuda is None:
    torch.version.cuda, torch._C._cuda_init, torch.cuda._is_in_bad_fork = "13.0", None, forked_too_late

import spaces  # noqa: E402, F401 - it patches torch
from spaces.zero import torch as device  # noqa: E402
from spaces.zero.torch import patching, static  # noqa: E402


def start(uuid: str) -> None:
    """Be the GPU: torch sees one, by the name that `spaces` gave it."""
    assert uuid == "GPU-in-the-test"
    torch.cuda.is_available = lambda: True
    torch.cuda.current_device = lambda: 0
    torch.cuda.get_device_properties = lambda *_: static.CUDA_DEVICE_PROPERTIES


def move(callback: Callable[[int], object] | None = None) -> None:
    """Read the weights that `spaces` has packed, in the order of its file."""
    for pack in patching.tensor_packs:
        written, place = Path(pack.path()).read_bytes(), 0
        for like, size, room in itertools.chain(*pack.batches, pack.big_tensors):
            numbers = torch.frombuffer(bytearray(written[place : place + size]), dtype=torch.uint8).untyped_storage()
            tensor = torch.tensor([], dtype=like.dtype).set_(numbers, 0, like.shape, like.stride())
            for fake in pack.fakes[like]:
                fake.data = tensor
            place += room
            if callback:
                callback(size)


device.init, device.move = start, move

from kvdemo.app import main  # noqa: E402

if __name__ == "__main__":
    main([])
