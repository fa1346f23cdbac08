from dataclasses import replace

import pytest

from kvdemo.costs import Architecture, LayerCache
from kvdemo.limits import Limits
from kvdemo.measure import bounds
from kvdemo.measure.bounds import Bound, Machine, Prediction

# 1,000 weights of 2 bytes, 100 of them the head;
# a cache of 2 · 1 · 10 numbers a position; 1 kB/s, 100 kFLOP/s, 1 ms a launch, 5 launches
MACHINE = Machine(
    Architecture("tiny", (LayerCache("full", 1, 10),), 2, 10, 20, 5, 1000, 1000, None, "multi-query"),
    Limits(500.0, 1000.0, 100_000.0, 0.001, "bfloat16", "cpu"),
    itemsize=2,
    operations=5,
)


def test_a_step_is_predicted_from_its_bytes_its_arithmetic_and_its_launches() -> None:
    predicted = MACHINE.step(positions=3, context=7, cache_bytes=400)
    assert predicted.launch_s == pytest.approx(0.005)
    assert predicted.bytes == 2400
    assert predicted.bandwidth_s == pytest.approx(2.4)  # the better of the two bandwidths
    assert predicted.flops == 2 * (3 * 900 + 100) + 4 * (5 + 6 + 7) * 20
    assert predicted.compute_s == pytest.approx(0.0704)
    assert predicted.bound == "bandwidth"
    assert predicted.floor_s == predicted.bandwidth_s


def test_the_floors_follow_the_formulas() -> None:
    assert MACHINE.decode_floor_s(10) == pytest.approx((2000 + 2 * 10 * 2 * 10) / 1000)
    assert MACHINE.no_cache_floor_s(10) == pytest.approx(2000 / 1000)  # 20,000 FLOP and a little: 0.2 s are less
    assert MACHINE.no_cache_floor_s(1000) == pytest.approx((2 * (1000 * 900 + 100) + 4 * 500_500 * 20) / 100_000)


def test_predictions_add_up() -> None:
    one = MACHINE.step(1, 5, 100)
    assert bounds.total([one, one]).bytes == 2 * one.bytes
    assert bounds.total([]) == Prediction()


@pytest.mark.parametrize(
    ("machine", "positions", "bound", "says"),
    [
        (
            MACHINE,
            1,
            "bandwidth",
            "which at the measured 1 kB/s takes at least 2 s of the 4 s",
        ),
        (MACHINE, 500, "compute", "which at the measured 100 kFLOP/s takes at least"),
        (
            replace(MACHINE, operations=9000),
            1,
            "launch",
            "issues 9,000 operations, which at the measured 1 ms each takes at least 9 s",
        ),
    ],
)
def test_the_reason_names_the_largest_and_its_figures(
    machine: Machine, positions: int, bound: Bound, says: str
) -> None:
    predicted = bounds.total([machine.step(positions, positions, 0)] * 2)
    assert predicted.bound == bound
    assert says in bounds.reason(machine, steps=2, predicted=predicted, measured_s=8.0)


@pytest.mark.parametrize(
    ("before", "now", "says"),
    [
        ("launch", "launch", "cannot launch operations any faster"),
        ("bandwidth", "bandwidth", "reads the weights once"),
        ("compute", "compute", "how many positions each runs"),
        ("compute", "bandwidth", "No cache is bound by compute, DynamicCache by memory bandwidth"),
        ("bandwidth", "launch", "No cache is bound by memory bandwidth, DynamicCache by launch overhead"),
    ],
)
def test_a_cell_says_what_binds_either_lane(before: Bound, now: Bound, says: str) -> None:
    said = bounds.cell_reason(("No cache", before), ("DynamicCache", now), 1.5)
    assert says in said
    assert "1.50×" in said


def test_what_no_limit_explains_is_said_to_be_unexplained() -> None:
    predicted = MACHINE.step(1, 1, 0)  # 2 s of bandwidth
    assert "explains the rest" not in bounds.reason(MACHINE, 1, predicted, measured_s=3.9)
    assert "None of the three limits explains the rest" in bounds.reason(MACHINE, 1, predicted, measured_s=4.1)
