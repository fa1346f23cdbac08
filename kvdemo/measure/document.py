"""Build a measurement's document: what `--json` prints, the tab shows, and `compare` reads. It is always complete."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

from kvdemo.core import statistics
from kvdemo.core.declaration import recorded
from kvdemo.core.measure_settings import MeasureRequest
from kvdemo.core.metrics import seconds_to_token, token_gaps
from kvdemo.core.types import LaneInfo, Pass, TimedStep
from kvdemo.costs import formulas
from kvdemo.costs.planner import LENGTHS
from kvdemo.measure.peak_memory import NOT_MEASURED
from kvdemo.measure.roofline import bounds
from kvdemo.measure.roofline.bounds import RooflineModel
from kvdemo.measure.roofline.device_peaks import DevicePeaks
from kvdemo.measure.trial import Trial
from kvdemo.race.document import pass_entries

#: Contexts at which the floors are worked out for the chart.
FLOOR_POINTS = 60
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


def settings(request: MeasureRequest, *, chat: bool) -> Entry:
    """The "settings" entry."""
    return {"strategies": list(request.race.strategies)} | recorded(request) | {"chat": chat}


def lane(record: LaneTrials, prompt_tokens: int, machine: RooflineModel | None, text: str) -> Entry:
    """One entry of "lanes"; `text` is what the first run wrote."""
    trials = record.trials
    return {
        "strategy": record.info.strategy,
        "name": record.info.name,
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
    """Seconds after the first step."""
    return sum(timed.seconds for timed in trial.steps[1:])


def _statistics(trials: Sequence[Trial]) -> Entry:
    """Each figure over the runs; ITL over the gaps of all runs."""
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
    """The prompt's tokens and those committed before each step: what a step of one pass attends to."""
    committed = (len(timed.step.choices) for timed in trial.steps[:-1])
    return list(itertools.accumulate(committed, initial=prompt_tokens))


def _ran(trial: Trial, prompt_tokens: int) -> list[tuple[TimedStep, tuple[Pass, ...]]]:
    """Each step with its forward passes."""
    contexts = _contexts(trial, prompt_tokens)
    return [(timed, timed.step.ran(context)) for timed, context in zip(trial.steps, contexts, strict=True)]


def _passes(trials: Sequence[Trial]) -> list[list[Entry]] | None:
    """The passes of each step of the first run; None where each step is one pass of one row."""
    steps = [pass_entries(timed.step) for timed in trials[0].steps] if trials else []
    return steps if any(steps) else None


def _latency(trials: Sequence[Trial], prompt_tokens: int) -> list[list[float]]:
    """[context, seconds] for each step: the median over the runs."""
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
    """Bytes of keys and values of all positions that were run and not cut off again, in all rows; the draft's too.

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
    if (len(ran) < 2 and len(passes) < 2) or measured <= 0:
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
        "reason": bounds.reason(machine, steps, predicted, measured),
    }


def predict(
    trial: Trial, prompt_tokens: int, machine: RooflineModel, steps: slice = slice(1, None)
) -> bounds.Prediction:
    """What the device allows for some of a run's steps: those after the prefill, unless told otherwise."""
    ran = _ran(trial, prompt_tokens)[steps]
    return machine.steps((passes, timed.step.cache_bytes) for timed, passes in ran)


def comparison(records: Sequence[LaneTrials]) -> Entry:
    """Each lane against the first, on E2E. Lanes that wrote unequal numbers of tokens are not compared."""
    baseline, others = records[0], records[1:]
    return {
        "baseline": baseline.info.strategy,
        "lanes": [_compared(baseline, other) for other in others if baseline.trials and other.trials],
    }


def _compared(baseline: LaneTrials, other: LaneTrials) -> Entry:
    counts = {len(trial.tokens) for record in (baseline, other) for trial in record.trials}
    if len(counts) > 1:
        return _not_compared(
            other,
            f"{other.info.name} and {baseline.info.name} did not write equally many tokens: no speedup can be given.",
        )
    if min(*baseline.seconds, *other.seconds) <= 0:
        return _not_compared(other, "A run took less time than the clock can measure: no speedup can be given.")
    found = statistics.speedup(baseline.seconds, other.seconds)
    return {
        "strategy": other.info.strategy,
        "speedup": found.ratio,
        "low": found.low,
        "high": found.high,
        "significant": found.significant,
        "statement": statistics.statement(found, other.info.name, baseline.info.name),
    }


