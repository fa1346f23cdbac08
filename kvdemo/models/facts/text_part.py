"""Find the part of a model that continues text, or say why it has none, before anything is built or downloaded.

A model for more than text (pictures, sound) is taken for its text part, which is a causal language model of its own.
transformers lists the classes of each type of model; a type with none that continues text has no such part.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from transformers import (
    CONFIG_MAPPING,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForMultimodalLM,
    AutoModelForSeq2SeqLM,
    PreTrainedConfig,
    __version__,
)
from transformers.models.auto import modeling_auto

from kvdemo.core.errors import BadInput
from kvdemo.models.facts import tying


def _as_tuple(classes: str | tuple[str, ...]) -> tuple[str, ...]:
    return (classes,) if isinstance(classes, str) else classes


CAUSAL: Mapping[str, Any] = modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
MULTIMODAL: Mapping[str, Any] = modeling_auto.MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES
_FROM_TEXT_OR_SOUND: Mapping[str, Any] = modeling_auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES
_AS_A_WHOLE = {
    *modeling_auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    *_FROM_TEXT_OR_SOUND,
    *modeling_auto.MODEL_FOR_TIME_SERIES_PREDICTION_MAPPING_NAMES,
}
_CLASSES = {
    word
    for mapping in (CAUSAL, MULTIMODAL, _FROM_TEXT_OR_SOUND)
    for known in mapping.values()
    for word in _as_tuple(known)
}
# The classes without a projection onto the vocabulary: LlamaModel, LlavaModel.
_BASES: Mapping[str, Any] = modeling_auto.MODEL_MAPPING_NAMES
_WRITING: tuple[Any, ...] = (AutoModelForCausalLM, AutoModelForMultimodalLM)
# What a class that continues text is called in a model's own code: MPTForCausalLM, ExaoneForCausalLM.
_CONTINUES = ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration", "ForVisionText2Text")


def check(raw: Mapping[str, Any], name: str, *, saved: bool = False) -> None:
    """Raise BadInput with the reason unless a config.json is that of a model with a part that continues text.

    The model must be one that transformers knows itself. `name` begins the sentence. With `saved`, the configuration
    lies beside weights: an encoder that was saved as a language model (BertLMHeadModel) is taken even where nothing
    says that it reads forwards, and what can decode with it is tried when it is loaded.
    """
    kind, classes = raw.get("model_type"), _classes(raw)
    if not isinstance(kind, str) or kind not in CONFIG_MAPPING:
        if "auto_map" in raw:
            raise BadInput(f"{name} needs program code of its own, which is never run here: choose another model.")
        raise BadInput(f"{name} is of the type {kind!r}, which transformers {__version__} does not know.")
    if raw.get("is_encoder_decoder"):
        raise BadInput(_encoder_decoder(name))
    listed = any(word in _as_tuple(CAUSAL.get(kind, ())) for word in classes)
    parts = set(_types(raw)) - ({kind} if listed and (saved or _decodes(raw, kind)) else set())
    if whole := sorted(part for part in parts if _reads_as_a_whole(part)):
        raise BadInput(_at_once(name, whole[0], classes))
    if _looks_both_ways(raw):
        raise BadInput(_at_once(name, kind, classes))
    if not {kind, *_kinds_with_a_wrapper(kind)} & {*CAUSAL, *MULTIMODAL, *_FROM_TEXT_OR_SOUND}:
        raise BadInput(f"{name} is no causal language model, one that continues text: {_what(kind)}; choose another.")
    if "architectures" in raw:
        _check_head(raw, name, kind, classes)


def _check_head(raw: Mapping[str, Any], name: str, kind: str, classes: list[str]) -> None:
    """Raise BadInput unless what was saved as one of these classes has a projection onto the vocabulary.

    A class without one is as good where the embedding is the projection (bloom-7b1 is a BloomModel). Where transformers
    has no such class for a type, the name tells nothing (Qwen2.5-Omni is a Qwen2_5OmniModel).
    """
    bases = _as_tuple(_BASES.get(kind, ()))
    if any(map(_continues, classes)) or (classes and not bases):
        return
    if not any(word in bases for word in classes):
        what = f"a {classes[0]}" if classes else "of no named architecture"
        raise BadInput(f"{name} is {what}: choose a causal language model, one that continues text.")
    if not tying.ties(raw):
        raise BadInput(
            f"{name} is a {classes[0]}: choose a causal language model. That class has no projection onto the "
            "vocabulary, and its embedding is none either, so random numbers would choose the tokens."
        )


def ways_to_build(config: PreTrainedConfig, name: str) -> Iterator[tuple[Any, PreTrainedConfig]]:
    """Yield the ways to build the part that continues text: an auto class of transformers and its configuration.

    The best first. The text part of a model for more than text is preferred to the whole, and a class with a projection
    onto the vocabulary to one without, which is AutoModel. Changes `config`. Raises BadInput for an encoder-decoder
    model.
    """
    if config.is_encoder_decoder:
        raise BadInput(_encoder_decoder(name))
    text = config.get_text_config(decoder=True)
    _list_its_class(text)
    whole = [] if text is config else [*_between(config, text), config]
    if whole and not _reads_alone(config, text):
        # Whether the projection is the embedding under another name, the class for the whole asks the whole.
        text.tie_word_embeddings = getattr(whole[0], "tie_word_embeddings", False)
    for part, autos in ((text, (*_WRITING, AutoModel)), *((part, _WRITING) for part in whole)):
        yield from ((auto, part) for auto in autos if _has(auto, part))


def to_load(config: PreTrainedConfig, name: str) -> Iterator[tuple[Any, PreTrainedConfig]]:
    """Return how the saved model can be loaded: an auto class of transformers and the configuration of the files.

    The best first: one for text alone, one for more than text, and one for text after sound, which transformers lists
    among the encoder-decoder models. Raises BadInput for what is one.
    """
    if config.is_encoder_decoder:
        raise BadInput(_encoder_decoder(name))
    _list_its_class(config)
    for part in (*_between(config, config.get_text_config(decoder=True)), config):
        yield from ((auto, part) for auto in (*_WRITING, AutoModelForSeq2SeqLM) if _has(auto, part))


def _list_its_class(text: PreTrainedConfig) -> None:
    """Tell transformers' auto class which class continues text with a text part that was saved alone.

    Of Emu3 and Llama 3.2 Vision it lists that class under the type of the whole, whose configuration it does not take.
    """
    for kind in _kinds_with_a_wrapper(str(text.model_type)):
        if kind in CAUSAL and not _has(AutoModelForCausalLM, text):
            own = AutoModelForCausalLM._model_mapping[CONFIG_MAPPING[kind]]
            if own.config_class is type(text):
                # Without exist_ok it leaves out, silently, what is a configuration of transformers' own.
                AutoModelForCausalLM.register(type(text), own, exist_ok=True)


def _between(config: PreTrainedConfig, text: PreTrainedConfig) -> list[PreTrainedConfig]:
    """List the parts that lie between the whole and its text: the thinkers of Qwen's omni models."""
    parts = (getattr(config, part, None) for part in config.sub_configs)
    inner = [part for part in parts if isinstance(part, PreTrainedConfig) and part is not text]
    return [part for part in inner if part.get_text_config(decoder=True) is text]


