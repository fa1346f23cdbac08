"""Tell whether a model's projection onto the vocabulary is its embedding under another name (tied).

A configuration says so by `tie_word_embeddings`. That of a model for more than text may say it twice. Since version 5,
transformers asks the whole, and writes its answer into each file. Before, it asked the text part, and left out what
was the default. So a whole that does not say it was saved before: its text part says it, or the default of that one's
class. transformers itself ties two weights of a checkpoint only where they are equal (`PreTrainedModel.tie_weights`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from transformers import CONFIG_MAPPING, PreTrainedConfig

_SAID = ("tie_word_embeddings", "tie_embedding")  # the second in Liquid's own files


def settle(config: PreTrainedConfig, raw: Mapping[str, Any]) -> None:
    """Say in a configuration what the files hold that were saved with it, where only a default says that they tie.

    `raw` is the config.json that `config` was made from, which is changed.
    """
    text = config.get_text_config(decoder=True)
    for part, its in _wholes(config, raw, text):
        if not _says(its) and getattr(text, "tie_word_embeddings", True) is False:
            part.tie_word_embeddings = False


def tied(config: PreTrainedConfig) -> bool:
    """Tell whether a configuration says that weights tie, in any of its parts."""
    return any(getattr(part, "tie_word_embeddings", False) for part in _parts(config))


def untie(config: PreTrainedConfig) -> None:
    """Say in a configuration, in all of its parts, that no weights tie."""
    for part in _parts(config):
        if getattr(part, "tie_word_embeddings", False):
            part.tie_word_embeddings = False


def _parts(config: PreTrainedConfig) -> list[PreTrainedConfig]:
    """List a configuration, its text part, and what lies between them."""
    text = config.get_text_config(decoder=True)
    inner = (getattr(config, name, None) for name in config.sub_configs)
    between = (p for p in inner if isinstance(p, PreTrainedConfig) and p.get_text_config(decoder=True) is text)
    return [config, *between] + ([] if text is config else [text])


def ties(raw: Mapping[str, Any]) -> bool:
    """Tell whether a config.json of a type that transformers knows says, or leaves to a default, that weights tie."""
    if _says(raw):
        return any(bool(raw.get(name)) for name in _SAID)
    inner = next((raw[part] for part in ("text_config", "thinker_config") if isinstance(raw.get(part), Mapping)), None)
    if inner is not None and ("model_type" in inner or _says(inner)):
        return ties({"model_type": raw["model_type"], **inner})
    kind = raw["model_type"]
    return bool(getattr(CONFIG_MAPPING[kind], "tie_word_embeddings", False)) if kind in CONFIG_MAPPING else False


def _says(raw: Mapping[str, Any]) -> bool:
    return any(isinstance(raw.get(name), bool) for name in _SAID)


def _wholes(
    config: PreTrainedConfig, raw: Mapping[str, Any], text: PreTrainedConfig
) -> Iterator[tuple[PreTrainedConfig, Mapping[str, Any]]]:
    """List the configurations around a text part, each with what its own part of the config.json says."""
    if config is text or type(config) is type(text):
        return
    yield config, raw
    for name in config.sub_configs:
        part, its = getattr(config, name, None), raw.get(name)
        if (
            isinstance(part, PreTrainedConfig)
            and isinstance(its, Mapping)
            and part.get_text_config(decoder=True) is text
        ):
            yield from _wholes(part, its, text)
