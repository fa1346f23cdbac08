"""Top-k takes the first of equal scores, or any: the scores that it takes are torch's."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from kvdemo.models.network.ties import Ties

SCORES = st.lists(st.lists(st.sampled_from([-torch.inf, -1.0, 0.0, 0.5, 2.0]), min_size=6, max_size=6), min_size=1)
SEEDS = st.one_of(st.none(), st.integers(0, 100))


@given(SCORES, st.integers(0, 6), st.booleans(), SEEDS)
def test_the_scores_taken_are_those_of_torch(rows: list[list[float]], k: int, largest: bool, seed: int | None) -> None:
    scores = torch.tensor(rows)
    with Ties(seed):
        taken, places = torch.topk(scores, k, largest=largest)
    assert torch.equal(taken, scores.topk(k, largest=largest).values)
    assert torch.equal(scores.gather(-1, places), taken)
    assert all(len(set(row)) == k for row in places.tolist())


@pytest.mark.parametrize("width", [3, 7, 700])
def test_the_first_of_equal_scores_are_taken_however_many_there_are(width: int) -> None:
    with Ties():
        assert torch.zeros(2, width).topk(2).indices.tolist() == [[0, 1]] * 2
        assert torch.zeros(width, 2).topk(2, 0).indices.tolist() == [[0, 0], [1, 1]]


def test_by_chance_each_of_equal_scores_is_taken_at_times() -> None:
    scores = torch.tensor([1.0, 0.0, 0.0, 0.0, -1.0])
    taken = set()
    for seed in range(20):
        with Ties(seed):
            taken.add(tuple(scores.topk(2).indices.tolist()))
    assert taken == {(0, 1), (0, 2), (0, 3)}


def test_one_seed_takes_the_same_each_time_and_other_ones_in_the_next_layer() -> None:
    def layers(seed: int) -> list[Tensor]:
        with Ties(seed):
            return [torch.zeros(4, 50).topk(3).indices for _ in range(2)]

    (first, second), (again, _) = layers(1), layers(1)
    assert torch.equal(first, again)
    assert not torch.equal(first, second)
    assert not torch.equal(first[0], first[1])


@pytest.mark.parametrize(
    ("scores", "k", "met"),
    [
        ([3.0, 0.0, 0.0, 0.0], 2, True),
        ([3.0, 0.0, 0.0, 0.0], 1, False),  # none that is left out equals one that is taken
        ([3.0, 0.0, 0.0, 0.0], 4, False),  # none is left out
        ([3.0, -torch.inf, -torch.inf], 2, False),  # nothing reads what is masked
        ([3.0, torch.finfo(torch.float32).min, torch.finfo(torch.float32).min], 2, False),
    ],
)
def test_ties_are_met_where_some_of_equal_scores_are_left_out(scores: list[float], k: int, met: bool) -> None:
    with Ties() as ties:
        torch.tensor(scores).topk(k)
    assert ties.met == met


def test_a_network_without_numbers_runs_too() -> None:
    with Ties() as ties:
        assert torch.zeros(3, 9, device="meta").topk(2).indices.shape == (3, 2)
    assert not ties.met


def test_whole_numbers_are_taken_too() -> None:
    with Ties():
        assert torch.tensor([1, 3, 3]).topk(1).indices.tolist() == [1]
