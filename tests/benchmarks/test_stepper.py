from itertools import islice

import pytest

from benchmarks.tools.stepper import Process

pytestmark = pytest.mark.slow


def test_the_stepper_process_takes_steps_and_starts_over() -> None:
    with Process({"OMP_WAIT_POLICY": "passive"}) as process:
        prefill, *steps = islice(process.decode(100, burst=2)(), 6)
        again = list(islice(process.prefill(100)(), 3))
    assert 0 < min(steps) < 2 * min(prefill, *again)  # a burst is two steps of one position; a prefill is one of 100
