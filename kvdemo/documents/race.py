"""Define the document of a race."""

from __future__ import annotations

from typing import Annotated, Any, NotRequired

from typing_extensions import TypedDict

from kvdemo.core.events import DivergenceKind, FindingKind, FinishReason, LaneStatus
from kvdemo.core.settings.race import RaceRequest
from kvdemo.core.types import Schedule
from kvdemo.documents.candidates import Candidates
from kvdemo.documents.common import Environment, ForwardPass, Model, Prompt, Version
from kvdemo.documents.settings import SettingsOf


class Step(TypedDict):
    """One turn of a lane: the tokens that it committed, and what they took.

    positions         token positions run through the model; null where another machine ran them
    cache_bytes       what the cache keeps for later steps; null where another machine keeps it. The prompt's step may
                      hold more memory until the next one: what a window keeps is a view of all
    tokenize_seconds  the part of `seconds` that went into tokenisation
    logprobs          of each token, in the model's own distribution; null where it is not known
    entropies         of the model's own distribution at each token, in bits; null where it is not known
    texts             of each token
    details           further figures of this strategy, by name; where a lane ended within a draft, `drafted` and
                      `accepted` count its tokens up to the end
    passes            left out where the step is one pass of one row
    input             what the step has read, where that was asked for and the lane works on text
    candidates        what each token was chosen from, where that was asked for; null where it is not known
    """

    tokens: int
    seconds: float
    positions: int | None
    cache_bytes: int | None
    tokenize_seconds: float
    logprobs: list[float | None]
    entropies: list[float | None]
    texts: list[str]
    details: NotRequired[dict[str, float]]
    passes: NotRequired[list[ForwardPass]]
    input: NotRequired[str]
    candidates: NotRequired[list[Candidates | None]]


class Spread(TypedDict):
    """The gaps between a lane's tokens. `p99` is null below a hundred of them."""

    mean: float
    p50: float
    p90: float
    p99: float | None
    max: float


class Metrics(TypedDict):
    """A lane in figures. What is undefined is null.

    ttft_s        start to first token, tokenisation and prefill included
    tpot_s        (e2e_s - ttft_s) / (tokens - 1)
    itl_s         the gaps between tokens; a step of k tokens counts k gaps of seconds/k
    e2e_s         start to last token
    tokens_per_s  tokens / e2e_s
    tokenize_s    the part of e2e_s that went into tokenisation
    positions     token positions run through the model; null where another machine ran them
    levels        of a search: by how many tokens its texts grew
    level_s       e2e_s / levels

    mean_logprob    the mean of ln p of its tokens, in the model's own distribution as this lane computed it
    perplexity      exp(-mean_logprob): of its own text under the model
    distinct_2      different pairs of neighbouring tokens / all such pairs. Li et al. 2016 (arXiv:1510.03055) divide by
                    the number of tokens, which is one more
    repeated_4gram  1 - different sequences of four tokens / all of them: seq-rep-4 of Welleck et al. 2019
                    (arXiv:1908.04319)
    """

    tokens: int
    ttft_s: float | None
    tpot_s: float | None
    itl_s: Spread | None
    e2e_s: float
    tokens_per_s: float | None
    tokenize_s: float
    positions: int | None
    levels: int | None
    level_s: float | None
    mean_logprob: float | None
    perplexity: float | None
    distinct_2: float | None
    repeated_4gram: float | None


class BeamNode(TypedDict):
    """A text that a search kept: one token after the text at place `parent` of the level before (0: the prompt).

    `score` is the sum of the log-probabilities of all its tokens, `logprob` that of the last.
    """

    parent: int
    token: int
    text: str
    logprob: float
    score: float


class Request(TypedDict):
    """One of several equal requests. Seconds count from its own sending; null for one that failed.

    ttft_s     to the first token
    tpot_s     (e2e_s - ttft_s) / (tokens - 1); null for a single token
    e2e_s      to the last token
    same_text  whether its text is that of the first
    error      one sentence where it failed
    """

    tokens: int
    ttft_s: float | None
    tpot_s: float | None
    e2e_s: float | None
    same_text: bool
    error: str | None


class Requests(TypedDict):
    """Equal requests that a lane has sent at once. Those that failed are not part of the sums.

    seconds      from the first sending to the last token of all
    equal_texts  requests with the text of the first one, itself included
    each         the lane's own request first
    """

    tokens: int
    seconds: float
    tokens_per_s: float | None
    equal_texts: int
    each: list[Request]


class Lane(TypedDict):
    """A strategy with its settings, and all that it did.

    sampling the settings by which it chose its tokens, as they were in effect; empty for a rule of its own
    no_candidates  why it cannot be said what its tokens were chosen from, where that was asked for
    error    one sentence where the lane failed
    tokens   ids; null for one that another machine chose
    remarks  what the strategy remarks on its run
    beams    the levels of a search, best text first
    requests all that the lane has sent at once, where it has sent several: its other figures are of the first
    """

    strategy: str
    options: dict[str, float | str]
    sampling: dict[str, float | str]
    no_candidates: NotRequired[str]
    status: LaneStatus
    finish_reason: FinishReason
    error: str | None
    tokens: list[int | None]
    text: str
    steps: list[Step]
    metrics: Metrics
    remarks: list[str]
    beams: NotRequired[list[list[BeamNode]]]
    requests: NotRequired[Requests]


class Divergence(TypedDict):
    """The first token (from 0) that differs from the baseline's, and why."""

    index: int
    kind: DivergenceKind
    detail: str


class ComparedLane(TypedDict):
    """A lane against the baseline.

    speedup    the baseline's time over the lane's, at the smaller of the two token counts; null where it means nothing
    identical  whether all tokens that both have are equal, and there are some
    """

    strategy: str
    speedup: float | None
    identical: bool
    first_divergence: Divergence | None


class Comparison(TypedDict):
    """All lanes but the first against the first."""

    baseline: str
    lanes: list[ComparedLane]


class Finding(TypedDict):
    """One thing that the race showed. Lanes are indices: the lane that it is about, then what it is compared with.

    `reason` is null but for a divergence: why the texts part.
    """

    kind: FindingKind
    lanes: list[int]
    numbers: dict[str, float | bool | list[int] | list[list[int]]]
    text: str
    reason: DivergenceKind | None


class Verdict(TypedDict):
    """The outcome. The first finding's text is the headline, those of the others are the sentences."""

    headline: str
    sentences: list[str]
    findings: list[Finding]


class Rests(TypedDict):
    """The rests of a race between its steps, while a page on the same machine drew it. No step's time has any of it."""

    count: int
    seconds: float


class RaceDocument(TypedDict):
    """A race of several decoding strategies on one prompt. The first lane is the baseline.

    rests  left out where there were none
    """

    schema: Version
    environment: Environment
    model: Model
    prompt: Prompt
    settings: Annotated[dict[str, Any], SettingsOf(RaceRequest)]
    schedule: Schedule
    lanes: list[Lane]
    comparison: Comparison
    verdict: Verdict
    rests: NotRequired[Rests]
