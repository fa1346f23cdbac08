"""Try on the loaded model whether a strategy can run on it: a few steps on a few token ids.

A model that cannot go on from a cache fails in one of two ways. Its code raises, or it runs and writes a text that has
little to do with the prompt: it reads in both directions, counts positions anew in each pass, or keeps a state in
itself, where two lanes mix. So two lanes run in turns, on different ids, with the tokens that they commit prescribed.
What each token was chosen from is then held against a forward pass over the same ids without a cache.

How far apart the two may be depends on the model and on the number format. The measure is the model's own: how far its
scores move where it does not see the past at all. Wrong texts are a tenth of that away and more, in tiny models with
random weights as in trained ones; rounding is a millionth of it in float32 and some hundredths in bfloat16.

A trial runs the model, so whoever asks has the device to itself. What was found is kept with the model. Not tried is
what shows only in longer texts: behind a window of more than `_WINDOW` positions, for example.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from itertools import count, islice
from statistics import median
from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from kvdemo.core import BadInput, Choice, Step
from kvdemo.models.errors import out_of_memory
from kvdemo.models.loaded import LoadedModel, Prompt
from kvdemo.strategies._choose import Chooser, Picked, record
from kvdemo.strategies._decode import forward
from kvdemo.strategies.base import Job

Decode = Callable[[Job], Iterator[Step]]

_PROMPTS = (9, 5)
_TOKENS = 4
# A window up to this size is stepped over: one lane begins behind its end, the other writes across it.
_WINDOW = 64
# Places that a lane is promised beyond what it writes: a cache that is reserved has empty ones too.
_ROOM = 3
# How far scores may be apart, as a share of the measure. 16-bit formats are judged by the median of all tokens, because
# rounding sends a token to other experts now and then. A cache that changes scores by design must beat no past at all.
_ALLOWED = {torch.float32: 0.001, torch.float16: 0.02, torch.bfloat16: 0.06}
_ALLOWED_GPU = 0.01  # of float32, whose convolutions have fewer bits there (TF32)
_ALLOWED_LOSSY = 1.0
# And as a multiple of the number format's rounding: where the past hardly counts, rounding is all that can be seen. In
# 16 bits a larger multiple would hide wrong texts.
_ROUNDINGS, _ROUNDINGS_SINGLE = 8, 64

_known: WeakKeyDictionary[PreTrainedModel, dict[str, str | None]] = WeakKeyDictionary()
_references: WeakKeyDictionary[PreTrainedModel, _Reference] = WeakKeyDictionary()
_look_up_only: ContextVar[bool] = ContextVar("look_up_only", default=False)


@contextmanager
def known_only() -> Iterator[None]:
    """Inside, nothing is run on the model: what has not been tried yet passes for possible."""
    before = _look_up_only.set(True)
    try:
        yield
    finally:
        _look_up_only.reset(before)


def reason(model: LoadedModel, name: str, decode: Decode, *, exact: bool = True, instead: str) -> str | None:
    """Why a strategy cannot run on a model, in a sentence; None if it can. Tried once, and kept under `name`.

    `exact` is False for one that changes the scores by design; `instead` is the strategy to recommend.
    """
    return once(model, name, lambda: _sentence(model, decode, exact, instead))


def once(model: LoadedModel, name: str, find: Callable[[], str | None]) -> str | None:
    """What `find` finds out by running the model; kept with the model under `name`."""
    known = _known.setdefault(model.network, {})
    if name in known or _look_up_only.get():
        return known.get(name)
    try:
        known[name] = find()
    except Exception as error:
        if not out_of_memory(error):
            raise
        return None  # says nothing of the model: the lane will run out of memory itself, and say so
    return known[name]


def shortened(error: BaseException) -> str:
    """An exception as one printable line."""
    line = next(iter(str(error).strip().splitlines()), "")[:160].rstrip(" .:")
    line = f"{type(error).__name__}: {line}" if line else type(error).__name__
    return line if line.isprintable() else ascii(line)


def half_right(job: Job) -> Callable[[Sequence[int], int], list[int]]:
    """For a trial of drafts: guesses the token that is prescribed next, and a wrong one behind it."""

    def guess(_written: Sequence[int], most: int) -> list[int]:
        if not isinstance(job.choose, _Script):
            raise TypeError("only a trial knows what is right")
        right, behind = (job.choose.due(n) for n in (0, 1))
        wrong = (token for token in job.encode("") if token != behind)
        return [right, *islice(wrong, 1)][:most] if right is not None else []

    return guess


def _sentence(model: LoadedModel, decode: Decode, exact: bool, instead: str) -> str | None:
    try:
        found = _tried(model, decode, exact)
    except BadInput as error:
        return str(error)
    except Exception as error:  # a model's code may raise anything
        if out_of_memory(error):
            raise
        found = f"its code failed in a first trial ({shortened(error)})"
    return f"{found}: use {instead}." if found else None


@torch.inference_mode()
def _tried(model: LoadedModel, decode: Decode, exact: bool) -> str | None:
    if model.network not in _references:
        _references[model.network] = _reference(model)
    reference = _references[model.network]
    if reference.looks_ahead:
        return "it reads in both directions, so each new token changes all of its past"
    lanes = [_Lane(model, text, decode) for text in reference.texts]
    _take_turns(lanes)
    if not math.isfinite(reference.past):
        kind = str(model.dtype).removeprefix("torch.")
        raise BadInput(f"its logits are not finite numbers in {kind}, with a cache or without: run it in float32.")
    if _agree(lanes, reference, exact):
        return None
    alone = [_Lane(model, text, decode) for text in reference.texts]
    for lane in alone:
        _take_turns([lane])
    if _agree(alone, reference, exact):
        return "it keeps its states in itself, where the lanes of a race would mix"
    return "in a first trial it did not write what it writes without a cache"


@dataclass(frozen=True)
class _Text:
    """Ids of a prompt, and the tokens that are to follow."""

    prompt: list[int]
    script: list[int]


@dataclass(frozen=True)
class _Reference:
    """What a model does without a cache.

    share        how far apart scores may be, as a share of `past`
    single       in float32: judged by the worst token
    rows         for each text what its script is chosen from: log-probabilities, (tokens, vocab), in main memory
    past         how far they move where the past is not seen, see `_distance`
    rounding     one rounding of a log-probability in the model's number format
    looks_ahead  a position's log-probabilities depend on what follows it
    """

    share: float
    single: bool
    texts: list[_Text]
    rows: list[Tensor]
    past: float
    rounding: float
    looks_ahead: bool

    def allowed(self, share: float) -> float:
        return max(share * self.past, (_ROUNDINGS_SINGLE if self.single else _ROUNDINGS) * self.rounding)


def _reference(model: LoadedModel) -> _Reference:
    texts = _texts(model)
    rows, past, ahead = [], [], []
    for text in texts:
        ids = [*text.prompt, *text.script[:-1]]
        rows.append(_logprobs(model, ids)[len(text.prompt) - 1 :])
        past.append(_distance(rows[-1][-1], _logprobs(model, ids[-1:])[-1]))
        ahead.append(_distance(rows[-1][0], _logprobs(model, text.prompt)[-1]))
    numbers = torch.cat(rows)
    rounding = torch.finfo(model.dtype).eps * float(numbers[numbers.isfinite()].std(correction=0))
    single = model.dtype == torch.float32
    share = _ALLOWED_GPU if single and model.device.type != "cpu" else _ALLOWED.get(model.dtype, _ALLOWED_GPU)
    found = _Reference(share, single, texts, rows, max(past), rounding, looks_ahead=False)
    return replace(found, looks_ahead=min(ahead) > found.allowed(share))


def _logprobs(model: LoadedModel, ids: Sequence[int]) -> Tensor:
    """Log-probabilities behind each position of a text, (positions, vocab), in main memory."""
    logits = forward(model, torch.tensor([list(ids)], device=model.device), None, keep=len(ids))
    return logits[0].float().log_softmax(-1).cpu()


def _distance(one: Tensor, other: Tensor) -> float:
    """Root mean square of the difference over the vocabulary; infinite where only one of the two is a number."""
    finite = one.isfinite()
    if not finite.any() or not torch.equal(finite, other.isfinite()):
        return math.inf
    return float((one - other)[finite].square().mean().sqrt())


def _texts(model: LoadedModel) -> list[_Text]:
    """Two texts of different ids, around the end of a window if the model has a small one."""
    windows = [getattr(layer, "sliding_window", None) for layer in DynamicCache(config=model.network.config).layers]
    small = [window for window in windows if isinstance(window, int) and window <= _WINDOW]
    lengths = (max(small) + 2, max(max(small) - 2, 2)) if small else _PROMPTS
    context = model.context_length or 10**6
    tokens = max(1, min(_TOKENS, context // 2))
    usable = _usable(model)
    ids = (usable[7 * n % len(usable)] for n in count())
    return [
        _Text(list(islice(ids, length)), list(islice(ids, tokens)))
        for length in (max(1, min(length, context - tokens)) for length in lengths)
    ]


def _usable(model: LoadedModel) -> list[int]:
    """Ids that stand for text: special ones have a meaning of their own in some models' code."""
    special = set(model.tokenizer.all_special_ids)
    for config in (model.network.config, model.config):
        named = (value for name, value in vars(config).items() if name.endswith(("token_id", "token_index")))
        special |= {i for value in named for i in (value if isinstance(value, list) else [value])}
    rows = model.network.get_input_embeddings().num_embeddings
    return [i for i in range(0, rows, max(1, rows // 97)) if i not in special] or list(range(rows))


class _Script(Chooser):
    """Chooses the tokens that are prescribed. `seen` is what each was chosen from, as log-probabilities."""

    def __init__(self, tokens: Sequence[int], device: torch.device) -> None:
        super().__init__(0.0, 1.0, 0, device)
        self.greedy = False  # each token is asked for
        self._tokens = tokens
        self.seen: list[Tensor] = []

    def due(self, ahead: int) -> int | None:
        """The token that is chosen after `ahead` others; None behind the last."""
        at = len(self.seen) + ahead
        return self._tokens[at] if at < len(self._tokens) else None

    def __call__(self, logits: Tensor) -> Picked:
        due = self.due(0)
        token = int(logits.argmax()) if due is None else due
        self.seen.append(logits.float().log_softmax(-1).cpu())
        return Picked(token, ids=torch.tensor([token], device=logits.device), logits=logits)


class _Lane:
    """A strategy at work on one text."""

    def __init__(self, model: LoadedModel, text: _Text, decode: Decode) -> None:
        self._model, self._text = model, text
        self._choose = _Script(text.script, model.device)
        self._choices: list[Choice] = []
        room = (model.context_length or 10**6) - len(text.prompt)
        job = Job(
            model=model,
            prompt=Prompt("", special=False),
            encode=lambda _: list(text.prompt),
            choose=self._choose,
            max_new_tokens=max(1, min(len(text.script) + _ROOM, room)),
        )
        self._steps = iter(decode(job))

    def step(self) -> bool:
        """Take a step; False if there are no more to take."""
        if len(self._choices) >= len(self._text.script):
            return False
        step = next(self._steps, None)
        self._choices += record(step).choices if step else ()
        return step is not None

    def apart(self, rows: Tensor) -> list[float]:
        """How far each token's log-probabilities are from those without a cache, which are known for the script.

        A strategy that chooses by a rule of its own writes another text. Then only the log-probabilities that it
        states for its tokens can be held against a pass over them.
        """
        written = [choice.token for choice in self._choices]
        known = min(len(written), len(self._choose.seen), len(rows))
        if known and written[:known] == self._text.script[:known]:
            return [_distance(*pair) for pair in zip(self._choose.seen[:known], rows, strict=False)]
        start, ids = len(self._text.prompt) - 1, [*self._text.prompt, *written]
        behind = _logprobs(self._model, ids[:-1])[start:]
        return [
            abs(choice.logprob - float(row[choice.token])) for choice, row in zip(self._choices, behind, strict=True)
        ]


def _take_turns(lanes: Sequence[_Lane]) -> None:
    """A step of each in turns until none takes one more."""
    while [lane for lane in lanes if lane.step()]:
        pass


def _agree(lanes: Sequence[_Lane], reference: _Reference, exact: bool) -> bool:
    apart = [lane.apart(rows) for lane, rows in zip(lanes, reference.rows, strict=True)]
    allowed = reference.allowed(reference.share if exact else _ALLOWED_LOSSY)
    if exact and reference.single:
        return max(distance for one in apart for distance in one) <= allowed
    return median(distance for one in apart for distance in one[1:] or one) <= allowed  # the prompt is always right