def _reads_alone(config: PreTrainedConfig, text: PreTrainedConfig) -> bool:
    """Tell whether transformers reads the files of the whole with the class for its text part: Llama 4, Qwen3.5."""
    return _has(AutoModelForCausalLM, config) and (
        AutoModelForCausalLM._model_mapping[type(config)].config_class is type(text)
    )


def _has(auto: Any, config: Any) -> bool:
    """Tell whether an auto class has a model for a configuration: transformers lists a class or two that is not."""
    try:
        return isinstance(config, PreTrainedConfig) and auto._model_mapping[type(config)] is not None
    except (KeyError, ValueError):
        return False


def _classes(raw: Mapping[str, Any]) -> list[str]:
    listed = raw.get("architectures")
    return [word for word in listed if isinstance(word, str)] if isinstance(listed, list) else []


def _types(raw: Mapping[str, Any]) -> Iterator[str]:
    """List the model types that a configuration names, its own and those of its parts."""
    if isinstance(kind := raw.get("model_type"), str):
        yield kind
    for part in raw.values():
        if isinstance(part, Mapping):
            yield from _types(part)


def _reads_as_a_whole(kind: str) -> bool:
    """Tell whether a type is an encoder, with or without a decoder; one for more than text is not, whatever lists say.

    Some encoders fill a table, number by number, as long as the configuration says.
    """
    return kind in _AS_A_WHOLE and kind not in MULTIMODAL and "text_config" not in CONFIG_MAPPING[kind].sub_configs


def _decodes(raw: Mapping[str, Any], kind: str) -> bool:
    """Tell whether a type that may be an encoder reads forwards here: a decoder, or the half of a model that is one."""
    if getattr(CONFIG_MAPPING[kind], "is_encoder_decoder", False):
        return raw.get("is_encoder_decoder") is False
    return raw.get("is_decoder") is True


def _looks_both_ways(raw: Mapping[str, Any]) -> bool:
    """Tell whether a decoder was made into an encoder, as transformers' masks are told: EmbeddingGemma."""
    parts = (raw, raw.get("text_config"))
    return any(
        part.get("is_causal") is False or part.get("use_bidirectional_attention") is True
        for part in parts
        if isinstance(part, Mapping)
    )


def _kinds_with_a_wrapper(kind: str) -> Iterator[str]:
    """List the types whose text part is of this type, by its name: qwen3_vl_text is qwen3_vl's."""
    for ending in ("_text", "_text_model"):
        if kind.endswith(ending):
            yield kind.removesuffix(ending)


def _continues(word: str) -> bool:
    """Tell whether a class, by its name, has a projection onto the vocabulary and reads forwards."""
    return word in _CLASSES or word.endswith(_CONTINUES)


def _at_once(name: str, kind: str, classes: list[str]) -> str:
    named = f", saved as a {classes[0]}," if classes else ","
    return (
        f"{name} is of the type {kind}{named} which reads a whole text at once: "
        "choose a causal (decoder-only) language model."
    )


def _encoder_decoder(name: str) -> str:
    return f"{name} is an encoder-decoder model: choose a causal (decoder-only) language model."


def _what(kind: str) -> str:
    """Say what a type does instead of continuing text, as far as its name and transformers' lists say."""
    seeing = kind in modeling_auto.MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES
    if "vision" in kind or (seeing and "text_config" not in CONFIG_MAPPING[kind].sub_configs):
        return f"the type {kind} reads pictures alone"
    if "audio" in kind or kind in modeling_auto.MODEL_FOR_CTC_MAPPING_NAMES:
        return f"the type {kind} reads sound alone"
    return f"transformers has no class that writes text with the type {kind}"
