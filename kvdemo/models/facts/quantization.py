"""Check whether quantized weights can be read here: most formats need a package beside transformers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from transformers.quantizers.auto import AutoHfQuantizer

from kvdemo.core.errors import BadInput, in_words


def check(raw: Mapping[str, Any], name: str) -> None:
    """Raise BadInput, with what transformers says is missing, for a config.json whose weights cannot be read here."""
    inner = raw.get("text_config")
    stated = raw.get("quantization_config") or (
        inner.get("quantization_config") if isinstance(inner, Mapping) else None
    )
    if not stated:
        return
    try:
        if AutoHfQuantizer.supports_quant_method(dict(stated)):  # others are read as if they were not quantized
            AutoHfQuantizer.from_config(dict(stated), pre_quantized=True).validate_environment(
                device_map=None, weights_only=True
            )
    except Exception as error:  # each format has its own way to say what it needs
        raise BadInput(
            f"{name} has quantized weights, which cannot be read here ({in_words(error)}): install what is missing, "
            "or choose a model that is not quantized."
        ) from error