def _not_compared(other: LaneTrials, why: str) -> Entry:
    unknown = dict.fromkeys(("speedup", "low", "high", "significant"))
    return {"strategy": other.info.strategy, **unknown, "statement": why}


def roofline(machine: RooflineModel, prompt_tokens: int, longest: int) -> Entry:
    """The floors of this model on this device, from the prompt's length to the longest context: for the chart."""
    stride = max(1, (longest - prompt_tokens) // FLOOR_POINTS)
    contexts = [*range(max(1, prompt_tokens), longest, stride), longest]
    return {
        "basis": "predicted",
        "context": contexts,
        "decode_floor_s": [machine.decode_floor_s(context) for context in contexts],
        "no_cache_floor_s": [machine.no_cache_floor_s(context) for context in contexts],
    }


def limits(found: DevicePeaks) -> Entry:
    """The device's ceilings as they were measured."""
    return {
        "basis": "measured",
        "copy_bytes_per_s": found.copy_bytes_per_s,
        "matvec_bytes_per_s": found.matvec_bytes_per_s,
        "matmul_flops_per_s": found.matmul_flops_per_s,
        "launch_s": found.launch_s,
        "read_bytes_per_s": found.read_bytes_per_s or None,
        "eager_bytes_per_s": found.eager_bytes_per_s or None,
        "packed_bytes_per_s": found.packed_bytes_per_s or None,
    }


def memory(machine: RooflineModel, weight_bytes: int) -> Entry:
    """What the formula says of this model's cache."""
    architecture, itemsize = machine.architecture, machine.itemsize
    return {
        "basis": "formula",
        "weight_bytes": weight_bytes,
        "bytes_per_token": formulas.kv_bytes_per_token(architecture, itemsize),
        "at": [{"positions": n, "bytes": formulas.kv_bytes(architecture, n, itemsize)} for n in LENGTHS],
        "outgrows_weights_at": formulas.outgrows_weights_at(architecture, itemsize, weight_bytes),
    }


def cell(
    prompt_tokens: int,
    new_tokens: int,
    runs: Mapping[str, tuple[LaneInfo, Sequence[Trial]]],
    machine: RooflineModel | None,
) -> Entry:
    """One cell of the sweep: each lane's median time to the count, read from runs that went at least as far."""
    samples = {
        strategy: [seconds_to_token(trial.steps, new_tokens) for trial in trials]
        for strategy, (_, trials) in runs.items()
    }
    seconds = {strategy: median(values) for strategy, values in samples.items()}
    baseline, *others = runs
    bound: dict[str, bounds.Bound | None] = {
        strategy: predict(
            trials[0], prompt_tokens, machine.for_strategy(strategy), slice(_steps_to(trials[0], new_tokens))
        ).binding(seconds[strategy])
        for strategy, (_, trials) in runs.items()
        if machine
    }
    return {
        "prompt_tokens": prompt_tokens,
        "new_tokens": new_tokens,
        "n": {strategy: len(values) for strategy, values in samples.items()},
        "seconds": seconds,
        "range": {strategy: [min(values), max(values)] for strategy, values in samples.items()},
        "speedup": {strategy: _over(seconds[baseline], seconds[strategy]) for strategy in others},
        "bound": bound,
        "reason": " ".join(_cell_reason(runs, samples, bound, baseline, strategy) for strategy in others)
        or "There is one lane: nothing to compare it with.",
    }


def _over(baseline: float, seconds: float) -> float | None:
    """A speedup; None with a clock that did not tick."""
    return baseline / seconds if baseline > 0 and seconds > 0 else None


def _steps_to(trial: Trial, tokens: int) -> int:
    """How many of a run's steps it takes to the n-th token."""
    committed = itertools.accumulate(len(timed.step.choices) for timed in trial.steps)
    return next(n for n, done in enumerate(committed, start=1) if done >= tokens)


def _cell_reason(
    runs: Mapping[str, tuple[LaneInfo, Sequence[Trial]]],
    samples: Mapping[str, Sequence[float]],
    bound: Mapping[str, bounds.Bound | None],
    baseline: str,
    strategy: str,
) -> str:
    if not bound:
        return "What binds them cannot be said: this model's shape is not understood, or the device was not measured."
    ours, theirs = samples[strategy], samples[baseline]
    overlap = min(len(ours), len(theirs)) > 1 and max(min(ours), min(theirs)) <= min(max(ours), max(theirs))
    return bounds.cell_reason(
        (runs[baseline][0].name, bound[baseline]),
        (runs[strategy][0].name, bound[strategy]),
        None if overlap else _over(median(theirs), median(ours)),
    )
