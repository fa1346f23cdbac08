"""Which models go on from a cache of transformers: nearly all, and of the others it must be said why not.

A cache is handed to the model with each pass, and some models do not look at it, or misread it. Nothing is raised then:
they write a text that has little to do with the prompt. So it has to be known before the first token.
"""

from __future__ import annotations

from kvdemo.models import cache_argument
from kvdemo.models.loaded import LoadedModel

# What transformers does not say of its models, by model type. Each was found by its text, and cannot be seen from its
# configuration.
_MISREAD = {
    "bamba": "its code counts positions from 0 in each pass, whatever the cache holds: use no_cache.",
    "cpmant": "its code wants the whole text in each pass, cached or not: use no_cache.",
    "recurrent_gemma": "it keeps its states in itself, where the lanes of a race would mix: use no_cache.",
    "xlm": "its code wants the whole text in each pass, cached or not: use no_cache.",
}
# Encoders, which transformers loads as language models all the same; `is_decoder` makes one look back only. Other
# configurations have that attribute too, and it says nothing there.
_ENCODERS = (
    *("bert", "bert-generation", "big_bird", "camembert", "data2vec-text", "electra", "ernie", "megatron-bert"),
    *("rembert", "roberta", "roberta-prelayernorm", "roc_bert", "roformer", "xlm-roberta", "xlm-roberta-xl", "xmod"),
)


def unavailable_reason(model: LoadedModel) -> str | None:
    """Why this model cannot go on from a cache that it is handed."""
    kind = getattr(model.config, "model_type", "")
    takes_any = getattr(model.network, "_supports_default_dynamic_cache", None)  # transformers' own exceptions
    if not cache_argument.is_there(model.network) or (takes_any and not takes_any()):
        return "it takes no cache of transformers, and keeps what it has seen in a form of its own: use no_cache."
    if kind in _ENCODERS and not model.config.is_decoder:
        return "it reads in both directions, so each new token changes all of its past: use no_cache."
    return _MISREAD.get(kind)
