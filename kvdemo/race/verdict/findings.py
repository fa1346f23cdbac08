"""Find what a race showed, as kinds, lanes and numbers. `sentences` has the words, `judge` the order.

Lane 0 is the baseline. A finding about a lane names it first, and then the baseline if it is compared with it.
Seconds are device time, to the last token that both lanes have: `tokens` of them, the `whole` texts or their beginning.

    alone             tokens, seconds
    nothing_compared  no lane can be compared with the baseline
    faster            tokens, whole, seconds, baseline_seconds, ratio (how many times as fast). Where a cache gained
                      little, the reason in short: prompt_share (of the lane's time), or step_share (of the time of a
                      step over step_positions that one over new_positions took). Where one step of the baseline made
                      it the slower one: first_step_s and baseline_first_step_s, or odd_step (its number from 1),
                      odd_step_s, and usual_step_s, the median of its other steps after the first
    slower            the same, of a step of the lane; ratio says how many times as long it took
    same_time         the same, without a ratio: less than `metrics.SAME` apart
    no_clock          the same, without a reason: a time of 0
    unequal_search    tokens, baseline_tokens: a search can be compared over the whole of equally long texts alone
    too_short         tokens, baseline_tokens, first_token_s, baseline_first_token_s: one lane ended after one token
    work              positions, baseline_positions, cache_bytes
    same_first_step   positions of the first step, as many in both lanes; first_token_s, baseline_first_token_s
    nothing_to_reuse  both wrote one token and ran the same positions for it
    no_time_saved     positions and seconds of a baseline's step; new_positions and new_seconds of the lane's
    small_gain        a gain below `saved_little.SMALL_GAIN`. The same, where steps gained little; else prompt_seconds
                      of the step over the prompt and its prompt_share of the lane's time, and the mean seconds of the
                      further tokens
    same_text         tokens; in their place characters, where one lane's tokens are not known here
    divergence        index of the first token that differs; its reason beside the numbers
    groups            groups of lanes that agree, the largest first (`agreement`); index at which each other one departs
    contention        the lanes of this machine ran at once
    best              fastest, first_token, least_memory (lanes), with their seconds and bytes; same_text (lanes)
    remark            what the strategy or the race remarks on the lane
    failed, stopped   tokens until then
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from kvdemo.core.figures.metrics import (
    SAME,
    lane_metrics,
    searched,
    seconds_to_token,
)
from kvdemo.engine.lane_history import LaneHistory
from kvdemo.race import agreement
from kvdemo.race.verdict import saved_little
from kvdemo.race.verdict.found import Entry, Found


def alone(lane: LaneHistory) -> Found:
    """Find what a race of one lane shows."""
    metrics = lane_metrics(lane.steps)
    return Found("alone", (0,), {"tokens": metrics.tokens, "seconds": metrics.e2e_s})


def time(baseline: LaneHistory, entry: Entry) -> Found:
    """Find how a lane's time compares with the baseline's, where they are times of the same."""
    index, lane = entry
    ours, theirs = len(lane.tokens), len(baseline.tokens)
    lanes, counts = (index, 0), {"tokens": ours, "baseline_tokens": theirs}
    if ours != theirs and (searched(lane.steps) or searched(baseline.steps)):
        return Found("unequal_search", lanes, counts)
    shared = min(ours, theirs)
    mine, its = seconds_to_token(lane.steps, shared), seconds_to_token(baseline.steps, shared)
    if ours != theirs and shared == 1:
        return Found("too_short", lanes, {**counts, "first_token_s": mine, "baseline_first_token_s": its})
    whole = ours == theirs and all(map(_done, (baseline, lane)))
    numbers = {"tokens": shared, "whole": whole, "seconds": mine, "baseline_seconds": its}
    if min(mine, its) <= 0:
        return Found("no_clock", lanes, numbers)
    numbers |= saved_little.in_short(saved_little.why(baseline, entry)) or saved_little.one_step(baseline, lane, shared)
    if its > mine * SAME:
        return Found("faster", lanes, {**numbers, "ratio": its / mine})
    if mine > its * SAME:
        return Found("slower", lanes, {**numbers, "ratio": mine / its})
    return Found("same_time", lanes, numbers)


def _done(lane: LaneHistory) -> bool:
    return lane.ended is not None and lane.ended.reason in ("length", "eos")


def about(baseline: LaneHistory, entry: Entry, kept: str) -> Iterator[Found]:
    """Find what a lane's work was, why its cache saved little or no time, and whether its text is the baseline's.

    `kept` names what the model's cache holds.
    """
    index, lane = entry
    if not (lane.info.elsewhere or baseline.info.elsewhere):
        ours, theirs = lane_metrics(lane.steps).positions, lane_metrics(baseline.steps).positions
        held = lane.steps[-1].step.cache_bytes
        numbers = {"positions": ours, "baseline_positions": theirs, "cache_bytes": held}
        yield Found("work", (index, 0), numbers, kept)
    if why := saved_little.why(baseline, entry):
        yield why
    if lane.divergence is None:
        yield Found("same_text", (index, 0), _compared(baseline, lane))
    else:
        parted = lane.divergence
        yield Found("divergence", (index, 0), {"index": parted.index}, parted.detail, parted.kind)


def _compared(baseline: LaneHistory, lane: LaneHistory) -> dict[str, Any]:
    """Count what was compared of two texts: tokens, or characters where one lane's tokens are not known here."""
    if lane.info.elsewhere or baseline.info.elsewhere:
        return {"characters": min(len(one.comparable_text) for one in (baseline, lane))}
    return {"tokens": min(len(baseline.tokens), len(lane.tokens))}


