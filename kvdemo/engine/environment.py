"""Describe the software and the hardware that a figure was taken on: without them two figures cannot be compared."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import torch
import transformers

from kvdemo import __version__
from kvdemo.engine import openmp
from kvdemo.models.network import attention

_PACKAGE = Path(__file__).parent
NVIDIA_DRIVER = Path("/proc/driver/nvidia/version")


def describe(
    implementation: str | None = None, device: torch.device | None = None, spread: dict[str, int] | None = None
) -> dict[str, Any]:
    """Build the JSON document's "environment" entry.

    `implementation` is what `LoadedModel.attention` says of the model, `device` where the model is (default: the CPU),
    `spread` the bytes of its weights on each of several devices (`LoadedModel.spread`).
    """
    device = device or torch.device("cpu")
    gpu = torch.cuda.get_device_properties(0) if torch.cuda.is_available() else None
    return {
        "kvdemo": __version__,
        "python": platform.python_version(),
        "torch": str(torch.__version__),  # it is of a class of torch: unpickling it would import torch
        "transformers": transformers.__version__,
        "platform": f"{platform.system()} {platform.machine()}",
        "cpu": cpu_name(),
        "threads": torch.get_num_threads(),
        "openmp": openmp.wait_policy(),
        "gpu": gpu.name if gpu else None,
        "gpu_memory_bytes": gpu.total_memory if gpu else None,
        "cuda": torch.version.cuda,
        "driver": gpu_driver() if gpu else None,
        "attention": implementation,
        **attention.describe(implementation, device),
        "spread": spread,
        "float32_matmul": float32_matmul(device),
        "git_revision": git_revision(),
    }


def float32_matmul(device: torch.device) -> str:
    """State how exactly float32 matrices are multiplied.

    A GPU's tensor cores can do it several times faster on numbers that are cut to 10 bits of mantissa (TF32). Torch
    advises that; it changes the results, so kvdemo leaves the setting alone and states it.
    """
    precision = torch.get_float32_matmul_precision()
    if device.type != "cuda":
        return precision
    return f"{precision} ({'TF32 off' if precision == 'highest' else 'TF32 on'})"


def cpu_name() -> str:
    """Return the processor's name as the system states it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


@cache
def gpu_driver() -> str | None:
    """Return the version of NVIDIA's driver, which torch does not know; None where the system does not say.

    The kernel states it to containers, too; the driver's own tool may be missing there.
    """
    try:
        said = NVIDIA_DRIVER.read_text(encoding="utf-8", errors="replace").partition("\n")[0]
    except OSError:
        said = program_output("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader") or ""
    found = re.search(r"\b\d{3,}\.\d+(\.\d+)?\b", said)
    return found.group() if found else None


@cache
def git_revision(package: Path = _PACKAGE) -> str | None:
    """Return the commit that a package's folder is checked out at, with "-dirty" where a tracked file was changed.

    None for a package that was installed, even into a folder inside of somebody's repository, and where git is
    missing or refuses. Asked once: what runs is what was there at the start.
    """
    if not program_output("git", "-C", str(package), "ls-files", "__init__.py"):  # not a file of that repository
        return None
    return program_output("git", "-C", str(package), "describe", "--always", "--dirty", "--exclude=*")


def program_output(*command: str) -> str | None:
    """Return what a program prints, stripped; None if it is missing, fails, or takes longer than two seconds."""
    # A hook's GIT_DIR would have git speak of another repository; without optional locks it changes nothing.
    own = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        ran = subprocess.run(  # noqa: S603  nothing in it comes from a user
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=2,
            env=own | {"GIT_OPTIONAL_LOCKS": "0"},
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return ran.stdout.strip()
