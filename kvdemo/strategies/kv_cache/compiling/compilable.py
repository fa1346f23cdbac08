"""Tell whether a model's decoding step can be compiled on this machine, and if not, why."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sysconfig
from pathlib import Path
from typing import Any

from transformers.cache_utils import get_layer_types_and_kwargs

from kvdemo.models.facts import rope
from kvdemo.models.loaded import LoadedModel
from kvdemo.strategies.kv_cache.static_cache import StaticCached


def unavailable_reason(model: LoadedModel) -> str | None:
    """Say why a step of this model cannot be compiled here; None if it can."""
    if os.environ.get("SPACES_ZERO_GPU"):
        return "ZeroGPU lends a GPU to each request anew, and does not support torch.compile."
    if any(kind["rope_type"] in ("longrope", "dynamic") for kind in rope.rope_parameters(model.config)):
        return "its rotary factors change with the length of the text, which cannot be compiled: use DynamicCache."
    if set(get_layer_types_and_kwargs(model.config)[0]) != {"full_attention"}:
        return "layers with sliding windows or states are compiled anew at each position: use StaticCache."
    if model.spread:
        return "the model is spread over several devices, and a step is compiled for one: use StaticCache."
    if not getattr(model.network, "_can_compile_fullgraph", False):
        return "transformers marks this model's code as one that cannot be compiled as a whole: use StaticCache."
    return _missing_tool(model.device.type) or StaticCached().unavailable_reason(model)  # it runs the same passes


def _missing_tool(device: str) -> str | None:
    headers = Path(sysconfig.get_paths()["include"], "Python.h")
    if device not in ("cpu", "cuda"):
        return f"it compiles for CPUs and CUDA GPUs, and the model is on {device}."
    if device == "cuda" and importlib.util.find_spec("triton") is None:
        return "torch.compile needs the package triton on CUDA: install it."
    compiler: Any = os.environ.get("CXX" if device == "cpu" else "CC")
    names = [compiler] if compiler else ["g++", "clang++"] if device == "cpu" else ["gcc", "clang"]
    if not any(map(shutil.which, names)):
        return f"torch.compile needs a compiler, and {' and '.join(names)} cannot be found: install one."
    if not headers.exists():
        return f"torch.compile needs Python's headers, and there is no {headers}: install them (python3-dev)."
    return None
