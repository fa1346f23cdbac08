"""Define the figures of equal requests that were sent to an engine at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kvdemo.core.figures.metrics import Spread, spread


@dataclass(frozen=True, slots=True)
class RequestFigures:
    """One of the requests. Seconds count from its own sending; what is undefined is None.

    tokens     that it was answered with
    ttft_s     to the first token
    tpot_s     (e2e_s - ttft_s) / (tokens - 1)
    e2e_s      to the last token
    same_text  whether its text is that of the first request
    error      one sentence where it failed; its times are then None
    """

    tokens: int
    ttft_s: float | None
    tpot_s: float | None
    e2e_s: float | None
    same_text: bool
    error: str | None = None


@dataclass(frozen=True, slots=True)
class RequestTotals:
    """All of the requests, the lane's own first. Those that failed are not part of the sums.

    tokens        of all
    seconds       from the first sending to the last token of all
    tokens_per_s  tokens / seconds; None with a clock that did not tick
    equal_texts   requests with the text of the first one, itself included
    """

    tokens: int
    seconds: float
    tokens_per_s: float | None
    equal_texts: int
    each: tuple[RequestFigures, ...]

    @classmethod
    def of(cls, each: Sequence[RequestFigures], seconds: float) -> RequestTotals:
        """Add up the requests; `seconds` go from the first sending to the last token of all."""
        tokens = sum(one.tokens for one in each if one.error is None)
        equal = sum(one.same_text for one in each)
        return cls(tokens, seconds, tokens / seconds if seconds > 0 else None, equal, tuple(each))

    @property
    def latency(self) -> Spread:
        """The seconds that one of the requests took."""
        return spread([one.e2e_s for one in self.each if one.e2e_s is not None])

    @property
    def failed(self) -> list[str]:
        """Why each request that failed did."""
        return [one.error for one in self.each if one.error is not None]
