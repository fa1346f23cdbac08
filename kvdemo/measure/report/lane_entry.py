"""Build the entry of one lane in a measurement's document: runs, statistics, latency, memory, roofline."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

from kvdemo.core.figures import statistics
from kvdemo.core.figures.metrics import searched, token_gaps
from kvdemo.core.types import LaneInfo, Pass, TimedStep
from kvdemo.costs import formulas
from kvdemo.measure.peak_memory import NOT_MEASURED
from kvdemo.measure.roofline import bounds, what_binds
from kvdemo.measure.roofline.bounds import RooflineModel
from kvdemo.measure.single_run import Trial
from kvdemo.race.document import pass_entries

Entry = dict[str, Any]


@dataclass
class LaneTrials:
    """What one lane has done so far.

    places        its place in the order of each repeat
    formula_note  what the formula for its cache stands for, where that is not what it holds
    """

    info: LaneInfo
    trials: list[Trial] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    status: str = "waiting"
    error: str | None = None
    remarks: list[str] = field(default_factory=list)
    formula_note: str | None = None

    @property
    def seconds(self) -> list[float]:
        """E2E of each run."""
        return [trial.metrics.e2e_s for trial in self.trials]


def lane_entry(record: LaneTrials, prompt_tokens: int, machine: RooflineModel | None, text: str) -> Entry:
    """Build one entry of "lanes"; `text` is what the first run wrote."""
    trials = record.trials
    return {
        "strategy": record.info.strategy,
        "name": record.info.name,
        "options": dict(record.info.options),
        "sampling": dict(record.info.sampling),
        "status": record.status,
        "error": record.error,
        "runs": [_run(n, place, trial) for n, (place, trial) in enumerate(zip(record.places, trials, strict=True))],
        "statistics": _statistics(trials) if trials else None,
        "warning": statistics.noise_warning(record.seconds),
        "remarks": record.remarks,
        "tokens": trials[0].tokens if trials else [],
        "text": text,
        "deterministic": all(trial.tokens == trials[0].tokens for trial in trials),
        "latency": _latency(trials, prompt_tokens),
        "passes": _passes(trials),
        "memory": _lane_memory(record, prompt_tokens, machine),
        "roofline": _lane_roofline(trials, prompt_tokens, machine),
    }


def _run(repeat: int, place: int, trial: Trial) -> Entry:
    metrics = trial.metrics
    return {
        "repeat": repeat,
        "position": place,
        "tokens": metrics.tokens,
        "e2e_s": metrics.e2e_s,
        "ttft_s": metrics.ttft_s,
        "decode_s": _decode(trial),
        "tpot_s": metrics.tpot_s,
        "tokenize_s": metrics.tokenize_s,
        "tokens_per_s": metrics.tokens_per_s,
        "levels": metrics.levels,
        "level_s": metrics.level_s,
    }


def _decode(trial: Trial) -> float:
    """Add up the seconds after the first step."""
    return sum(timed.seconds for timed in trial.steps[1:])


def _statistics(trials: Sequence[Trial]) -> Entry:
    """Summarise each figure over the runs; ITL over the gaps of all runs."""
    metrics = [trial.metrics for trial in trials]
    samples: dict[str, Sequence[float | None]] = {
        "e2e_s": [m.e2e_s for m in metrics],
        "ttft_s": [m.ttft_s for m in metrics],
        "decode_s": [_decode(trial) for trial in trials],
        "tpot_s": [m.tpot_s for m in metrics],
        "tokenize_s": [m.tokenize_s for m in metrics],
        "tokens_per_s": [m.tokens_per_s for m in metrics],
        "level_s": [m.level_s for m in metrics],
        "itl_s": [gap for trial in trials for gap in token_gaps(trial.steps)],
    }
    return {name: _summary([v for v in values if v is not None]) for name, values in samples.items()}


def _summary(samples: Sequence[float]) -> Entry | None:
    return asdict(statistics.summarize(samples)) if samples else None


def _contexts(trial: Trial, prompt_tokens: int) -> list[int]:
    """Count the prompt's tokens and those committed before each step: what a step of one pass attends to."""
    committed = (len(timed.step.choices) for timed in trial.steps[:-1])
    return list(itertools.accumulate(committed, initial=prompt_tokens))


