"""From a configuration to what a model's cache and steps cost, without its weights.

How many key-value heads a layer has, how wide they are, and what it keeps instead if it has none, is spelled
differently in every family of models: GPT-2 has no name for it, Falcon three, DeepSeek keeps a latent vector. So it
is not spelled out here. The model is built on the meta device, where tensors have shapes and no numbers, two
positions are run through it, and transformers' own DynamicCache is asked what it holds then. What is said here is
therefore what a race with this model keeps, byte for byte.

Built in a second, for a model of any size. A configuration comes from anybody: see `config_json` for what is checked
before, and `_Patience` for what ends a construction that does not end.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from huggingface_hub import HfApi, constants, hf_hub_download, try_to_load_from_cache
from torch.overrides import TorchFunctionMode
from transformers import CONFIG_MAPPING, AutoModelForCausalLM, DynamicCache, PreTrainedConfig, PreTrainedModel
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_TIME_SERIES_PREDICTION_MAPPING_NAMES,
)

from kvdemo.core import BadInput
from kvdemo.costs import Architecture, LayerCache
from kvdemo.models import cache_layers, catalog, config_json, hub_errors, random_weights
from kvdemo.models.cache_argument import using
from kvdemo.models.deadline import within
from kvdemo.models.folder import check_config, read_json
from kvdemo.models.sources import folders_allowed

_T = TypeVar("_T")
PASTED = "The pasted configuration"
# Types that read a whole text at once. Some fill a table, number by number, as long as the configuration says.
_ENCODERS = {
    *MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    *MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES,
    *MODEL_FOR_TIME_SERIES_PREDICTION_MAPPING_NAMES,
}
_POSITIONS = 2
_PATIENCE_S = 4.0
# The largest models known make 40,000 calls; this many take some five seconds.
_MOST_CALLS = 100_000
# transformers' cache layers whose contents are understood here.
_ATTENTION = {"DynamicLayer", "LinearAttentionAndFullAttentionLayer"}
_SLIDING = {"DynamicSlidingWindowLayer", "LinearAttentionAndSlidingWindowAttentionLayer"}
_STATE = {"LinearAttentionLayer"}
_NOTHING = {"DummyLayer"}
_EXPERTS = ("num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts")
_EXPERTS_A_TOKEN = (
    "num_experts_per_tok",
    "num_experts_per_token",
    "moe_topk",
    "moe_top_k",
    "top_k_experts",
    "moe_k",
)


def of_hub(model: str, *, allow_folders: bool | None = None) -> Architecture:
    """The architecture of any model that `catalog.resolve` knows, from its config.json alone. Raises BadInput.

    Asked in this order: a folder, the Hub's local cache, kvdemo's own table of shapes, the Hub. No weights are
    fetched. `allow_folders` None asks `folders_allowed`.
    """
    name = catalog.resolve(model, folders=folders_allowed() if allow_folders is None else allow_folders)
    if name.shape is not None:
        return of_config(random_weights.config(name.shape), name.id)
    if name.hub_id is None:
        return _read(Path(name.id), catalog.quoted(name.id))
    cached = try_to_load_from_cache(name.hub_id, "config.json")
    if not isinstance(cached, str):
        for shape, hub_id in catalog.SHAPES.items():
            if hub_id == name.hub_id:
                return of_config(random_weights.config(shape), hub_id)
    return _read(Path(cached).parent if isinstance(cached, str) else _fetched(name.hub_id), name.id)


def parse(given: str | Mapping[str, Any], name: str = PASTED) -> Architecture:
    """The architecture of a config.json, as text or already read. `name` begins the messages. Raises BadInput."""
    raw = config_json.read(given, name)
    _check_kind(raw, name)
    config = _attempt(name, lambda: CONFIG_MAPPING[raw["model_type"]].from_dict(config_json.shape_only(raw)))
    return of_config(config, str(raw["model_type"]) if name == PASTED else name)


def of_config(config: PreTrainedConfig, name: str | None = None) -> Architecture:
    """The architecture of a configuration object, a loaded model's for example, which is left as it is.

    Raises BadInput for a model whose cache is none that can be accounted for here.
    """
    name = name or str(config.model_type)
    network, cache = _attempt(name, lambda: _tried(_causal(copy.deepcopy(config), name)))
    text = network.config.get_text_config(decoder=True)
    layers = tuple(_layer(layer, name) for layer in cache.layers)
    heads = int(getattr(text, "num_attention_heads", 0) or 0)
    stated = getattr(text, "num_key_value_heads", None) or getattr(text, "num_kv_heads", None)
    repeats = _repeats(layers, heads, stated)
    attention = _attention(layers, repeats, heads, getattr(text, "kv_lora_rank", None))
    if attention is None:
        raise BadInput(f"{name} keeps no keys and values that grow with the text: choose a model with attention.")
    return Architecture(
        name=name,
        layers=layers,
        heads=heads,
        head_dim=_head_dim(layers, attention, text),
        hidden_size=int(text.hidden_size),
        vocab_size=int(text.vocab_size),
        parameters=sum(weight.numel() for weight in network.parameters()),
        active_parameters=_active(network, text, name),
        context_length=getattr(text, "max_position_embeddings", None),
        attention=attention,
        repeats=repeats,
    )


def _read(folder: Path, name: str) -> Architecture:
    try:
        file = folder.expanduser() / "config.json"
        size = file.stat().st_size
    except (OSError, RuntimeError) as error:  # RuntimeError: the home folder of nobody
        raise BadInput(f"{name} has no config.json that can be read: check its name.") from error
    if size > config_json.MOST_CHARACTERS:
        raise BadInput(f"{name} has a config.json of {size:,} bytes, and one has some thousands: choose another model.")
    return parse(read_json(file, name), name)


def _fetched(hub_id: str) -> Path:
    """The folder of config.json, fetched from the Hub with nothing else. Raises BadInput."""

    def ask() -> str:
        HfApi().model_info(hub_id)  # a download alone tries again and again where there is no network
        return hf_hub_download(hub_id, "config.json")

    try:
        return Path(within(_PATIENCE_S, ask)).parent
    except hub_errors.FAILURES as error:
        raise hub_errors.explained(hub_id, error, Path(constants.HF_HUB_CACHE), "HF_HOME") from error


def _check_kind(raw: Mapping[str, Any], name: str) -> None:
    """Raises BadInput unless the configuration is that of a causal language model, or may hold one as its text part."""
    kind = raw["model_type"]
    if encoders := _ENCODERS & set(_types(raw)):
        raise BadInput(
            f"{name} is of the type {min(encoders)}, which reads a whole text at once: "
            "choose a causal (decoder-only) language model."
        )
    classes = MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.get(kind, ())
    if not classes and isinstance(raw.get("text_config"), Mapping) and kind in CONFIG_MAPPING:
        return  # pictures and text: `_causal` takes the text part, or refuses
    named = raw.get("architectures") or ([classes] if isinstance(classes, str) else list(classes))
    check_config({**raw, "architectures": named}, name)


def _types(raw: Mapping[str, Any]) -> Iterator[str]:
    """The model types that a configuration names, its own and those of its parts."""
    if isinstance(kind := raw.get("model_type"), str):
        yield kind
    for part in raw.values():
        if isinstance(part, Mapping):
            yield from _types(part)


def _causal(config: PreTrainedConfig, name: str) -> PreTrainedConfig:
    """The configuration of a causal language model: the whole, or the text part of a model for more than text."""
    if config.is_encoder_decoder:
        raise BadInput(f"{name} is an encoder-decoder model: choose a causal (decoder-only) language model.")
    for candidate in (config, config.get_text_config(decoder=True)):
        if candidate.model_type in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
            return candidate
    raise BadInput(f"{name} is no causal language model, one that continues text: choose another.")


def _tried(config: PreTrainedConfig) -> tuple[PreTrainedModel, DynamicCache]:
    """The model on the meta device, and its cache after two positions.

    bfloat16 shows which states stay in float32. The number format is set on the finished model: transformers would
    change torch's default for the whole process while it builds, and other threads decode meanwhile.
    """
    config.quantization_config = None
    with torch.device("meta"), _Patience(), torch.inference_mode():
        network = AutoModelForCausalLM.from_config(
            config, dtype=None, attn_implementation="eager", trust_remote_code=False
        )
        network = network.eval().to(torch.bfloat16)
        cache = DynamicCache(config=network.config)
        ids = torch.zeros((1, _POSITIONS), dtype=torch.long)
        network(input_ids=ids, **using(network, cache))
    return network, cache


class _Patience(TorchFunctionMode):
    """Ends a construction that goes on and on: a hostile configuration can ask for millions of small modules."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.calls += 1
        if self.calls > _MOST_CALLS:
            raise _TooLargeError
        return func(*args, **(kwargs or {}))


