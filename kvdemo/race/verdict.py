"""The outcome in plain words, and why it came out so. Every number in it was measured in this race.

The first lane is the baseline. Each other lane gets a sentence on time, one on work and memory, one on
whether the text is the same, and, where keeping a cache did not pay, the reason that the steps show. What a
strategy itself has to remark on its run comes after that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from statistics import median

from kvdemo.core import units
from kvdemo.core.metrics import lane_metrics, searched, seconds_to_token, speedup
from kvdemo.core.types import Schedule, Verdict
from kvdemo.engine.lane_history import LaneHistory

# Closer than this, two times are called the same: it is what two equal lanes differ by on a busy machine.
SAME = 1.05


def judge(records: Sequence[LaneHistory], schedule: Schedule) -> Verdict:
    """The verdict on a race that is over."""
    baseline, others = records[0], records[1:]
    compared = [lane for lane in others if lane.tokens and baseline.tokens]
    than = f" than {baseline.info.name}" if len(others) > 1 else ""
    times = [_time(baseline, lane, than) for lane in compared]
    # The lane that gained most; one whose time cannot be compared comes last. Of equals, the first.
    best = max(range(len(compared)), key=lambda n: _gain(baseline, compared[n]), default=None)
    sentences = [time for n, time in enumerate(times) if n != best]
    for lane in compared:
        sentences += [_work(baseline, lane), _why_not(baseline, lane), _text(baseline, lane)]
    if schedule == "simultaneous" and len(records) > 1:
        sentences.append("The lanes ran at once and slowed each other down: use fair turns to compare their speed.")
    if len(records) > 2:
        sentences.append(_winners(records))
    sentences += [remark for record in records for remark in record.remarks]
    sentences += [_end(record) for record in records]
    headline = _alone(baseline) if not others else "There is nothing to compare." if best is None else times[best]
    return Verdict(headline, tuple(s for s in sentences if s))


def _gain(baseline: LaneHistory, lane: LaneHistory) -> float:
    return speedup(baseline.steps, lane.steps) or 0.0


def _winners(records: Sequence[LaneHistory]) -> str:
    """Who was best at what, among lanes that did the same; empty where fewer than two did.

    Time: those that wrote equally many tokens, as most of them did, and more than one. First token: those that commit
    each token when they have it, which a search does not, and went on after it if the others did. Memory: those that
    keep a cache, after as many tokens.
    """
    written = [record for record in records if record.tokens]
    if not written:
        return ""
    counts = Counter(len(record.tokens) for record in written)
    most = max(counts, key=lambda n: (counts[n], n))
    equal = [record for record in written if len(record.tokens) == most]
    streams = [record for record in written if len(record.tokens) > min(most - 1, 1) and not searched(record.steps)]
    total = [(seconds_to_token(record.steps, most), record.info.name) for record in equal if most > 1]
    first = [(record.steps[0].seconds, record.info.name) for record in streams]
    held = [(float(record.steps[-1].step.cache_bytes), record.info.name) for record in equal]
    held = [(bytes_, name) for bytes_, name in held if bytes_]
    contests: list[tuple[str, Sequence[tuple[float, str]], Callable[[float], str]]] = [
        ("fastest", total, units.seconds),
        ("first token", first, units.seconds),
        ("least memory among those that keep a cache", held, lambda n: units.amount(n, "B")),
    ]
    parts = [f"{title} {_least(values, shown)}" for title, values, shown in contests if len(values) > 1]
    if not parts:
        return ""
    same = [record.info.name for record in records[1:] if record.tokens and record.divergence is None]
    if records[0].tokens:
        parts.append(f"same text as {records[0].info.name}: {', '.join(same) or 'none'}")
    return f"Best at each: {'; '.join(parts)}."


def _least(values: Sequence[tuple[float, str]], written: Callable[[float], str]) -> str:
    """The smallest value with its lane's name, the first of equals."""
    value, name = min(values, key=lambda pair: pair[0])
    return f"{name} ({written(value)})"


def _alone(lane: LaneHistory) -> str:
    metrics = lane_metrics(lane.steps)
    return f"{lane.info.name} wrote {units.count(metrics.tokens, 'token')} in {units.seconds(metrics.e2e_s)}."


