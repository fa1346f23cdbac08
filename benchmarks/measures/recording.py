"""Time recording what a step chose and what it chose from, against a step that records nothing.

The same strategy in lockstep three times: its steps as a race takes them, recorded behind the clock; its steps without
any recording; and its steps with the recording inside the clock, which is what would be paid if it were there. What the
first is above the second is what recording leaves behind for the next step, such as evicted processor caches.

`run_candidates` does the same with what tokens were chosen from, which also keeps what each sampler made of the logits
until the step is recorded: greedy, and with several samplers.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator

from benchmarks.figure import Figure
from benchmarks.tools import lockstep
from kvdemo import strategies
from kvdemo.core.settings.race import Sampling
from kvdemo.core.types import Step
from kvdemo.engine.timer import Stopwatch, time_steps
from kvdemo.models.loaded import LoadedModel
from kvdemo.samplers import Rule
from kvdemo.strategies.base import Job
from kvdemo.strategies.chooser import Chooser, record

PROMPT = "What is KV caching?"
GREEDY = Rule()
SAMPLED = Rule(Sampling(temperature=0.8, top_p=0.95), {"min_p": 0.05})


def run(
    model: LoadedModel, strategy: str = "dynamic_cache", rounds: int = 16, positions: int = 32, target: float = 1.01
) -> Iterator[Figure]:
    """Measure a recorded step against one that records nothing, and what recording within the step would cost."""
    seconds = lockstep.take(
        {
            "recorded": _loop(model, strategy, positions, lambda steps: steps, record),
            "not": _loop(model, strategy, positions, lambda steps: steps, lambda step: step),
            "inside": _loop(model, strategy, positions, lambda steps: map(record, steps), lambda step: step),
        },
        rounds=rounds,
        positions=positions,
    )
    found = lockstep.ratio(seconds["recorded"], seconds["not"])
    name = f"{strategy}: a step that is recorded behind the clock / one that is not recorded"
    yield Figure(name, found.value, "×", target, interval=found.interval)
    found = lockstep.ratio(seconds["inside"], seconds["not"])
    name = f"{strategy}: a step with the recording inside / one that is not recorded"
    yield Figure(name, found.value, "×", None, interval=found.interval)


def run_candidates(
    model: LoadedModel, strategy: str = "dynamic_cache", rounds: int = 24, positions: int = 32, target: float = 1.01
) -> Iterator[Figure]:
    """Measure a step whose candidates are recorded, as a page's race does, against the same that records nothing."""
    for named, rule in (("greedy", Rule()), ("temperature 0.8, top-p 0.95, min-p 0.05", SAMPLED)):
        seconds = lockstep.take(
            {
                "recorded": _loop(model, strategy, positions, lambda steps: steps, record, rule, with_candidates=True),
                "not": _loop(model, strategy, positions, lambda steps: steps, lambda step: step, rule),
            },
            rounds=rounds,
            positions=positions,
        )
        found = lockstep.ratio(seconds["recorded"], seconds["not"])
        name = f"{strategy}, {named}: a step whose candidates are recorded / one that is not recorded"
        yield Figure(name, found.value, "×", target, interval=found.interval)


def _loop(
    model: LoadedModel,
    strategy: str,
    positions: int,
    within: Callable[[Iterator[Step]], Iterator[Step]],
    behind: Callable[[Step], Step],
    rule: Rule = GREEDY,
    *,
    with_candidates: bool = False,
) -> lockstep.Loop:
    """Run the strategy's steps as `timer.time_steps` times them, `within` the timed region and `behind` it."""

    def start() -> Generator[float, None, None]:
        prompt = model.prompt(PROMPT, chat=False)
        choose = Chooser(rule, model.device, lambda: model.encode(prompt), with_candidates=with_candidates)
        job = Job(model, prompt, lambda appended: model.encode(prompt, appended), choose, positions + 2)
        steps = within(strategies.get(strategy).decode(job))
        for taken in time_steps(steps, model.synchronize, Stopwatch(), record=behind):
            yield taken.seconds

    return start