class _TooLargeError(Exception):
    """More parts than any model has."""


def _attempt(name: str, build: Callable[[], _T]) -> _T:
    """What `build` gives. Whatever a library raises at numbers that make no sense together is a BadInput."""
    try:
        return build()
    except BadInput:
        raise
    except _TooLargeError as error:
        raise BadInput(f"{name} has more parts than can be counted here: check its numbers.") from error
    except Exception as error:  # two hundred families of models raise what they like
        said = (str(error).strip().splitlines() or [type(error).__name__])[0][:160].rstrip(" .:")
        said = said if said.isprintable() else ascii(said)
        raise BadInput(f"{name} is not supported: no model can be tried from its configuration ({said}).") from error


def _layer(held: Any, name: str) -> LayerCache:
    """What one layer of the cache keeps, read off what it holds after two positions. Raises BadInput."""
    kind = type(held).__name__
    if kind in _NOTHING:
        return LayerCache("state")
    if kind not in _ATTENTION | _SLIDING | _STATE:
        raise BadInput(f"{name} is not supported: what its cache keeps ({kind}) grows by no simple formula.")
    states = list(cache_layers.states(held))
    constant = {
        "state_elements": sum(s.numel() for s in states if s.dtype != torch.float32),
        "float32_elements": sum(s.numel() for s in states if s.dtype == torch.float32),
    }
    if kind in _STATE:
        if not states:
            raise BadInput(f"{name} is not supported: it keeps its states outside of transformers' DynamicCache.")
        return LayerCache("state", **constant)
    # transformers keeps window - 1 positions: DynamicSlidingWindowLayer.update
    window = held.sliding_window - 1 if kind in _SLIDING else None
    keys, values = held.keys, held.values
    kept = _POSITIONS if window is None else min(_POSITIONS, window)
    if keys is None or keys.shape[-2] != kept or values.shape[-2] != kept:
        raise BadInput(f"{name} is not supported: its cache does not grow by one position a token.")
    return LayerCache(
        kind="full" if window is None else "sliding",
        kv_heads=keys.shape[1],
        head_dim=keys.shape[-1],
        value_dim=values.shape[-1],
        window=window,
        **constant,
    )