def _ran(trial: Trial, prompt_tokens: int) -> list[tuple[TimedStep, tuple[Pass, ...]]]:
    """List each step with its forward passes."""
    contexts = _contexts(trial, prompt_tokens)
    return [(timed, timed.step.ran(context)) for timed, context in zip(trial.steps, contexts, strict=True)]


def _passes(trials: Sequence[Trial]) -> list[list[Entry]] | None:
    """List the passes of each step of the first run; None where each step is one pass of one row."""
    steps = [pass_entries(timed.step) for timed in trials[0].steps] if trials else []
    return steps if any(steps) else None


def _latency(trials: Sequence[Trial], prompt_tokens: int) -> list[list[float]]:
    """List [context, seconds] for each step: the median over the runs."""
    steps = zip(*(trial.steps for trial in trials), strict=False)
    contexts = _contexts(trials[0], prompt_tokens) if trials else []
    return [[at, median(t.seconds for t in same)] for at, same in zip(contexts, steps, strict=False)]


def _lane_memory(record: LaneTrials, prompt_tokens: int, machine: RooflineModel | None) -> Entry:
    trials = record.trials
    held = trials[0].steps[-1].step.cache_bytes if trials else None
    formula = None
    if held is not None and machine:
        formula = _held_by_formula(trials[0], prompt_tokens, machine) if held else 0
    peaks = [trial.peak_bytes for trial in trials if trial.peak_bytes is not None]
    return {
        "cache_bytes": held,
        "cache_bytes_formula": formula,
        "cache_bytes_formula_note": record.formula_note,
        "peak_bytes": max(peaks) if peaks else None,
        "peak_note": NOT_MEASURED if trials and not peaks else None,
    }


def _held_by_formula(trial: Trial, prompt_tokens: int, machine: RooflineModel) -> int | None:
    """Count the bytes of keys and values of all positions run and not cut off again, in all rows; the draft's too.

    None where the draft model's shape is not known.
    """
    steps = _ran(trial, prompt_tokens)
    *_, own = (ran for ran in steps[-1][1] if not ran.draft)
    positions = max(own.held, _contexts(trial, prompt_tokens)[-1])  # more where a cache forgets some of them
    held = formulas.kv_bytes(machine.architecture, positions, machine.itemsize, own.rows)
    drafted = [ran for _, passes in steps for ran in passes if ran.draft]
    if drafted and machine.draft is None:
        return None
    if drafted and machine.draft:
        last = drafted[-1]
        held += formulas.kv_bytes(machine.draft, last.held, machine.itemsize, last.rows, last.beyond)
    return held


def _lane_roofline(trials: Sequence[Trial], prompt_tokens: int, machine: RooflineModel | None) -> Entry | None:
    """Decode steps, those after the first, against what this device allows for.

    A search that has found its whole text in one step has no other: all of it is taken.
    """
    if machine is None or not trials:
        return None
    ran = _ran(trials[0], prompt_tokens)
    decoding = slice(1, None) if len(ran) > 1 else slice(0, None)
    passes = [one for _, step in ran[decoding] for one in step]
    measured = median(sum(timed.seconds for timed in trial.steps[decoding]) for trial in trials)
    search = searched(trials[0].steps) and len(passes) > 1
    if (len(ran) < 2 and not search) or measured <= 0:
        return None
    predicted = predict(trials[0], prompt_tokens, machine, decoding)
    steps = len(ran[decoding])
    return {
        "basis": "predicted",
        "steps": steps,
        "passes": len(passes),
        "floor_s": predicted.floor_s / steps,
        "achieved_bytes_per_s": predicted.bytes / measured,
        "percent_of_floor": 100 * predicted.floor_s / measured,
        "bound": predicted.binding(measured),
        "operations_per_pass": machine.operations,
        "reason": what_binds.reason(machine, steps, predicted, measured),
    }


def predict(
    trial: Trial, prompt_tokens: int, machine: RooflineModel, steps: slice = slice(1, None)
) -> bounds.Prediction:
    """Predict the least that some of a run's steps take: those after the prefill, unless told otherwise."""
    ran = _ran(trial, prompt_tokens)[steps]
    return machine.steps((passes, timed.step.cache_bytes) for timed, passes in ran)
