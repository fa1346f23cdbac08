"""The outcome in plain words, and why it came out so. Every number in it was measured in this race.

The first lane is the baseline. Each other lane gets a sentence on time, one on work and memory, one on
whether the text is the same, and, where keeping a cache did not pay, the reason that the steps show. What a
strategy itself has to remark on its run comes after that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import median

from kvdemo import words
from kvdemo.core import Schedule, Verdict
from kvdemo.metrics import lane_metrics, seconds_to_token, speedup
from kvdemo.record import LaneRecord

# Closer than this, two times are called the same: it is what two equal lanes differ by on a busy machine.
SAME = 1.05


def judge(records: Sequence[LaneRecord], schedule: Schedule) -> Verdict:
    """The verdict on a race that is over."""
    baseline, others = records[0], records[1:]
    headlines, sentences = [], []
    for lane in others:
        if not (lane.tokens and baseline.tokens):
            continue
        than = f" than {baseline.info.name}" if len(others) > 1 else ""
        headlines.append((speedup(baseline.steps, lane.steps) or 0.0, _time(baseline, lane, than)))
        sentences += [_work(baseline, lane), _why_not(baseline, lane), _text(baseline, lane)]
    if schedule == "simultaneous" and len(records) > 1:
        sentences.append("The lanes ran at once and slowed each other down: use fair turns to compare their speed.")
    if len(records) > 2 and all(record.tokens for record in records):
        sentences.append(_winners(records))
    sentences += [remark for record in records for remark in record.remarks]
    sentences += [_end(record) for record in records]
    best = max(headlines, default=None)
    rest = [line for line in headlines if line is not best]
    headline = best[1] if best else _alone(baseline) if not others else "There is nothing to compare."
    return Verdict(headline, tuple(s for s in [*(line for _, line in rest), *sentences] if s))


def _winners(records: Sequence[LaneRecord]) -> str:
    """Who was best at what: time and TTFT over the tokens that all wrote, memory among those that keep a cache."""
    shared = min(len(record.tokens) for record in records)
    total = {record.info.name: seconds_to_token(record.steps, shared) for record in records}
    first = {record.info.name: seconds_to_token(record.steps, 1) for record in records}
    held = {record.info.name: bytes_ for record in records if (bytes_ := record.steps[-1].step.cache_bytes)}
    parts = [f"fastest {_least(total, words.seconds)}", f"first token {_least(first, words.seconds)}"]
    if held:
        parts.append(f"least memory among those that keep a cache {_least(held, lambda n: words.amount(n, 'B'))}")
    same = [record.info.name for record in records[1:] if record.divergence is None]
    parts.append(f"same text as {records[0].info.name}: {', '.join(same) or 'none'}")
    return f"Best at each: {'; '.join(parts)}."


def _least(values: Mapping[str, float], written: Callable[[float], str]) -> str:
    name = min(values, key=lambda key: values[key])
    return f"{name} ({written(values[name])})"


def _alone(lane: LaneRecord) -> str:
    metrics = lane_metrics(lane.steps)
    return f"{lane.info.name} wrote {words.count(metrics.tokens, 'token')} in {words.seconds(metrics.e2e_s)}."


def _time(baseline: LaneRecord, lane: LaneRecord, than: str) -> str:
    shared = min(len(baseline.tokens), len(lane.tokens))
    ours, theirs = seconds_to_token(lane.steps, shared), seconds_to_token(baseline.steps, shared)
    whole = len(baseline.tokens) == len(lane.tokens) and all(map(_done, (baseline, lane)))
    tokens = f"{'' if whole else 'the first '}{words.count(shared, 'token')}"
    figures = f"{tokens} in {words.seconds(ours)} against {words.seconds(theirs)}"
    name, other = lane.info.name, baseline.info.name
    if theirs > ours * SAME:
        times = f"{theirs / ours:.1f}×"
        return f"{name} {f'finished {times} sooner{than}' if whole else f'was {times} as fast as {other}'}: {figures}."
    if ours > theirs * SAME:
        return f"{name} took {ours / theirs:.2g}× as long as {other}: {figures}."
    return f"{name} and {other} took about the same time: {figures}."


def _done(lane: LaneRecord) -> bool:
    return lane.ended is not None and lane.ended.reason in ("length", "eos")


def _work(baseline: LaneRecord, lane: LaneRecord) -> str:
    if lane.info.elsewhere or baseline.info.elsewhere:
        return ""
    ours, theirs = lane_metrics(lane.steps).positions, lane_metrics(baseline.steps).positions
    held = lane.steps[-1].step.cache_bytes
    price = f" It held {words.amount(held, 'B')} of keys and values at the end." if held else ""
    work = (
        f"{lane.info.name} ran {words.count(ours, 'position')} through the model; {baseline.info.name} ran {theirs:,}."
    )
    return work + price


def _why_not(baseline: LaneRecord, lane: LaneRecord) -> str:
    """Why a lane that keeps a cache saved no time by it; empty where it did, or where there is no cache."""
    shared = min(len(baseline.tokens), len(lane.tokens))
    if not lane.steps[-1].step.cache_bytes or baseline.steps[-1].step.cache_bytes:
        return ""
    if shared == 1:
        return "With a single token there is nothing to reuse: every lane runs the prompt once."
    if seconds_to_token(baseline.steps, shared) > seconds_to_token(lane.steps, shared) * SAME:
        return ""
    # Half of the shared steps, the later ones: there the baseline has the most positions to run again.
    late = baseline.steps[len(baseline.steps) // 2 :]
    positions = round(median(timed.step.positions for timed in late))
    long_step = median(timed.seconds for timed in late)
    short_step = median(timed.seconds for timed in lane.steps[1:])
    return (
        f"Saved work was not saved time: a step over {positions} positions took {words.seconds(long_step)} here, and "
        f"one over a single new position {words.seconds(short_step)}. At this length a step's fixed costs, such as "
        "launching kernels and reading the weights, outweigh the positions that the cache saves."
    )


def _text(baseline: LaneRecord, lane: LaneRecord) -> str:
    if lane.divergence is None:
        return f"Same text: {words.count(min(len(baseline.tokens), len(lane.tokens)), 'token')} compared, all equal."
    same = lane.divergence.index
    opening = f"Same text up to token {same:,}." if same else "The first token differs already."
    return f"{opening} {lane.divergence.detail}"


def _end(record: LaneRecord) -> str:
    ended = record.ended
    if ended and ended.reason == "error":
        return f"{record.info.name} failed after {words.count(len(record.tokens), 'token')}: {ended.error}"
    if ended and ended.reason == "stopped":
        return f"{record.info.name} was stopped after {words.count(len(record.tokens), 'token')}."
    return ""