def _repeats(layers: tuple[LayerCache, ...], heads: int, stated: int | None) -> int:
    """How often each key-value head is kept: once, unless every query head has one and the configuration says fewer.

    Falcon's newer models are trained with shared heads, and transformers repeats them before it keeps them.
    """
    kept = {layer.kv_heads for layer in layers if layer.per_position}
    return heads // stated if kept == {heads} and stated and heads % stated == 0 else 1


def _attention(layers: tuple[LayerCache, ...], repeats: int, heads: int, latent: int | None) -> str | None:
    """The kind of attention in a word; None where no layer keeps keys."""
    widths = {(layer.kv_heads // repeats, layer.head_dim) for layer in layers if layer.per_position}
    if not widths or not heads:
        return None
    if latent and widths == {(1, latent)}:
        return "latent"
    if {kv_heads for kv_heads, _ in widths} == {heads}:
        return "multi-head"
    return "multi-query" if {kv_heads for kv_heads, _ in widths} == {1} else "grouped-query"


def _head_dim(layers: tuple[LayerCache, ...], attention: str, text: PreTrainedConfig) -> int:
    """The mean width of a query and of a value, which is what an attention product costs."""
    if attention == "latent":  # what is kept is not what is multiplied: keys and values are computed from it
        return int(text.qk_nope_head_dim + text.qk_rope_head_dim + text.v_head_dim) // 2
    first = next(layer for layer in layers if layer.per_position)
    return (first.head_dim + first.value_dim) // 2


def _active(network: PreTrainedModel, text: PreTrainedConfig, name: str) -> int:
    """Parameters read for one token: see `costs.Architecture`."""
    head = network.get_output_embeddings()
    decoder = network.get_decoder()
    if decoder is head:  # ModernBERT calls its vocabulary projection so
        decoder = network.base_model
    parts = [decoder, *([head] if head is not None else [])]
    weights = {id(weight): (path, weight) for part in parts for path, weight in part.named_parameters()}
    tied = {id(weight) for weight in parts[-1].parameters()} if head is not None else set()
    for part in parts:
        for module in part.modules():
            if isinstance(module, torch.nn.Embedding) and id(module.weight) not in tied:
                weights.pop(id(module.weight), None)  # one row of it is looked up
    routed = sum(weight.numel() for path, weight in weights.values() if "experts" in path.split("."))
    others = sum(weight.numel() for path, weight in weights.values()) - routed
    if not routed:
        return others
    there, chosen = _stated(text, _EXPERTS), _stated(text, _EXPERTS_A_TOKEN)
    if there is None or chosen is None or chosen > there:
        raise BadInput(f"{name} is not supported: its configuration does not say how many experts a token is sent to.")
    return others + routed * chosen // there


def _stated(text: PreTrainedConfig, names: tuple[str, ...]) -> int | None:
    """The first of some whole numbers that the configuration states, above 0."""
    places = (text, getattr(text, "ffn_config", None))
    values = (getattr(place, name, None) for place in places for name in names)
    return next((value for value in values if isinstance(value, int) and value > 0), None)
