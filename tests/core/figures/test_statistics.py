import math
import statistics
import subprocess
import sys
import warnings
from collections.abc import Sequence

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t as student

from kvdemo.core.figures.statistics import Speedup, figures, noise_warning, speedup, statement, summarize

TIMES = st.lists(st.floats(1e-6, 1e3), min_size=1, max_size=150)


def test_a_summary_agrees_with_a_calculation_by_hand() -> None:
    # deviations from 5: -3 -1 -1 -1 0 0 2 4; their squares sum to 32; 32 / 7
    got = summarize([2, 4, 4, 4, 5, 5, 7, 9])
    assert (got.n, got.mean, got.median, got.min, got.max) == (8, 5, 4.5, 2, 9)
    assert got.std == pytest.approx(math.sqrt(32 / 7))
    assert got.p90 == pytest.approx(7.6)  # rank 6.3 of 0 to 7: 7 + 0.3 · 2
    assert got.p99 is None


def test_one_sample_has_no_scatter_and_none_have_no_summary() -> None:
    one = summarize([0.25])
    assert (one.n, one.mean, one.std, one.median, one.p90, one.p99) == (1, 0.25, None, 0.25, 0.25, None)
    with pytest.raises(ValueError, match="no samples"):
        summarize([])


def test_p99_needs_a_hundred_samples() -> None:
    few, enough = (summarize([float(i) for i in range(n)]) for n in (99, 100))
    assert few.p99 is None
    assert enough.p99 == pytest.approx(98.01)


@given(TIMES)
def test_a_summary_agrees_with_numpy(samples: list[float]) -> None:
    got = summarize(samples)
    assert got.mean == pytest.approx(float(numpy.mean(samples)), rel=1e-9)
    assert got.median == pytest.approx(statistics.median(samples), rel=1e-9)
    assert got.p90 == pytest.approx(float(numpy.percentile(samples, 90)), rel=1e-9)
    if len(samples) > 1:
        assert got.std == pytest.approx(float(numpy.std(samples, ddof=1)), rel=1e-6, abs=1e-9 * max(samples))
    assert got.min <= got.median <= got.p90 <= got.max or got.min == pytest.approx(got.max)


def test_noise_is_the_interquartile_range_and_ignores_one_disturbed_run() -> None:
    assert noise_warning([1.0, 1.01, 1.0, 1.02, 1.01, 9.0, 1.0]) is None
    # quartiles of 0.8 1.0 1.2 1.4: 0.95 and 1.25, 0.3 of 1.1
    noisy = noise_warning([0.8, 1.0, 1.2, 1.4])
    assert noisy is not None
    assert "middle half of the 4 runs is 27.3 % of the median wide" in noisy
    assert "differences smaller than that mean nothing" in noisy


def test_the_noise_warning_of_two_or_three_runs_states_their_full_range() -> None:
    assert noise_warning([1.0, 1.04]) is None
    noisy = noise_warning([1.0, 1.0, 1.2])
    assert noisy is not None
    assert "full range of the 3 runs (too few for quartiles) is 20.0 %" in noisy


@pytest.mark.parametrize("samples", [[], [1.0], [0.0, 0.0, 0.0]])
def test_too_few_runs_give_no_noise_warning(samples: list[float]) -> None:
    assert noise_warning(samples) is None


def test_the_interval_is_welchs_on_logarithms_of_the_times() -> None:
    baseline, samples = [4.6, 4.8, 4.75, 4.7], [1.0, 1.02, 0.99]
    x, y = [math.log(v) for v in baseline], [math.log(v) for v in samples]
    vx, vy = statistics.variance(x) / len(x), statistics.variance(y) / len(y)
    freedom = (vx + vy) ** 2 / (vx**2 / (len(x) - 1) + vy**2 / (len(y) - 1))  # Welch-Satterthwaite
    middle = statistics.fmean(x) - statistics.fmean(y)
    half = float(student.ppf(0.975, freedom)) * math.sqrt(vx + vy)

    got = speedup(baseline, samples)
    assert got.ratio == pytest.approx(statistics.fmean(baseline) / statistics.fmean(samples))
    assert got.low == pytest.approx(math.exp(middle - half))
    assert got.high == pytest.approx(math.exp(middle + half))
    assert (got.significant, got.n_baseline, got.n, got.missing) == (True, 4, 3, None)


@given(TIMES, TIMES)
def test_exchanging_the_sides_inverts_the_ratio_and_its_interval(a: list[float], b: list[float]) -> None:
    forth, back = speedup(a, b), speedup(b, a)
    assert forth.ratio * back.ratio == pytest.approx(1)
    assert forth.significant == back.significant
    if forth.low is not None and back.high is not None:
        assert forth.low * back.high == pytest.approx(1)


