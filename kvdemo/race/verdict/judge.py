"""Judge a race that is over: put its findings in order. Every number in them was measured in this race.

The first lane is the baseline. Each other lane gets a finding on time, one on work and memory, one on whether the text
is the same, and, where keeping a cache gained little or nothing, the reason that the steps show. Of two lanes, one
finding says where their first step runs the same positions. Of three or more lanes, one finding says which wrote the
same text. What a strategy itself has to remark on its run comes after that. The headline is the time of the lane that
gained most.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kvdemo.core.events import Finding, Verdict
from kvdemo.core.figures.metrics import speedup
from kvdemo.core.types import Schedule
from kvdemo.engine.lane_history import LaneHistory
from kvdemo.race.verdict import findings, sentences
from kvdemo.race.verdict.found import Entry, Found


def judge(records: Sequence[LaneHistory], schedule: Schedule, kept: str = "keys and values") -> Verdict:
    """Judge a race that is over. `kept` names what the model's cache holds."""
    names = [record.info.name for record in records]
    return Verdict(
        tuple(
            Finding(found.kind, found.lanes, found.numbers, sentences.write(found, names), found.reason)
            for found in _in_order(records, schedule, kept)
        )
    )


def _in_order(records: Sequence[LaneHistory], schedule: Schedule, kept: str) -> Iterator[Found]:
    baseline, *others = records
    compared: list[Entry] = [
        (index, lane) for index, lane in enumerate(others, start=1) if lane.tokens and baseline.tokens
    ]
    # The lane that gained most; one whose time cannot be compared comes last. Of equals, the first.
    leader = max(compared, key=lambda entry: speedup(baseline.steps, entry[1].steps) or 0.0, default=None)
    if not others:
        yield findings.alone(baseline)
    elif leader is None:
        yield Found("nothing_compared")
    else:
        yield findings.time(baseline, leader)
    yield from (findings.time(baseline, entry) for entry in compared if entry is not leader)
    yield from findings.groups(records)
    for entry in compared:
        yield from findings.about(baseline, entry, kept)
    if len(others) == 1 and schedule == "fair":
        yield from (one for entry in compared for one in findings.same_first_step(baseline, entry))
    if schedule == "simultaneous" and sum(not record.info.elsewhere for record in records) > 1:
        yield Found("contention")
    if len(records) > 2:
        yield from findings.best(records)
    yield from findings.ends(records)
