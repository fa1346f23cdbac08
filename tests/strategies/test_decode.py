import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kvdemo.core import BadInput
from kvdemo.strategies._decode import chooser

CPU = torch.device("cpu")


@given(st.lists(st.integers(-3, 3), min_size=2, max_size=20))
def test_greedy_is_argmax_also_where_logits_tie(values: list[int]) -> None:
    logits = torch.tensor(values, dtype=torch.float32)
    choice = chooser(0, 1, 0, CPU)(logits)
    assert choice.token == int(logits.argmax())
    assert choice.rival != choice.token
    assert choice.logprob >= choice.rival_logprob


def test_equal_logits_give_equal_tokens_in_every_lane() -> None:
    torch.manual_seed(0)
    rows = torch.randn(50, 30)
    one, other = chooser(0.8, 0.9, 5, CPU), chooser(0.8, 0.9, 5, CPU)
    torch.rand(7)  # the global generator plays no part
    assert [one(row).token for row in rows] == [other(row).token for row in rows]


def test_draws_follow_the_tempered_distribution() -> None:
    logits = torch.tensor([2.0, 1.0, 0.0, -1.0])
    draw = chooser(2.0, 1.0, 1, CPU)
    n = 20_000
    counts = torch.bincount(torch.tensor([draw(logits).token for _ in range(n)]), minlength=4) / n
    assert torch.allclose(counts, (logits / 2).softmax(-1), atol=0.015)  # more than 4 standard errors


def test_top_p_keeps_the_smallest_set_that_reaches_it() -> None:
    logits = torch.tensor([0.5, 0.3, 0.15, 0.05]).log()
    draw = chooser(1.0, 0.6, 1, CPU)
    assert {draw(logits).token for _ in range(500)} == {0, 1}
    # the log-probability stays that of the model, not of the narrowed distribution
    assert draw(logits).logprob in (pytest.approx(-0.693, abs=1e-3), pytest.approx(-1.204, abs=1e-3))


def test_broken_logits_are_an_error_not_a_token() -> None:
    with pytest.raises(BadInput, match="not finite"):
        chooser(0, 1, 0, CPU)(torch.tensor([float("nan"), 1.0]))
