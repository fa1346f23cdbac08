"""What carries the difference between two runs: their usual steps, the first, or one of the others."""

import pytest

from kvdemo.race.verdict.carrier import OddStep, Part, carrier, odd_step, usual_seconds
from tests.scripted import time_steps


@pytest.mark.parametrize(
    ("longer", "shorter", "part"),
    [
        ([1.0, 3.0, 3.0, 3.0], [1.0, 1.0, 1.0, 1.0], "steps"),
        ([9.0, 0.9, 0.9, 0.9], [1.0, 1.0, 1.0, 1.0], "prompt"),
        ([1.0, 0.9, 9.0, 0.9], [1.0, 1.0, 1.0, 1.0], "odd_step"),
        ([1.0, 0.9, 9.0, 0.9, 0.9, 8.9], [1.0, 1.0, 9.0, 1.0, 1.0, 1.0], None),  # both had one such step
        ([1.0, 1.0, 1.0, 9.0, 9.0, 9.0, 1.0, 1.0], [1.0] * 8, None),  # none of the three is most of it
        ([9.0], [1.0], "prompt"),
    ],
)
def test_the_part_that_carries_most_of_a_difference_is_named(
    longer: list[float], shorter: list[float], part: Part | None
) -> None:
    assert carrier(list(time_steps(longer)), list(time_steps(shorter))) == part


def test_one_slow_step_is_odd_and_changes_nothing_usual() -> None:
    slow, even = (list(time_steps(costs)) for costs in ([1.0, 2.0, 2.0, 7.0, 2.0], [1.0, 2.0, 2.0, 2.0, 2.0]))
    assert usual_seconds(slow) == usual_seconds(even) == 8.0
    assert odd_step(slow) == OddStep(4, 7.0, 2.0)
    assert odd_step(slow[:2]) is None
