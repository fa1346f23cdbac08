"""Work out from a configuration what a model's cache and steps cost, without its weights.

The text part is built and run on the meta device (`meta_run`), and what its cache keeps is read off the tensors
(`cache_shape`). So these figures are what a race with this model keeps, byte for byte.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import HfApi, constants, hf_hub_download, try_to_load_from_cache
from transformers import CONFIG_MAPPING, PreTrainedConfig, PreTrainedModel

from kvdemo.core.errors import BadInput
from kvdemo.costs.architecture import Architecture, Indexer, Latent, LayerCache
from kvdemo.models.facts import (
    cache_shape,
    config_check,
    config_numbers,
    meta_run,
    published,
    shared_keys,
    step_weights,
    text_part,
    tying,
)
from kvdemo.models.names import catalog, folders
from kvdemo.models.sources import disk_space, random_weights, saved_head
from kvdemo.models.sources.checkpoint import read_json
from kvdemo.models.sources.hub import hub_errors
from kvdemo.models.sources.hub.timeout import call_with_timeout

PATIENCE_S = 4.0
_FLOAT32 = 4
# How many positions an indexer scores by one key, the mean of theirs or a weighted one: Glm5NextTextIndexer,
# Qwen4ExpTextQSAIndexer.
_TOGETHER = ("index_kpool", "indexer_compress_ratio")


def from_hub(model: str, *, allow_folders: bool | None = None, own: bool = True) -> Architecture:
    """Read the architecture of any model that `catalog.resolve` knows, from its config.json alone. Raises BadInput.

    Asked in this order: a folder, the Hub's local cache, kvdemo's own table of shapes, the Hub. No weights are
    fetched. `allow_folders` None asks `folders.allowed`. With `own` off a stranger asks, who learns no more than the
    Hub tells everybody: neither the local cache nor the operator's token is used, and nothing fetched is kept.
    """
    name = catalog.resolve(model, folders=folders.allowed() if allow_folders is None else allow_folders)
    if name.shape is not None:
        return from_config(random_weights.config(name.shape), name.id)
    if name.hub_id is None:
        return replace(_read(Path(name.id), catalog.quoted(name.id)), name=name.id)
    cached = try_to_load_from_cache(name.hub_id, "config.json") if own else None
    if not isinstance(cached, str):
        for shape, hub_id in catalog.SHAPES.items():
            if hub_id == name.hub_id:
                return from_config(random_weights.config(shape), hub_id)
        if not own:
            try:
                with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
                    return _read(_fetched(name.hub_id, folder), name.id)
            except OSError as error:  # no file can be made there
                raise disk_space.disk_error(error, Path(tempfile.gettempdir()), "TMPDIR") from error
    return _read(Path(cached).parent if isinstance(cached, str) else _fetched(name.hub_id, None), name.id)


def parse(given: str | Mapping[str, Any], name: str = config_check.PASTED, folder: Path | None = None) -> Architecture:
    """Read the architecture of a config.json, as text or already read. `name` begins the messages. Raises BadInput.

    The files in a `folder` show whether a projection onto the vocabulary was saved that is not tied.
    """
    raw = config_check.read(given, name)
    text_part.check(raw, name)
    config = meta_run.try_build(name, lambda: _config(raw, folder, name))
    called = str(raw["model_type"]) if name == config_check.PASTED else name
    return meta_run.try_build(called, lambda: _of(config, called, published.stated(raw)))


def _config(raw: Mapping[str, Any], folder: Path | None, name: str) -> PreTrainedConfig:
    config: PreTrainedConfig = CONFIG_MAPPING[raw["model_type"]].from_dict(config_check.shape_only(raw))
    tying.settle(config, raw)
    if folder is not None and tying.tied(config) and saved_head.is_apart(folder, config, name):
        tying.untie(config)
    return config


def from_config(config: PreTrainedConfig, name: str | None = None) -> Architecture:
    """Read the architecture of a configuration object, a loaded model's for example, which is not changed.

    Raises BadInput for a model whose cache is none that can be accounted for here.
    """
    name = name or str(config.model_type)
    return meta_run.try_build(name, lambda: _of(config, name))


def _of(config: PreTrainedConfig, name: str, quantized: Mapping[str, Any] | None = None) -> Architecture:
    trial = meta_run.run_trial(config, name)
    layers = cache_shape.layer_caches(trial, name)
    network, text = trial.network, trial.text
    tied = getattr(text, "tie_word_embeddings", False)
    stated = max(config_numbers.whole_numbers(text, "num_attention_heads"), default=0)
    heads = max(trial.query_heads.values(), default=stated)
    repeats = _repeats(network, layers)
    attention = _attention(layers, repeats, heads, config_numbers.whole_numbers(text, "kv_lora_rank"))
    if attention is None:
        raise BadInput(meta_run.NO_KEYS.format(name))
    borrowed = shared_keys.borrowed(trial, layers)
    # The text part of a decoder that was saved alone (BART's) is a copy of all.
    more_than_text = type(config.get_text_config(decoder=True)) is not type(config)
    more_than_text |= bool(trial.idle and config.sub_configs)
    read = step_weights.add_up(network, trial, torch.Tensor.numel, name)
    parameters = _parameters(network, trial if more_than_text else step_weights.NOTHING_KNOWN)
    parameters += 0 if tied else trial.missing_head
    return Architecture(
        name=name,
        layers=layers,
        heads=heads,
        head_dim=_head_dim(layers, attention, text),
        hidden_size=int(text.hidden_size),
        vocab_size=int(text.vocab_size),
        parameters=parameters,
        active_parameters=read + trial.missing_head,
        spare_parameters=step_weights.add_up(network, trial, torch.Tensor.numel, name, most=True) - read,
        context_length=config_numbers.context_length(network),
        attention=attention,
        latent=_latent(text) if attention == "latent" else None,
        indexer=_indexer(layers, text),
        repeats=repeats,
        text_part=more_than_text,
        published=None if quantized is None else published.read(quantized, network, parameters),
        borrowed=borrowed,
        head_parameters=trial.missing_head
        + step_weights.add_up(network, trial, torch.Tensor.numel, name, step_weights.text_parts(network)[1:]),
        repeated_parameters=step_weights.repeated_parameters(network, trial),
        late_parameters=step_weights.add_up(
            network, trial, torch.Tensor.numel, name, shared_keys.late(trial, len(borrowed))
        ),
        unused_windows=tuple(trial.windows.unused.values()),
    )


def _read(folder: Path, name: str) -> Architecture:
    try:
        file = folder.expanduser() / "config.json"
        size = file.stat().st_size
    except (OSError, RuntimeError) as error:  # RuntimeError: the home folder of an unknown user
        raise BadInput(f"{name} has no config.json that can be read: check its name.") from error
    _check_size(size, name)
    return parse(read_json(file, name), name, file.parent)


def _check_size(size: int, name: str) -> None:
    if size > config_check.MOST_CHARACTERS:
        raise BadInput(f"{name} has a config.json of {size:,} bytes, and one has some thousands: choose another model.")


def _fetched(hub_id: str, cache: str | None) -> Path:
    """Fetch config.json, and nothing else, from the Hub: the folder. Raises BadInput.

    Into the Hub's own cache, with the operator's token; without one into another `cache`.
    """
    token = None if cache is None else False

    def ask() -> str:
        # A download alone tries again and again where there is no network.
        listed = HfApi(token=token).model_info(hub_id, files_metadata=True).siblings or []
        _check_size(next((file.size or 0 for file in listed if file.rfilename == "config.json"), 0), hub_id)
        return hf_hub_download(hub_id, "config.json", cache_dir=cache, token=token)

    try:
        return Path(call_with_timeout(PATIENCE_S, ask)).parent
    except BadInput:
        raise
    except hub_errors.FAILURES as error:
        raise hub_errors.explained(hub_id, error, Path(constants.HF_HUB_CACHE), "HF_HOME") from error


def _repeats(network: PreTrainedModel, layers: tuple[LayerCache, ...]) -> int:
    """Count how often a key-value head is kept: once, unless each query head has one and fewer are computed.

    Falcon's newer models are trained with shared heads, and transformers repeats them before it keeps them. One
    matrix computes queries, keys and values there: with as many key-value heads as its part says, it has
    (heads + 2 · kv_heads) · head_dim rows.
    """
    found = dict.fromkeys((place for place, layer in enumerate(layers) if layer.kv_heads), 1)
    for part in network.modules():
        place, computed = getattr(part, "layer_idx", None), getattr(part, "num_kv_heads", None)
        if place not in found or not computed or layers[place].kv_heads != layers[place].query_heads:
            continue
        rows = (layers[place].query_heads + 2 * computed) * layers[place].head_dim
        if any(weight.shape[0] == rows for inner in part.children() for weight in inner.parameters(recurse=False)):
            found[place] = layers[place].kv_heads // computed
    each = set(found.values())
    return each.pop() if len(each) == 1 else 1


def _attention(layers: tuple[LayerCache, ...], repeats: int, heads: int, ranks: Sequence[int]) -> str | None:
    """Name the kind of attention in a word; None where no layer keeps keys. `ranks` are the widths of latents."""
    widths = {(layer.kv_heads // repeats, layer.head_dim) for layer in layers if layer.kv_heads}
    if not widths or not heads:
        return None
    if widths <= {(1, rank) for rank in ranks}:
        return "latent"
    if all(layer.kv_heads // repeats == (layer.query_heads or heads) for layer in layers if layer.kv_heads):
        return "multi-head"
    return "multi-query" if {kv_heads for kv_heads, _ in widths} == {1} else "grouped-query"


def _head_dim(layers: tuple[LayerCache, ...], attention: str, text: PreTrainedConfig) -> int:
    """Average the width of a query and of a value, which is what an attention product costs."""
    if attention == "latent":  # what is kept is not what is multiplied: keys and values are computed from it
        return sum(_smallest(text, part) for part in ("qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim")) // 2
    first = next(layer for layer in layers if layer.kv_heads)
    return (first.head_dim + first.value_dim) // 2


def _latent(text: PreTrainedConfig) -> Latent:
    """Read what each head computes from a latent; the least where layers differ, so that no more work is claimed."""
    return Latent(_smallest(text, "qk_nope_head_dim"), _smallest(text, "v_head_dim"))


def _smallest(text: PreTrainedConfig, name: str) -> int:
    return min(config_numbers.whole_numbers(text, name), default=0)


def _indexer(layers: tuple[LayerCache, ...], text: PreTrainedConfig) -> Indexer | None:
    """Read what chooses the positions that are looked at, where a layer keeps keys for it."""
    keeping = [layer for layer in layers if layer.indexed]
    if not any(layer.sparse for layer in layers):
        return None
    one = config_numbers.one_number
    heads, width = one(text, "index_n_heads") or 0, one(text, "index_head_dim") or 0
    # Keys of another width are those of several positions together, or more than keys.
    plain = {(width, 0), (0, _FLOAT32 * width)}
    if any((layer.index_elements, layer.index_bytes) not in plain for layer in keeping):
        heads = 0
    # Where single positions are chosen, the scores of the heads are added, each by its weight.
    products = heads * (width + 1 if one(text, "index_topk") else width)
    together = 0 if products else one(text, *_TOGETHER) or 0
    pooled = one(text, "index_head_dim", "indexer_head_dim") or 0
    return Indexer(_chosen(text), products, *((together, pooled) if together and pooled else (0, 0)))


def _chosen(text: PreTrainedConfig) -> int | None:
    """Read how many positions a query surely looks at; None where no name is known that tells it.

    One by one: DeepseekV32Indexer. In groups that are chosen whole: Glm5NextTextIndexer and Qwen4ExpTextQSAIndexer,
    which add the newest positions that make no whole group yet. In blocks, of which the newest, with one position or
    more, may be chosen too: MiniMaxM3VLIndexer.
    """
    one = config_numbers.one_number
    blocks, size = one(text, "index_topk_blocks"), one(text, "index_block_size")
    if blocks and size:
        return (blocks - 1) * size + 1
    together = one(text, *_TOGETHER) or 1
    return (one(text, "index_topk", "indexer_budget") or 0) // together * together or None


def _parameters(network: PreTrainedModel, seen: meta_run.TextPass) -> int:
    """Count every number in the weights of the part that continues text."""
    parts = (
        [network]
        if network.config.get_text_config(decoder=True) is network.config
        else step_weights.text_parts(network)
    )
    weights = {weight for part in parts for weight in part.parameters()}
    return sum(weight.numel() for weight in weights - step_weights.idle_weights(network, seen))