def same_first_step(baseline: LaneHistory, entry: Entry) -> Iterator[Found]:
    """Find that the step over the prompt is the same work in both lanes, by the positions that each ran in it.

    A cache is empty then, so a difference of the times to the first token is none of its doing. Nothing where a lane
    computes elsewhere, searches, or has no further token for which the cache could do something.
    """
    index, lane = entry
    lanes = (lane, baseline)
    if any(one.info.elsewhere or searched(one.steps) or len(one.steps) < 2 for one in lanes):
        return
    first, its_first = (one.steps[0] for one in lanes)
    if first.step.positions == its_first.step.positions > 1:
        yield Found("same_first_step", (index, 0), {
            "positions": first.step.positions, "first_token_s": first.seconds,
            "baseline_first_token_s": its_first.seconds,
        })  # fmt: skip


def groups(records: Sequence[LaneHistory]) -> Iterator[Found]:
    """Find which lanes wrote the same text, among three or more of which that can be said."""
    found = agreement.groups(records)
    if sum(len(group.lanes) for group in found) > 2:
        departs = tuple(group.departs for group in found if group.departs is not None)
        yield Found("groups", (), {"groups": tuple(group.lanes for group in found), "index": departs})


def best(records: Sequence[LaneHistory]) -> Iterator[Found]:
    """Find which lane was best at what, among lanes that did the same; nothing where fewer than two did.

    Time: those that wrote equally many tokens, as most of them did, and more than one. First token: those that commit
    each token when they have it, which a search does not, and went on after it if the others did. Memory: those that
    keep a cache, after as many tokens. Of equals, the first.
    """
    written = [(index, record) for index, record in enumerate(records) if record.tokens]
    if not written:
        return
    counts = Counter(len(record.tokens) for _, record in written)
    most = max(counts, key=lambda n: (counts[n], n))
    equal = [entry for entry in written if len(entry[1].tokens) == most]
    streams = [e for e in written if len(e[1].tokens) > min(most - 1, 1) and not searched(e[1].steps)]
    held = [(index, record.steps[-1].step.cache_bytes) for index, record in equal]
    numbers = {
        **_least("fastest", "s", [(i, seconds_to_token(r.steps, most)) for i, r in equal if most > 1]),
        **_least("first_token", "s", [(i, r.steps[0].seconds) for i, r in streams]),
        **_least("least_memory", "bytes", [(i, size) for i, size in held if size]),
    }
    if not numbers:
        return
    if records[0].tokens:
        numbers["same_text"] = tuple(i for i, r in written if i and r.divergence is None)
    yield Found("best", (), numbers)


def _least(contest: str, unit: str, values: Sequence[tuple[int, float]]) -> dict[str, Any]:
    """Find the lane of the smallest value, and the value; {} for fewer than two."""
    if len(values) < 2:
        return {}
    index, value = min(values, key=lambda pair: pair[1])
    return {contest: index, f"{contest}_{unit}": value}


def ends(records: Sequence[LaneHistory]) -> Iterator[Found]:
    """List what is remarked on each lane, then the lanes that did not end by themselves."""
    for index, record in enumerate(records):
        yield from (Found("remark", (index,), words=remark) for remark in record.remarks)
    for index, record in enumerate(records):
        if record.ended and record.ended.reason == "error":
            yield Found("failed", (index,), {"tokens": len(record.tokens)}, record.ended.error or "")
        if record.ended and record.ended.reason == "stopped":
            yield Found("stopped", (index,), {"tokens": len(record.tokens)})