@given(TIMES, TIMES)
def test_a_speedup_is_significant_if_its_interval_excludes_1(a: list[float], b: list[float]) -> None:
    got = speedup(a, b)
    if got.low is None or got.high is None:
        assert got.significant is None
        assert got.missing
    else:
        assert got.low * (1 - 1e-6) <= got.ratio <= got.high * (1 + 1e-6)
        assert got.significant == (not got.low <= 1 <= got.high)


def test_equal_lanes_are_called_different_in_about_5_percent_of_cases() -> None:
    # 400 pairs drawn from one distribution: 5 % is 20; an interval of another confidence would show here.
    draw = numpy.random.default_rng(7).lognormal(0, 0.03, (400, 2, 5))
    called = sum(bool(speedup(list(a), list(b)).significant) for a, b in draw)
    assert 8 <= called <= 34


@pytest.mark.parametrize(
    ("baseline", "samples", "said"),
    [
        ([2.0], [1.0], "One run each: nothing can be said about significance."),
        ([2.0, 2.1], [1.0], "One run on one side (n = 1 and 2): nothing"),
        ([2.0, 2.0], [1.0, 1.0, 1.0], "equal to the last digit (n = 3 and 2): no interval"),
        ([1.0, 1.0], [1.0, 1.0], "equal to the last digit"),
        ([1e-300, 1e300], [1e-300, 1e300], "scatter too much"),
    ],
)
def test_a_missing_interval_is_explained(baseline: Sequence[float], samples: Sequence[float], said: str) -> None:
    got = speedup(baseline, samples)
    assert (got.low, got.high, got.significant) == (None, None, None)
    assert said in statement(got, "B", "A")


def test_one_side_without_scatter_still_has_an_interval_and_no_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        got = speedup([1.5, 1.5, 1.5], [1.0, 1.01, 0.99])
    assert got.low is not None and got.high is not None
    assert got.low < 1.5 < got.high


def test_a_ratio_outside_its_interval_is_never_called_significant() -> None:
    got = speedup([1.0, 1.01] * 300 + [2000.0], [1.1, 1.11] * 300)
    assert got.ratio > 3  # the typical run of the baseline is the faster one
    assert got.significant is None
    assert "far from the rest" in statement(got, "B", "A")


@pytest.mark.parametrize(("baseline", "samples"), [([], [1.0]), ([1.0], []), ([0.0], [1.0]), ([1.0], [-1.0])])
def test_a_ratio_of_zero_or_missing_times_is_an_error(baseline: list[float], samples: list[float]) -> None:
    with pytest.raises(ValueError, match="times above zero"):
        speedup(baseline, samples)


def test_statements_claim_no_more_than_the_interval() -> None:
    assert statement(Speedup(4.7284, 4.61, 4.85, True, 10, 10), "DynamicCache", "No cache") == (
        "DynamicCache is 4.73× as fast as No cache (95 % interval 4.61 to 4.85, n = 10 and 10)."
    )
    assert statement(Speedup(1.01, 0.97, 1.05, False, 3, 3), "DynamicCache", "No cache") == (
        "These runs do not show which of DynamicCache and No cache is faster: by their scatter, DynamicCache is "
        "0.97 to 1.05× as fast (n = 3 and 3). More repeats on a quiet machine narrow that down."
    )


def test_a_slower_lane_takes_longer_with_the_inverted_interval() -> None:
    said = statement(Speedup(0.5, 0.4, 0.8, True, 5, 3), "B", "A")
    assert said == "B takes 2.00× as long as A (95 % interval 1.25 to 2.50, n = 3 and 5)."


def test_a_ratio_close_to_1_is_not_rounded_to_1() -> None:
    assert figures(1.002, 1.0004, 1.004) == ["1.0020", "1.0004", "1.0040"]
    assert figures(1.0, 0.97) == ["1.00", "0.97"]
    assert figures(1234.5, 0.0001) == ["1,234", "0.0001"]
    assert figures(0.0000123) == ["1.2\u00a0·\u00a010⁻⁵"]


@pytest.mark.slow
def test_without_scipy_the_ratio_is_given_and_the_interval_is_stated_as_missing() -> None:
    code = (
        "import sys; sys.modules['scipy'] = sys.modules['scipy.stats'] = None\n"
        "from kvdemo.core.figures.statistics import speedup, statement\n"
        "got = speedup([2.0, 2.1], [1.0, 1.1]); assert got.low is got.high is got.significant is None\n"
        "print(statement(got, 'B', 'A'))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert "B was 1.95× as fast as A. No interval can be given, because SciPy is not installed" in ran.stdout


@pytest.mark.slow
def test_core_figures_import_the_standard_library_only() -> None:
    code = (
        "import sys\nfor name in ('torch', 'transformers', 'numpy', 'scipy', 'gradio'): sys.modules[name] = None\n"
        "import kvdemo.compare.comparison, kvdemo.core.figures.statistics\n"
        "import kvdemo.measure.report.published, kvdemo.measure.report.tables"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
