"""Run a model without a cache on two short texts, as the reference that a strategy is tried against.

How far apart a strategy may be depends on the model and on the number format. The measure is the model's own: how far
its scores move where it does not see the past at all. Wrong texts are some hundredths of that away and more, in tiny
models with random weights as in trained ones; rounding is a millionth of it in float32 and two hundredths in bfloat16.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count, islice

import torch
from torch import Tensor
from transformers import DynamicCache

from kvdemo.models.facts import config_numbers
from kvdemo.models.loaded import LoadedModel
from kvdemo.models.network import fitting_cache, windows
from kvdemo.models.network.forward import forward

_PROMPTS = (9, 5)
_TOKENS = 4
# A window up to this size is crossed: one lane begins after its end, the other writes across it.
_WINDOW = 64
# And up to this size where the model's masks could not be seen: its code may use the window that the configuration
# states, or not.
_UNSEEN_WINDOW = 512
# How far scores may be apart, as a share of the measure. 16-bit formats are judged by the median of all tokens, because
# rounding sends a token to other experts now and then.
_ALLOWED = {torch.float32: 0.001, torch.float16: 0.02, torch.bfloat16: 0.06}
_ALLOWED_GPU = 0.01  # of float32, whose convolutions have fewer bits there (TF32)
# And as a multiple of the number format's rounding: where the past hardly counts, rounding is all that can be seen. In
# 16 bits a larger multiple would hide wrong texts.
_ROUNDINGS, _ROUNDINGS_SINGLE = 8, 64


@dataclass(frozen=True)
class Text:
    """Ids of a prompt, and the tokens that are to follow."""

    prompt: list[int]
    script: list[int]


@dataclass(frozen=True)
class Reference:
    """What a model does without a cache.

    share        how far apart scores may be, as a share of `past`
    single       in float32, where rounding hides nothing: judged by the worst token
    rows         for each text what its script is chosen from: log-probabilities, (tokens, vocab), in main memory
    past         how far they move where the past is not seen, see `distance`
    rounding     one rounding of a log-probability in the model's number format
    """

    share: float
    single: bool
    texts: list[Text]
    rows: list[Tensor]
    past: float
    rounding: float

    def allowed(self, share: float) -> float:
        return max(share * self.past, (_ROUNDINGS_SINGLE if self.single else _ROUNDINGS) * self.rounding)


def reference_of(model: LoadedModel) -> Reference:
    """Run the model without a cache on two texts, and measure how far its scores move without the past."""
    texts = _texts(model)
    rows, past = [], []
    for text in texts:
        ids, start = [*text.prompt, *text.script[:-1]], len(text.prompt)
        # A pass for each length, as no_cache takes them: in one pass for all, a model could look ahead.
        rows.append(torch.stack([logprobs(model, ids[:n])[-1] for n in range(start, len(ids) + 1)]))
        past.append(distance(rows[-1][-1], logprobs(model, ids[-1:])[-1]))
    numbers = torch.cat(rows)
    spread = float(numbers[numbers.isfinite()].std(correction=0)) if numbers.isfinite().any() else 0.0
    rounding = torch.finfo(model.dtype).eps * spread
    single = model.dtype == torch.float32
    share = _ALLOWED_GPU if single and model.device.type != "cpu" else _ALLOWED.get(model.dtype, _ALLOWED_GPU)
    return Reference(share, single, texts, rows, max(past), rounding)


def example_ids(model: LoadedModel) -> list[int]:
    """Return a text of a token or two, for a pass that only shows whether it can be run."""
    return _usable(model)[: min(2, model.context_length or 2)]


def looks_ahead(model: LoadedModel, reference: Reference) -> bool:
    """Tell whether a prompt's log-probabilities depend on what follows it."""
    pairs = zip(reference.texts, reference.rows, strict=True)
    apart = [
        distance(logprobs(model, text.prompt + text.script)[len(text.prompt) - 1], rows[0]) for text, rows in pairs
    ]
    return min(apart) > reference.allowed(reference.share)


def logprobs(model: LoadedModel, ids: Sequence[int]) -> Tensor:
    """Calculate the log-probabilities after each position of a text, (positions, vocab), in main memory."""
    logits = forward(model, torch.tensor([list(ids)], device=model.device), None, keep=len(ids))
    return logits[0].float().log_softmax(-1).cpu()


def distance(one: Tensor, other: Tensor) -> float:
    """Calculate the root mean square difference over the vocabulary; infinite where only one is a number."""
    finite = one.isfinite()
    if not finite.any() or not torch.equal(finite, other.isfinite()):
        return math.inf
    return float((one - other)[finite].square().mean().sqrt())


def _texts(model: LoadedModel) -> list[Text]:
    """Make two texts of different ids, around the end of a window if the configuration states a small one."""
    stated = windows.of(DynamicCache(config=model.network.config))
    unproven = fitting_cache.stated_windows(model.network).unproven
    small = [size for n, size in stated.items() if size <= (_UNSEEN_WINDOW if n in unproven else _WINDOW)]
    lengths = (max(small) + 2, max(max(small) - 2, 2)) if small else _PROMPTS
    context = model.context_length or 10**6
    tokens = max(1, min(_TOKENS, context // 2))
    usable = _usable(model)
    ids = (usable[7 * n % len(usable)] for n in count())
    return [
        Text(list(islice(ids, length)), list(islice(ids, tokens)))
        for length in (max(1, min(length, context - tokens)) for length in lengths)
    ]


def _usable(model: LoadedModel) -> list[int]:
    """List ids that stand for text: special ones have a meaning of their own in some models' code."""
    special = set(model.tokenizer.all_special_ids)
    for config in (model.network.config, model.config):
        named = (value for name, value in vars(config).items() if name.endswith(("token_id", "token_index")))
        special |= {i for value in named for i in (value if isinstance(value, list) else [value])}
    written = config_numbers.one_number(model.config, "vocab_size")  # some embed more than they can write
    rows = min(model.rows, written or model.rows)
    return [i for i in range(0, rows, max(1, rows // 97)) if i not in special] or list(range(rows))
