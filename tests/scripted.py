"""Scripted parts for what reality will not do on demand: lanes with given costs, and a clock that obeys."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from kvdemo.core.events import Ended, Finding, Verdict
from kvdemo.core.types import BeamNode, Choice, LaneInfo, Pass, Step, TimedStep
from kvdemo.engine.lane_history import LaneHistory


def choice(token: int, logprob: float = -0.5, runner_up: int = 0, runner_up_logprob: float = -1.0) -> Choice:
    return Choice(token, logprob, runner_up, runner_up_logprob)


def step(*tokens: int, positions: int = 1, cache_bytes: int = 0, texts: Sequence[str] | None = None) -> Step:
    return Step(tuple(choice(t) for t in tokens), positions, cache_bytes, None if texts is None else tuple(texts))


def time_steps(costs: Iterable[float], *, positions: int = 1, cache_bytes: int = 0) -> Iterator[TimedStep]:
    """One token a step: the tokens 10, 11, 12 ... at the given seconds."""
    for token, seconds in enumerate(costs, start=10):
        yield TimedStep(step(token, positions=positions, cache_bytes=cache_bytes), seconds)


def record(
    name: str,
    tokens: Sequence[int],
    seconds: Sequence[float],
    *,
    cached: bool = False,
    prompt: int = 5,
    lossless: bool = True,
) -> LaneHistory:
    """A finished lane: cached lanes run the prompt and then one position a step, others everything again."""
    made = LaneHistory(LaneInfo(name.lower(), name, f"{name} lane", lossless))
    for n, (token, cost) in enumerate(zip(tokens, seconds, strict=True)):
        positions = (1 if n else prompt) if cached else prompt + n
        made.add(
            TimedStep(step(token, positions=positions, cache_bytes=100 * (prompt + n) * cached), cost), (f"<{token}>",)
        )
    made.ended = Ended(0, "length")
    return made


def search(name: str, *seconds: tuple[float, int], prompt: int = 5, beams: int = 4) -> LaneHistory:
    """A finished search: for each step its seconds, and how many tokens it commits; each took one level of the tree."""
    made = LaneHistory(LaneInfo(name.lower(), name, f"{name} lane", lossless=False, searches=True))
    context = prompt - 1
    for cost, tokens in seconds:
        passes: list[Pass] = []
        for _ in range(tokens):
            first = not made.steps and not passes
            context += 1
            passes.append(Pass(1 if first else beams, prompt if first else 1, context))
        levels = (tuple(BeamNode(0, 1, -0.5, -0.5) for _ in range(beams)),) * tokens
        committed = range(len(made.tokens), len(made.tokens) + tokens)
        positions = sum(ran.rows * ran.positions for ran in passes)
        taken = Step(
            tuple(map(choice, committed)), positions, 100 * beams * context, levels=levels, passes=tuple(passes)
        )
        made.add(TimedStep(taken, cost), tuple(f"<{token}>" for token in committed))
    made.ended = Ended(0, "length")
    return made


def verdict(headline: str, *findings: Finding | str) -> Verdict:
    """A verdict that says so; a sentence alone is about the whole race."""
    said = (one if isinstance(one, Finding) else Finding("remark", (), {}, one) for one in findings)
    return Verdict((Finding("alone", (), {}, headline), *said))


class FakeClock:
    """Time that passes only when told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def spend(self, seconds: float) -> None:
        self.now += seconds
