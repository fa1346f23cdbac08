from kvdemo.measure.time_left import Pace
from tests.scripted import FakeClock

SLOW, FAST = ("no_cache", 0), ("dynamic_cache", 0)


def test_the_time_left_is_the_remaining_runs_at_the_measured_pace() -> None:
    clock = FakeClock()
    pace = Pace({SLOW: 2, FAST: 2}, clock=clock)
    assert pace.remaining is None  # nothing is known yet
    pace.seconds[FAST] = 1.0  # predicted
    pace.begin()
    clock.now += 10
    pace.done(SLOW)
    assert pace.remaining == 1 * 10 + 2 * 1
    pace.begin()
    clock.now += 4
    assert pace.remaining == 12 - 4  # counted down within a run
    assert pace.fraction == 14 / 22


def test_a_dropped_lane_adds_no_time() -> None:
    pace = Pace({SLOW: 2, FAST: 1}, {FAST: 3.0}, clock=FakeClock())
    pace.begin()
    pace.drop(SLOW)
    assert pace.remaining == 3.0


def test_after_the_last_run_no_time_is_left() -> None:
    clock = FakeClock()
    pace = Pace({FAST: 1}, clock=clock)
    pace.begin()
    clock.now += 2
    pace.done(FAST)
    assert (pace.remaining, pace.fraction) == (0.0, 1.0)
