"""Check a config.json from anybody before any library reads it.

A configuration is a few numbers from which a library builds whatever they ask for: a million layers, a list as long
as the vocabulary. So every number in it is checked against bounds far beyond any real model, and whatever names
code, kernels or number formats to be fetched or used is left out. By hand and not by pydantic, because every model
family has keys of its own: there is no class to declare, and bounds go by the kind of a key's name.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from kvdemo.core.errors import BadInput
from kvdemo.core.settings.validation import show

#: What messages call a configuration that has no name.
PASTED = "The pasted configuration"
MOST_CHARACTERS = 1_000_000
_DEEPEST = 20
_LARGEST = 2**24  # 10,485,760 positions are the most so far (Llama 4 Scout)
# Llama 3.1 405B has 126 layers. To try one takes some 10 ms of Python, whatever its size, and a plan has 5 s.
_MOST_LAYERS = 400
# What counts layers, however a family spells it; and what counts heads, experts and widths.
_LAYERS = re.compile(r"(.*_)?(layers?|blocks|depth)")
_BOUNDS: dict[str, tuple[int, int]] = {
    **dict.fromkeys(("num_attention_heads", "n_head", "n_heads", "num_heads"), (1, 4096)),
    **dict.fromkeys(("num_key_value_heads", "num_kv_heads", "n_head_kv", "multi_query_group_num"), (1, 4096)),
    **dict.fromkeys(("hidden_size", "n_embd", "d_model"), (1, 2**20)),
    **dict.fromkeys(("num_experts", "num_local_experts", "n_routed_experts", "num_experts_per_tok"), (0, 65_536)),
    **dict.fromkeys(("num_hidden_layers", "n_layer", "n_layers", "num_layers"), (1, _MOST_LAYERS)),
    "head_dim": (0, 65_536),  # 0: what of a head is turned by its place, in GLM-5-Next
    "vocab_size": (1, _LARGEST),
    "sliding_window": (2, _LARGEST),
    "attention_types": (0, _MOST_LAYERS),  # GPT-Neo: how often a list is repeated
}
# Real numbers that happen to be written without a point, and seeds: nothing is as long as they are large.
_NO_SIZE = re.compile(r".*(theta|base|base_freq|seed|eps|factor)")
# Mamba's step sizes have no upper limit: "time_step_limit": [0.0, Infinity].
_MAY_BE_INFINITE = "time_step_limit"
# transformers' own way to write numbers for which JSON has no word: {"__float__": "Infinity"}.
_TAG = "__float__"
_TAGGED = {"Infinity": math.inf, "-Infinity": -math.inf, "NaN": math.nan}
# Code, kernels and formats that a configuration may ask for, and tables that have nothing to do with shapes.
_LEFT_OUT = {
    "auto_map",
    "quantization_config",
    "compression_config",
    "attn_implementation",
    "_attn_implementation",
    "experts_implementation",
    "_experts_implementation",
    "dtype",
    "torch_dtype",
    "num_labels",
    "id2label",
    "label2id",
}


def read(given: str | Mapping[str, Any], name: str) -> dict[str, Any]:
    """Read the configuration in a text, or one already read, and check that nothing in it is out of bounds.

    `name` is what messages call it, at the start of a sentence. Raises BadInput.
    """
    content = _untagged(_decoded(given, name) if isinstance(given, str) else given)
    if not isinstance(content, Mapping):
        raise BadInput(f"{name} is no JSON object: paste all of a config.json, from {{ to }}.")
    checked = {str(key): value for key, value in content.items()}
    _check(checked, name, "", 0)
    _check_labels(checked, name)
    return checked


def shape_only(config: Mapping[str, Any]) -> dict[str, Any]:
    """Remove what is no part of a model's shape from a configuration and those nested in it."""
    return {
        key: shape_only(value) if isinstance(value, Mapping) else value
        for key, value in config.items()
        if key not in _LEFT_OUT
    }


