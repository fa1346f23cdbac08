import pytest

from benchmarks.figure import Figure


@pytest.mark.parametrize(
    ("interval", "at_most", "holds"),
    [
        ((0.99, 1.00), True, True),
        ((0.99, 1.01), True, True),  # the target itself is reached
        ((1.00, 1.02), True, None),
        ((1.02, 1.03), True, False),
        ((1.02, 1.03), False, True),
        ((1.00, 1.02), False, None),
        ((0.90, 1.00), False, False),
    ],
)
def test_a_target_is_met_only_by_the_whole_interval(
    interval: tuple[float, float], at_most: bool, holds: bool | None
) -> None:
    assert Figure("ratio", 1.0, "×", 1.01, at_most, interval).holds is holds


def test_a_figure_whose_interval_contains_its_target_is_undecided() -> None:
    assert str(Figure("ratio", 1.0, "×", 1.01, interval=(0.9, 1.1))).endswith("open")
    assert "[0.900, 1.100]" in str(Figure("ratio", 1.0, "×", interval=(0.9, 1.1)))


def test_without_an_interval_the_value_decides() -> None:
    assert Figure("ratio", 1.0, "×", 1.01).holds is True
    assert Figure("ratio", 1.1, "×", 1.01).holds is False
    assert Figure("ratio", 1.1, "×").holds is None
