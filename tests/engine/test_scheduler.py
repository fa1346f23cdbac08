import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvdemo.core.events import Ended
from kvdemo.core.types import SCHEDULES, Pass, Schedule, TimedStep
from kvdemo.engine.lane import Lane
from kvdemo.engine.scheduler import race
from tests.scripted import step, time_steps

COSTS = st.lists(st.floats(0.001, 10), min_size=1, max_size=20)


def order(*costs: list[float]) -> list[int]:
    """Whose step came when."""
    lanes = [Lane(time_steps(c), len(c)) for c in costs]
    return [event[0] for event in race(lanes) if not isinstance(event, Ended)]


def test_the_lane_with_the_least_time_of_its_own_goes_next() -> None:
    # lane 0 pays 4 a step, lane 1 pays 1: after one step each, lane 1 may take three more before they are even
    assert order([4, 4], [1, 1, 1, 1, 1, 1]) == [0, 1, 1, 1, 1, 0, 1, 1]


@given(st.lists(COSTS, min_size=1, max_size=4))
def test_every_step_is_taken_by_the_lane_with_the_least_time(costs: list[list[float]]) -> None:
    used, left = [0.0] * len(costs), [len(c) for c in costs]
    for index in order(*costs):
        assert used[index] == min(u for u, n in zip(used, left, strict=True) if n)
        used[index] += costs[index][len(costs[index]) - left[index]]
        left[index] -= 1
    assert not any(left)


@given(st.lists(COSTS, min_size=2, max_size=4))
def test_lanes_finish_in_the_order_of_their_own_times(costs: list[list[float]]) -> None:
    lanes = [Lane(time_steps(c), len(c)) for c in costs]
    # a lane begins its last step when its earlier steps are the least of all: that is the order of the ends
    ends = [event.lane for event in race(lanes) if isinstance(event, Ended)]
    before_last = [sum(c[:-1]) for c in costs]
    assert [before_last[i] for i in ends] == sorted(before_last)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_both_schedules_commit_every_step_and_end_every_lane_once(schedule: Schedule) -> None:
    lanes = [Lane(time_steps([0.1] * 5), 5), Lane(time_steps([0.1] * 3), 3)]
    events = list(race(lanes, schedule))
    assert sorted(e.lane for e in events if isinstance(e, Ended)) == [0, 1]
    assert {e.reason for e in events if isinstance(e, Ended)} == {"length"}
    tokens = [[t for e in events if not isinstance(e, Ended) and e[0] == n for t in e[1].step.tokens] for n in (0, 1)]
    assert tokens == [[10, 11, 12, 13, 14], [10, 11, 12]]


def test_a_lane_stops_at_its_limit_within_a_step_and_at_eos() -> None:
    def steps() -> Iterator[TimedStep]:
        while True:
            yield TimedStep(step(1, 2, 3, positions=4, texts="abc"), 0.1)

    limited = Lane(steps(), max_new_tokens=4)
    got = [e[1] for e in race([limited]) if not isinstance(e, Ended)]
    assert [t.step.tokens for t in got] == [(1, 2, 3), (1,)]
    assert got[1].step.texts == ("a",)
    assert got[1].step.positions == 4  # the work was done, so it counts
    assert limited.finish_reason == "length"

    ended = Lane(steps(), max_new_tokens=100, eos_ids={2})
    assert [e[1].step.tokens for e in race([ended]) if not isinstance(e, Ended)] == [(1, 2)]
    assert ended.finish_reason == "eos"


@pytest.mark.parametrize(
    ("accepted", "limit", "eos", "tokens", "counted"),
    [
        (3, 40, 2, 2, (2, 2)),  # the end of text was drafted, and so was what is behind it
        (3, 40, 6, 1, (1, 1)),
        (3, 40, 8, 4, (5, 3)),  # the model's own token ends the text: all of the draft was to be checked
        (3, 40, 9, 4, (5, 3)),
        (3, 3, 9, 3, (3, 3)),  # a limit within a step
        (0, 40, 6, 1, (5, 0)),
    ],
)
def test_drafts_behind_the_end_of_a_lane_are_neither_drafted_nor_accepted(
    accepted: int, limit: int, eos: int, tokens: int, counted: tuple[int, int]
) -> None:
    chosen = step(*(6, 2, 7, 8)[: accepted + 1], positions=6)
    ran = (Pass(1, 6, 9, logits=6, rejected=5 - accepted),)
    details = {"drafted": 5, "accepted": accepted, "draft_price": 0.5}
    lane = Lane(iter([TimedStep(replace(chosen, details=details, passes=ran), 0.1)]), limit, {eos})
    (got,) = [e[1].step for e in race([lane]) if not isinstance(e, Ended)]
    assert len(got.choices) == tokens
    assert got.details == {"drafted": counted[0], "accepted": counted[1], "draft_price": 0.5}
    assert (got.positions, got.passes) == (6, ran)  # the work was done


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_failing_lane_says_why_and_the_others_go_on(schedule: Schedule) -> None:
    def fails() -> Iterator[TimedStep]:
        yield from time_steps([0.1])
        raise RuntimeError("out of luck")

    events = list(race([Lane(fails(), 9), Lane(time_steps([0.1] * 6), 6)], schedule, describe=lambda e: f"said: {e}"))
    ends = {e.lane: e for e in events if isinstance(e, Ended)}
    assert ends[0] == Ended(0, "error", "said: out of luck")
    assert ends[1].reason == "length"
    assert sum(not isinstance(e, Ended) and e[0] == 1 for e in events) == 6


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_stop_takes_effect_before_the_next_step(schedule: Schedule) -> None:
    stop = threading.Event()
    taken = [0, 0]

    def steps(index: int) -> Iterator[TimedStep]:
        while True:
            taken[index] += 1
            if taken[index] == 3:
                stop.set()
            time.sleep(0.001)  # a real step lets other threads run
            yield TimedStep(step(1), 0.1)

    lanes = [Lane(steps(0), 1000), Lane(steps(1), 1000)]
    events = list(race(lanes, schedule, stop))
    assert [e.reason for e in events if isinstance(e, Ended)] == ["stopped", "stopped"]
    assert max(taken) == 3  # whoever raised the flag took no further step
    assert sum(not isinstance(e, Ended) for e in events) == sum(taken)  # and no step that was taken is lost


def test_closing_a_simultaneous_race_ends_its_threads() -> None:
    def forever() -> Iterator[TimedStep]:
        while True:
            time.sleep(0.001)
            yield TimedStep(step(1), 0.1)

    before = threading.active_count()
    events = race([Lane(forever(), 10**9), Lane(forever(), 10**9)], "simultaneous")
    next(events)
    assert threading.active_count() == before + 2
    events.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before


def test_a_lane_that_is_not_preemptible_runs_to_its_end_in_its_first_turn() -> None:
    lanes = [Lane(time_steps([1, 1, 1]), 3), Lane(time_steps([5, 5, 5]), 3, preemptible=False)]
    assert [event[0] for event in race(lanes) if not isinstance(event, Ended)] == [0, 1, 1, 1, 0, 0]


def test_a_strategy_whose_steps_end_ends_its_text() -> None:
    *_, end = race([Lane(time_steps([1, 1]), 5)])
    assert end == Ended(0, "eos")