def refuse_long(text: str, name: str = PASTED) -> None:
    """Raise BadInput for a text that is too long for a configuration; nothing is read for that."""
    if len(text) > MOST_CHARACTERS:
        raise BadInput(
            f"{name} has {len(text):,} characters, and a config.json has some thousands: paste that file alone."
        )


def _decoded(text: str, name: str) -> Any:
    refuse_long(text, name)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        where = f" (line {error.lineno})" if isinstance(error, json.JSONDecodeError) else ""
        raise BadInput(f"{name} is not valid JSON{where}: paste all of a config.json, from {{ to }}.") from None


def _untagged(value: Any, depth: int = 0) -> Any:
    """Replace numbers that transformers wrote as objects by the numbers. What is nested too deep is left as it is."""
    if depth > _DEEPEST:
        return value
    if isinstance(value, Mapping):
        if len(value) == 1 and isinstance(tag := value.get(_TAG), str) and tag in _TAGGED:
            return _TAGGED[tag]
        return {key: _untagged(entry, depth + 1) for key, entry in value.items()}
    return [_untagged(entry, depth + 1) for entry in value] if isinstance(value, list | tuple) else value


def _check(value: Any, name: str, key: str, depth: int) -> None:
    """Raise BadInput for a value that no config.json of a language model holds. `key` is the field that it is in."""
    if depth > _DEEPEST:
        raise BadInput(f"{name} is nested more than {_DEEPEST} deep, as no config.json is: paste another.")
    if isinstance(value, Mapping):
        for inner, entry in _fields(value):
            _check(entry, name, inner, depth + 1)
    elif isinstance(value, list | tuple):
        for entry in value:
            _check(entry, name, key, depth + 1)
    elif isinstance(value, float):
        _check_float(value, name, key)
    elif isinstance(value, int) and not isinstance(value, bool):
        _check_int(value, name, key)
    elif key in _BOUNDS and key != "attention_types" and value is not None:
        raise BadInput(f"{name} has {show(value)} for {show(key)}: that must be a whole number.")
    elif not isinstance(value, str | bool | None):
        raise BadInput(f"{name} has a {type(value).__name__} for {show(key)}, which JSON does not know.")


def _fields(config: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """List the fields of a configuration, less a window of 0 that is not used: so a Qwen2-MoE without one is saved."""
    unused = config.get("sliding_window") == 0 and config.get("use_sliding_window") is False
    return ((str(key), value) for key, value in config.items() if not (unused and key == "sliding_window"))


def _check_float(value: float, name: str, key: str) -> None:
    if key in _BOUNDS and not value.is_integer():
        raise BadInput(f"{name} has {value} for {show(key)}: that must be a whole number.")
    if math.isnan(value) or (math.isinf(value) and key != _MAY_BE_INFINITE):
        raise BadInput(f"{name} has {value} for {show(key)}: that must be a finite number.")
    if key in _BOUNDS:
        _check_int(int(value), name, key)


def _check_int(value: int, name: str, key: str) -> None:
    if _NO_SIZE.fullmatch(key):
        return
    bounds = (-_MOST_LAYERS, _MOST_LAYERS) if _LAYERS.fullmatch(key) else (-_LARGEST, _LARGEST)
    low, high = _BOUNDS.get(key, bounds)
    if not low <= value <= high:
        raise BadInput(
            f"{name} has {show(value) if abs(value) < 2**63 else 'a huge number'} for {show(key)}: "
            f"that must be from {low:,} to {high:,}."
        )


def _check_labels(config: Mapping[str, Any], name: str) -> None:
    """Raise BadInput unless the type and the class names are words: they are quoted in sentences."""
    listed = config.get("architectures") or []
    for word in (config.get("model_type"), *(listed if isinstance(listed, list) else [listed])):
        if not isinstance(word, str) or not re.fullmatch(r"[\w.+-]{1,80}", word, re.ASCII):
            raise BadInput(
                f"{name} does not say what it describes (model_type {show(config.get('model_type'))}): "
                "paste the config.json of a model for transformers."
            )