def _time(baseline: LaneHistory, lane: LaneHistory, than: str) -> str:
    """How the two times compare, where they are times of the same."""
    ours, theirs = len(lane.tokens), len(baseline.tokens)
    name, other, shared = lane.info.name, baseline.info.name, min(ours, theirs)
    if ours != theirs and (searched(lane.steps) or searched(baseline.steps)):
        return (
            f"{name} wrote {units.count(ours, 'token')} and {other} {theirs:,}: the time of a search can only be "
            "compared over the whole of equally long texts."
        )
    mine, its = seconds_to_token(lane.steps, shared), seconds_to_token(baseline.steps, shared)
    if ours != theirs and shared == 1:
        short = name if ours == 1 else other
        return (
            f"{short} ended after one token, which is too little to compare speeds: {name} had its first token after "
            f"{units.seconds(mine)}, {other} after {units.seconds(its)}."
        )
    whole = ours == theirs and all(map(_done, (baseline, lane)))
    tokens = f"{'' if whole else 'the first '}{units.count(shared, 'token')}"
    figures = f"{tokens} in {units.seconds(mine)} against {units.seconds(its)}"
    if min(mine, its) <= 0:
        return f"{name} and {other} cannot be compared, because the clock did not tick: {figures}."
    if its > mine * SAME:
        times = f"{its / mine:.1f}×"
        return f"{name} {f'finished {times} sooner{than}' if whole else f'was {times} as fast as {other}'}: {figures}."
    if mine > its * SAME:
        return f"{name} took {mine / its:.2g}× as long as {other}: {figures}."
    return f"{name} and {other} took about the same time: {figures}."


def _done(lane: LaneHistory) -> bool:
    return lane.ended is not None and lane.ended.reason in ("length", "eos")


def _work(baseline: LaneHistory, lane: LaneHistory) -> str:
    if lane.info.elsewhere or baseline.info.elsewhere:
        return ""
    ours, theirs = lane_metrics(lane.steps).positions, lane_metrics(baseline.steps).positions
    held = lane.steps[-1].step.cache_bytes
    price = f" It held {units.amount(held, 'B')} of keys and values at the end." if held else ""
    work = (
        f"{lane.info.name} ran {units.count(ours, 'position')} through the model; {baseline.info.name} ran {theirs:,}."
    )
    return work + price


def _why_not(baseline: LaneHistory, lane: LaneHistory) -> str:
    """Why a lane that keeps a cache saved no time by it; empty where it did, or where there is no cache.

    Also empty for a search: it does other work, and more of it. And for a lane whose only step is the prompt's.
    """
    shared = min(len(baseline.tokens), len(lane.tokens))
    if not lane.steps[-1].step.cache_bytes or baseline.steps[-1].step.cache_bytes or searched(lane.steps):
        return ""
    if shared == 1:
        alone = len(baseline.tokens) == len(lane.tokens)
        return "With a single token there is nothing to reuse: every lane runs the prompt once." if alone else ""
    decoding = lane.steps[1:]
    if not decoding or seconds_to_token(baseline.steps, shared) > seconds_to_token(lane.steps, shared) * SAME:
        return ""
    # Half of the shared steps, the later ones: there the baseline has the most positions to run again.
    late = baseline.steps[len(baseline.steps) // 2 :]
    positions, new = (round(median(timed.step.positions for timed in some)) for some in (late, decoding))
    long_step, short_step = (median(timed.seconds for timed in some) for some in (late, decoding))
    return (
        f"Saved work was not saved time: a step over {positions} positions took {units.seconds(long_step)} here, and "
        f"one over {'a single new position' if new == 1 else f'{new:,} new positions'} {units.seconds(short_step)}. At "
        "this length a step's fixed costs, such as launching kernels and reading the weights, outweigh the positions "
        "that the cache saves."
    )


def _text(baseline: LaneHistory, lane: LaneHistory) -> str:
    if lane.divergence is None:
        return f"Same text: {units.count(min(len(baseline.tokens), len(lane.tokens)), 'token')} compared, all equal."
    same = lane.divergence.index
    opening = f"Same text up to token {same:,}." if same else "The first token differs already."
    return f"{opening} {lane.divergence.detail}"


def _end(record: LaneHistory) -> str:
    ended = record.ended
    if ended and ended.reason == "error":
        return f"{record.info.name} failed after {units.count(len(record.tokens), 'token')}: {ended.error}"
    if ended and ended.reason == "stopped":
        return f"{record.info.name} was stopped after {units.count(len(record.tokens), 'token')}."
    return ""
