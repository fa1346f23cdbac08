import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

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


@pytest.mark.parametrize(
    ("value", "digits", "said"),
    [
        (150, 2, "150"),
        (1030, 3, "1,030"),
        (-1234.5, 4, "-1,235"),
        (0.0001234, 2, "0.00012"),
        (2.14e-6, 2, "2.1\u00a0·\u00a010⁻⁶"),
        (-1.192e-7, 4, "-1.192\u00a0·\u00a010⁻⁷"),
        (1e-5, 1, "10⁻⁵"),
        (9.996e-5, 3, "0.0001"),
        (0.0, 2, "0"),
        (math.inf, 3, "inf"),
    ],
)
def test_a_number_has_so_many_figures_and_never_an_exponent(value: float, digits: int, said: str) -> None:
    assert units.figures(value, digits) == said


@given(st.floats(-1e30, 1e30), st.integers(1, 6))
def test_no_number_is_written_with_an_exponent_or_wrongly_rounded(value: float, digits: int) -> None:
    said = units.figures(value, digits)
    assert "e" not in said and "E" not in said
    plain = said.replace(",", "").translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789"))
    mantissa, _, power = plain.partition("\u00a0·\u00a010") if "·" in plain else (plain, "", "0")
    if "10⁻" in said and "·" not in said:
        mantissa, power = said[: said.index("10⁻")] + "1", plain[plain.index("10") + 2 :]
    assert float(f"{mantissa}e{power}") == pytest.approx(value, rel=0.51 * 10 ** (1 - digits))


@pytest.mark.parametrize(("ratio", "said"), [(2.0, "2×"), (0.168, "0.168×"), (151.4, "151×"), (1e6, "1,000,000×")])
def test_a_ratio_is_written_with_its_sign(ratio: float, said: str) -> None:
    assert units.times(ratio) == said


def test_a_count_of_one_is_singular() -> None:
    assert [units.count(n, "token") for n in (0, 1, 2000)] == ["0 tokens", "1 token", "2,000 tokens"]


@pytest.mark.parametrize(("kind", "unit"), [("seconds", ""), ("bytes", "B"), ("flops", "FLOP/s")])
def test_numbers_are_written_as_in_javascript(kind: str, unit: str) -> None:
    """But for zeros at the end, which align a table's column."""
    for value, tabled in cases("numbers")[kind]:
        said = units.amount(value, unit) if unit else units.seconds(value)
        assert said == re.sub(r"(\.\d*?)0+ ", r"\1 ", tabled).replace(". ", " ")
