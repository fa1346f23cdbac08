"""Define the events of a race, in the order in which they come. The page, the command line and the API show them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from kvdemo.core.types import LaneInfo, Schedule, TimedStep

LaneStatus = Literal["done", "stopped", "failed"]
FinishReason = Literal["length", "eos", "stopped", "error"]
DivergenceKind = Literal["retokenized", "numeric", "sampled", "ties", "rule", "lossy", "remote", "unexplained"]
FindingKind = Literal[
    "alone",
    "nothing_compared",
    "faster",
    "slower",
    "same_time",
    "unequal_search",
    "too_short",
    "no_clock",
    "work",
    "same_first_step",
    "nothing_to_reuse",
    "no_time_saved",
    "small_gain",
    "same_text",
    "divergence",
    "groups",
    "contention",
    "best",
    "remark",
    "failed",
    "stopped",
]
#: A figure of a finding; several where it is about several lanes, several lists of lanes where it groups them.
Number = float | bool | tuple[int, ...] | tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class Ended:
    """A lane took its last turn; `error` is one sentence when the reason is "error".

    `text` is what the lane's last token still has to its text: what had waited for a token that never came.
    """

    lane: int
    reason: FinishReason
    error: str | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class Progress:
    """Work before the race, for example a model being fetched. `fraction` is None where it is unknown."""

    text: str
    fraction: float | None = None


@dataclass(frozen=True, slots=True)
class TurnCame:
    """A run has the device, for which it waited so long."""

    waited_s: float


@dataclass(frozen=True, slots=True)
class Started:
    """The lanes are warm and the clock is about to run.

    `prompt_text` is what the model reads (with the chat template, if it is on), `prompt_tokens` its
    length in tokens. `model` holds the facts of the JSON document's "model" entry.
    """

    lanes: tuple[LaneInfo, ...]
    prompt_text: str
    prompt_tokens: int
    max_new_tokens: int
    schedule: Schedule
    model: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class TokensCommitted:
    """A lane committed tokens. `texts` has one entry a token.

    A token that is only part of a character has the text ""; the one that completes it has it all. Joined, and with
    the text of `Ended`, they are the text of the lane.

    `candidates` has what each token was chosen from, in the document's form (`Candidates` in
    `kvdemo.documents.candidates`), None for a token without them; () if they were not asked for.
    """

    lane: int
    timed: TimedStep
    texts: tuple[str, ...]
    candidates: tuple[Mapping[str, Any] | None, ...] = ()


@dataclass(frozen=True, slots=True)
class Divergence:
    """Where a lane's tokens first differ from the baseline's, and why, in one sentence (`detail`)."""

    index: int
    kind: DivergenceKind
    detail: str


@dataclass(frozen=True, slots=True)
class Diverged:
    """A lane departed from the baseline lane (lane 0).

    A second one for the same lane replaces the first: when the race is over, what was presumed has been checked.
    """

    lane: int
    divergence: Divergence


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a race showed, as data and as a sentence.

    kind     what it says; `kvdemo.race.verdict.findings` has the meaning and the numbers of each
    lanes    the lane that it is about, by index, then the lane that it is compared with. () if about all of them
    numbers  its figures by name, seconds and bytes where the name ends so
    text     the sentence
    reason   of a divergence: why the texts part
    """

    kind: FindingKind
    lanes: tuple[int, ...]
    numbers: Mapping[str, Number]
    text: str
    reason: DivergenceKind | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of a race: at least one finding. The first is the headline, the others explain it."""

    findings: tuple[Finding, ...]

    @property
    def headline(self) -> str:
        return self.findings[0].text

    @property
    def sentences(self) -> tuple[str, ...]:
        """The sentences of the findings after the headline."""
        return tuple(finding.text for finding in self.findings[1:])


@dataclass(frozen=True, slots=True)
class Finished:
    """The race is over. `document` is the JSON document of the external interface."""

    document: Mapping[str, Any]
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class PanelsShown:
    """Panels of Inside are computed. `document` is Inside's document with those that there are so far."""

    document: Mapping[str, Any]


RaceEvent = Progress | TurnCame | Started | TokensCommitted | Diverged | Ended | Finished
