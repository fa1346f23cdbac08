import re

import pytest

from kvdemo.core.figures import units
from tests.cases import cases


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.0, "0 ns"), (2.5e-6, "2.5 µs"), (0.0619, "61.9 ms"), (1.0, "1 s"), (32.84, "32.8 s"), (1234.5, "1,235 s")],
)
def test_a_time_has_three_figures_and_never_an_exponent(seconds: float, said: str) -> None:
    assert units.seconds(seconds) == said


@pytest.mark.parametrize(
    ("value", "unit", "said"),
    [
        (0, "B", "0 B"),
        (512, "B", "512 B"),
        (7_790_000, "B", "7.79 MB"),
        (8_405_000, "B", "8.41 MB"),
        (999.5, "B", "1 kB"),
        (1.4e12, "B/s", "1.4 TB/s"),
        (2e18, "FLOP", "2,000 PFLOP"),
    ],
)
def test_an_amount_has_the_prefix_that_fits(value: float, unit: str, said: str) -> None:
    assert units.amount(value, unit) == said


def test_sizes_that_are_compared_are_written_in_one_unit() -> None:
    assert [units.megabytes(n) for n in (7_790_000, 15_400_000_000)] == ["8 MB", "15,400 MB"]


def test_a_count_of_one_is_singular() -> None:
    assert [units.count(n, "token") for n in (0, 1, 2000)] == ["0 tokens", "1 token", "2,000 tokens"]


@pytest.mark.parametrize(("kind", "unit"), [("seconds", ""), ("bytes", "B"), ("flops", "FLOP/s")])
def test_numbers_are_written_as_in_javascript(kind: str, unit: str) -> None:
    """But for zeros at the end, which align a table's column."""
    for value, tabled in cases("numbers")[kind]:
        said = units.amount(value, unit) if unit else units.seconds(value)
        assert said == re.sub(r"(\.\d*?)0+ ", r"\1 ", tabled).replace(". ", " ")
