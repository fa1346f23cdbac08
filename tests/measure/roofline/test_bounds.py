from dataclasses import replace

import pytest

from kvdemo.core.types import Pass
from kvdemo.costs.architecture import Architecture, Indexer, Latent, LayerCache
from kvdemo.measure.roofline import bounds, what_binds
from kvdemo.measure.roofline.bounds import Bound, Prediction, RooflineModel
from kvdemo.measure.roofline.device_peaks import DevicePeaks

# 1,000 weights of 2 bytes, 100 of them the head;
# a cache of 2 · 1 · 10 numbers a position; 1 kB/s, 100 kFLOP/s, 1 ms a launch, 5 launches
MACHINE = RooflineModel(
    Architecture("tiny", (LayerCache("full", 1, 10),), 2, 10, 20, 5, 1000, 1000, None, "multi-query"),
    DevicePeaks(500.0, 1000.0, 100_000.0, 0.001, "bfloat16", "cpu"),
    itemsize=2,
    operations=5,
    read_bytes=2000,
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


def test_rows_share_the_read_of_the_weights_only() -> None:
    """64 rows read the weights once and 64 caches, and do the arithmetic of each row, its vocabulary head included."""
    one, many = (MACHINE.ran((Pass(rows, 1, 7),), 10**6) for rows in (1, 64))
    assert (one.bytes, many.bytes) == (2000 + 280, 2000 + 64 * 280)
    assert many.flops == 64 * one.flops == 64 * MACHINE.step(1, 7, 280).flops


def test_each_pass_of_a_step_reads_the_weights_and_launches_again() -> None:
    step = MACHINE.ran((Pass(1, 1, 7), Pass(4, 1, 8), Pass(4, 1, 9)), 10**6)
    assert step.bytes == 3 * 2000 + 40 * (7 + 4 * 8 + 4 * 9)
    assert step.launches == 3 * 5
    assert step.floor_s == pytest.approx(sum(MACHINE.ran((ran,), 10**6).floor_s for ran in (
        Pass(1, 1, 7), Pass(4, 1, 8), Pass(4, 1, 9))))  # fmt: skip


def test_the_reason_of_a_step_states_its_number_of_passes() -> None:
    several = MACHINE.ran((Pass(1, 1, 7), Pass(4, 1, 8), Pass(4, 1, 9)), 10**6)
    assert "a step of 3 passes reads 9 kB of weights and cache" in what_binds.reason(MACHINE, 1, several, 20.0)
    assert "a step reads" in what_binds.reason(MACHINE, 1, MACHINE.step(1, 1, 0), 20.0)


def test_a_verifying_pass_counts_the_vocabulary_head_for_each_position() -> None:
    last, all_of_them = (MACHINE.ran((Pass(1, 5, 12, logits=n),), 0).flops for n in (1, 5))
    assert all_of_them - last == 4 * 2 * 100


def test_draft_passes_read_the_draft_model() -> None:
    small = replace(MACHINE.architecture, parameters=50, active_parameters=50)
    step = (Pass(1, 1, 7, draft=True), Pass(1, 2, 8, logits=2))
    assert replace(MACHINE, draft=small, draft_read_bytes=100).ran(step, 0).bytes == 100 + 2000
    assert MACHINE.ran(step, 0).bytes == 2000  # of a draft whose shape is unknown nothing is claimed


def test_weights_in_another_number_format_than_the_model_are_read_as_they_are_held() -> None:
    """Of a checkpoint in FP8 a step reads a byte a weight, whatever the model computes in."""
    in_fp8 = replace(MACHINE, read_bytes=1000)
    assert in_fp8.step(1, 7, 280).bytes == 1000 + 280
    assert in_fp8.decode_floor_s(7) == pytest.approx(1.28)
    library = replace(in_fp8, limits=replace(MACHINE.limits, eager_bytes_per_s=100.0))
    assert library.step(1, 7, 0).library_s == pytest.approx(10)


def test_reserved_room_is_not_counted_as_read_and_packed_numbers_by_their_bytes() -> None:
    """A floor must be possible: of reserved room only what is in use is needed, of packed numbers what they take."""
    assert MACHINE.ran((Pass(1, 1, 7),), cache_bytes=4000).bytes == 2000 + 280
    assert MACHINE.ran((Pass(1, 1, 7),), cache_bytes=70).bytes == 2000 + 70
    assert MACHINE.ran((Pass(1, 7, 7),), cache_bytes=0).bytes == 2000


def test_figures_of_one_strategy_do_not_affect_the_others() -> None:
    own = replace(MACHINE, operations=77)
    machine = replace(MACHINE, lanes={"beam_search": own})
    assert machine.for_strategy("beam_search") is own and machine.for_strategy("no_cache") is machine


def test_predictions_are_summed() -> None:
    one = MACHINE.step(1, 5, 100)
    assert bounds.total([one, one]).bytes == 2 * one.bytes
    assert bounds.total([]) == Prediction()


@pytest.mark.parametrize(
    ("machine", "positions", "measured", "bound", "says"),
    [
        (
            MACHINE,
            1,
            4.0,
            "bandwidth",
            "which at the measured 1 kB/s takes at least 2 s of the 4 s",
        ),
        (MACHINE, 500, 200.0, "compute", "which at the measured 100 kFLOP/s takes at least"),
        (
            replace(MACHINE, operations=9000),
            1,
            10.0,
            "launch",
            "issues 9,000 operations, which at the measured 1 ms each takes at least 9 s of the 10 s",
        ),
    ],
)
def test_the_reason_names_the_largest_bound_and_its_figures(
    machine: RooflineModel, positions: int, measured: float, bound: Bound, says: str
) -> None:
    predicted = bounds.total([machine.step(positions, positions, 0)] * 2)
    assert predicted.bound == predicted.binding(2 * measured) == bound
    assert says in what_binds.reason(machine, steps=2, predicted=predicted, measured_s=2 * measured)


def test_launches_that_would_take_longer_than_measured_are_no_bound() -> None:
    """A compiled step is replayed as one graph: 900 launches of 5 µs are no reason why it takes 1.1 ms."""
    machine = replace(MACHINE, operations=9000)
    predicted = machine.step(1, 1, 0)  # launches 9 s, bandwidth 2 s
    assert predicted.binding(4.0) == "bandwidth"
    said = what_binds.reason(machine, 1, predicted, 4.0)
    assert said.startswith("Bound by memory bandwidth") and "operation" not in said


def test_the_reason_says_where_transformers_does_more_than_the_least_that_is_counted() -> None:
    """With a cache of latents a step computes all keys and values again, which the bound leaves out."""
    arch = replace(MACHINE.architecture, layers=(LayerCache("full", 1, 10, 2),), attention="latent")
    machine = replace(MACHINE, architecture=replace(arch, latent=Latent(key=4, value=4)))
    predicted = machine.step(500, 500, 0)
    said = what_binds.reason(machine, 1, predicted, 2 * predicted.compute_s + 9)
    assert said.startswith("Bound by compute: a step does at least ")
    assert "transformers computes the keys and values of the whole context from them in each such step" in said
    assert "do not explain the rest. It may be that work, Python" in said
    drafted = replace(MACHINE, draft=machine.architecture)
    assert "which is not counted" in what_binds.reason(drafted, 1, predicted, 2 * predicted.compute_s)
    assert "latent" not in what_binds.reason(MACHINE, 1, predicted, 2 * predicted.compute_s)


def test_launches_that_cannot_be_counted_are_no_bound() -> None:
    machine = replace(MACHINE, operations=None)
    predicted = machine.step(1, 1, 0)
    assert (predicted.launch_s, predicted.launches, predicted.bound) == (0, 0, "bandwidth")
    assert "do not explain the rest. It may be Python" in what_binds.reason(machine, 1, predicted, 400.0)


@pytest.mark.parametrize(("positions", "figure"), [(1, "1 kB/s"), (500, "100 kFLOP/s")])
def test_a_measured_time_below_the_roofline_is_explained_by_a_limit_measured_too_low(
    positions: int, figure: str
) -> None:
    predicted = MACHINE.step(positions, positions, 0)
    assert predicted.binding(0.5) is None
    said = what_binds.reason(MACHINE, 1, predicted, 0.5)
    assert said.startswith("The limit was measured too low") and figure in said and "took 500 ms" in said
    assert "Bound by" not in said


@pytest.mark.parametrize(
    ("before", "now", "says"),
    [
        ("launch", "launch", "cannot launch operations any faster"),
        ("bandwidth", "bandwidth", "reads the weights once"),
        ("compute", "compute", "how many positions each runs"),
        ("compute", "bandwidth", "No cache is bound by compute, DynamicCache by memory bandwidth"),
        ("bandwidth", "launch", "No cache is bound by memory bandwidth, DynamicCache by launch overhead"),
        (None, "launch", "What binds No cache cannot be said: a limit of the device was measured too low"),
        (None, None, "What binds No cache and DynamicCache cannot be said"),
    ],
)
def test_a_cell_names_the_bounds_of_both_lanes(before: Bound | None, now: Bound | None, says: str) -> None:
    said = what_binds.cell_reason(("No cache", before), ("DynamicCache", now), 1.5)
    assert says in said
    assert "1.50×" in said


def test_time_that_no_limit_explains_is_stated_as_unexplained() -> None:
    predicted = MACHINE.step(1, 1, 0)  # 2 s of bandwidth
    assert "The rest is explained" not in what_binds.reason(MACHINE, 1, predicted, measured_s=3.9)
    assert "do not explain the rest. It may be Python" in what_binds.reason(MACHINE, 1, predicted, measured_s=4.1)


SLOW_LIBRARY = replace(MACHINE, limits=replace(MACHINE.limits, eager_bytes_per_s=250.0), operations=None)


def test_a_math_library_slower_than_the_memory_is_the_bound_with_both_figures() -> None:
    predicted = SLOW_LIBRARY.step(positions=1, context=7, cache_bytes=400)
    assert predicted.library_s == pytest.approx(2000 / 250 + 400 / 1000)
    assert predicted.floor_s == pytest.approx(2.4)  # the roofline stays that of the memory
    said = what_binds.reason(SLOW_LIBRARY, 1, predicted, measured_s=9.0)
    assert said.startswith("Bound by the math library: ")
    assert "250 B/s of this processor's math library, " in said and "(its memory delivers 1 kB/s; " in said
    assert "memory bandwidth" not in said


def test_a_step_that_is_quicker_than_the_math_library_is_not_bound_by_it() -> None:
    """Packed weights are read faster."""
    predicted = SLOW_LIBRARY.step(positions=1, context=7, cache_bytes=400)
    assert predicted.binding(3.0) == "bandwidth"
    assert predicted.binding(2.0) is None


def test_the_math_library_is_a_bound_for_one_row_only_and_when_far_slower() -> None:
    assert SLOW_LIBRARY.step(positions=2, context=7, cache_bytes=400).library_s == 0
    assert SLOW_LIBRARY.ran((Pass(64, 1, 7),), 10**6).library_s == 0
    as_quick = replace(MACHINE, limits=replace(MACHINE.limits, eager_bytes_per_s=700.0))
    assert as_quick.step(positions=1, context=7, cache_bytes=400).library_s == 0


def test_a_cell_that_is_bound_by_the_math_library_says_so() -> None:
    said = what_binds.cell_reason(("No cache", "library"), ("DynamicCache", "library"), 1.5)
    assert said.startswith("Both are bound by the math library: its products of one row read the weights slower")


def test_a_pass_reads_what_an_indexer_chooses_and_as_small_a_share_of_it_as_is_held() -> None:
    """20 numbers a position, of 6 positions, and 5 of the indexer for each of 50."""
    layer = LayerCache("full", 1, 10, index_elements=5, sparse=True)
    machine = replace(MACHINE, architecture=replace(MACHINE.architecture, layers=(layer,), indexer=Indexer(6, 5)))
    least, kept = 2 * (6 * 20 + 50 * 5), 2 * 50 * 25
    assert machine.decode_floor_s(50) == pytest.approx((2000 + least) / 1000)
    assert machine.ran((Pass(1, 1, 50),), 10**6).bytes == 2000 + least
    assert machine.ran((Pass(1, 1, 50),), kept // 2).bytes == 2000 + least // 2
    assert machine.ran((Pass(1, 1, 50),), 0).bytes == 2000
    assert "masks the rest" in what_binds.reason(machine, 1, machine.step(1, 1, 0), 20.0)
    assert "masks the rest" not in what_binds.reason(MACHINE, 1, MACHINE.step(1, 1, 0), 20.0)
