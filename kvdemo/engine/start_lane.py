"""Make a lane of a strategy, a prompt and a request."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from functools import partial

from kvdemo.caches.prefix_store import PrefixSlot
from kvdemo.core.errors import CODE_FAILS, BadInput, fault_in_code
from kvdemo.core.settings.race import RaceRequest
from kvdemo.core.types import Step, TimedStep
from kvdemo.engine.lane import Lane
from kvdemo.engine.timer import Stopwatch, time_steps
from kvdemo.models.device import synchronize
from kvdemo.models.errors import out_of_memory
from kvdemo.models.loaded import LoadedModel
from kvdemo.models.text.codec import Prompt
from kvdemo.samplers import Rule
from kvdemo.strategies import chooser
from kvdemo.strategies.base import Job, Strategy

log = logging.getLogger(__name__)


def start_lane(  # noqa: PLR0913 - each keyword argument is used by one caller
    strategy: Strategy,
    request: RaceRequest,
    model: LoadedModel,
    prompt: Prompt,
    max_new_tokens: int,
    *,
    cut: int | None = None,
    handover: PrefixSlot | None = None,
    with_candidates: bool = False,
    around: Callable[[Iterator[Step]], Iterator[Step]] = lambda steps: steps,
    tell: Callable[[str], None] = lambda _: None,
) -> Lane:
    """Start a strategy on a prompt: its steps are timed, sampling and end of text are as the request says.

    `cut` ends the lane after fewer tokens, for a warm-up that prepares (reserves, compiles) as the run itself will. A
    search reserves nothing and would find the whole text before its first token, so it is asked for `cut` tokens only.
    `with_candidates` has it recorded what each token was chosen from.
    `around` wraps the strategy's own steps. What the strategy prepares before its first step, such as compiled code, is
    prepared here and reported to `tell`.
    """
    if cut is not None and strategy.searches:
        max_new_tokens = min(cut, max_new_tokens)
    tokenizing = Stopwatch()
    rule = Rule(request.sampling, strategy.sampling)
    eos_ids = () if request.ignore_eos else model.eos_ids
    job = Job(
        model=model,
        prompt=prompt,
        encode=tokenizing.wrap(lambda appended: model.encode(prompt, appended)),
        choose=chooser.Chooser(rule, model.device, lambda: model.encode(prompt), with_candidates=with_candidates),
        max_new_tokens=max_new_tokens,
        ends=eos_ids,
        sampling=rule,
        handover=handover,
        tell=tell,
    )
    wait = partial(
        synchronize, *model.devices
    )  # looked up once: a model finds its device by a walk over its parameters
    steps = time_steps(around(_prepared(strategy, job)), wait, tokenizing, record=chooser.record)
    steps = _explained(steps, strategy, model)
    return Lane(steps, min(cut or max_new_tokens, max_new_tokens), eos_ids, preemptible=not strategy.elsewhere)


def _prepared(strategy: Strategy, job: Job) -> Iterator[Step]:
    """Start the strategy's generator. An error in its preparation fails this lane alone, at its first step."""
    try:
        return strategy.decode(job)
    except Exception as error:  # noqa: BLE001 - raised again below
        return _failing(error)


def _failing(error: Exception) -> Iterator[Step]:
    """Raise at the first step."""
    yield from ()
    raise error


def _explained(steps: Iterator[TimedStep], strategy: Strategy, model: LoadedModel) -> Iterator[TimedStep]:
    """Turn an exception that speaks of Python code into a sentence for the reader; the exception goes to the log."""
    try:
        yield from steps
    except Exception as error:
        if not fault_in_code(error):
            raise
        kind = type(model.network).__name__
        log.warning("%s failed on %s", strategy.spec, kind, exc_info=True)
        raise BadInput(
            f"{strategy.name} cannot go on with {model.id}: code that it needs fails on models of class {kind}. Choose "
            "another strategy or model."
        ) from error


def describe_failure(error: Exception) -> str:
    """Say in one sentence why a lane failed."""
    if isinstance(error, BadInput):
        return str(error)
    if out_of_memory(error):
        return "The device ran out of memory: ask for fewer tokens or choose a smaller model."
    if fault_in_code(error):
        log.warning("A fault in code", exc_info=error)
        return f"{CODE_FAILS.capitalize()}, and this program's log says where."
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
