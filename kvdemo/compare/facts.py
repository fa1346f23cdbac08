"""List the facts of a run that two documents are compared by."""

from __future__ import annotations

from typing import NamedTuple

from kvdemo.core.settings.measure import stated


class Fact(NamedTuple):
    """Something that both files state; `work` if a difference in it makes the times those of different work."""

    name: str
    section: str
    key: str
    work: bool = False


FACTS = (
    Fact("model", "model", "id", work=True),
    Fact("model revision", "model", "revision", work=True),
    Fact("prompt", "prompt", "tokens", work=True),
    *(Fact(setting.called, "settings", key, setting.work) for key, setting in stated().items()),
    Fact("dtype", "model", "dtype"),
    Fact("device", "model", "device"),
    Fact("GPU", "environment", "gpu"),
    Fact("CPU", "environment", "cpu"),
    Fact("thread count", "environment", "threads"),
    Fact("waiting of OpenMP's threads", "environment", "openmp"),
    Fact("attention backend", "environment", "attention"),
    Fact("attention kernels", "environment", "attention_line"),
    Fact("precision of float32 products", "environment", "float32_matmul"),
    Fact("PyTorch version", "environment", "torch"),
    Fact("transformers version", "environment", "transformers"),
    Fact("CUDA version", "environment", "cuda"),
    Fact("driver", "environment", "driver"),
    Fact("Python version", "environment", "python"),
    Fact("platform", "environment", "platform"),
    Fact("kvdemo version", "environment", "kvdemo"),
    Fact("git revision", "environment", "git_revision"),
)
