"""What is picked, by which rule, with which draws; and that recording adds nothing to a step and loses nothing."""

import math
from collections.abc import Iterator, Mapping

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from kvdemo import strategies
from kvdemo.core.errors import BadInput
from kvdemo.core.settings.race import Sampling
from kvdemo.core.types import UNKNOWN, Choice, Step
from kvdemo.engine.timer import Stopwatch, time_steps
from kvdemo.models.loaded import LoadedModel
from kvdemo.samplers import Rule
from kvdemo.strategies.chooser import Chooser, greedy, pick_on_device, record
from tests.strategies.conftest import job_of

CPU = torch.device("cpu")


def chosen(chooser: Chooser, logits: torch.Tensor) -> Choice:
    """The choice as a race has it: recorded."""
    return record(Step((chooser(logits),), 1)).choices[0]


@given(st.lists(st.integers(-3, 3), min_size=2, max_size=20))
def test_greedy_is_argmax_even_when_logits_tie(values: list[int]) -> None:
    logits = torch.tensor(values, dtype=torch.float32)
    choice = chosen(Chooser(Rule(Sampling(0, 1, 0)), CPU), logits)
    assert choice.token == int(logits.argmax())
    assert choice.runner_up != choice.token
    assert choice.logprob >= choice.runner_up_logprob


@given(st.lists(st.integers(-3, 3), min_size=2, max_size=20), st.sampled_from([torch.bfloat16, torch.float16]))
def test_sixteen_bit_logits_give_the_same_token_as_in_float32(values: list[int], dtype: torch.dtype) -> None:
    logits = torch.tensor(values).to(dtype) / 7
    picked = Chooser(Rule(Sampling(0, 1, 0)), CPU)(logits)
    assert picked.token == int(logits.float().argmax()) == int(picked.ids)


@given(
    st.lists(st.lists(st.integers(-2, 2), min_size=5, max_size=5), min_size=1, max_size=8),
    st.lists(st.integers(0, 4), min_size=7, max_size=7),
)
def test_rows_chosen_at_once_equal_rows_chosen_one_by_one(rows: list[list[int]], guesses: list[int]) -> None:
    logits, expected = torch.tensor(rows, dtype=torch.float32), guesses[: len(rows) - 1]
    choose = Chooser(Rule(Sampling(0, 1, 0)), CPU)
    at_once = record(Step(tuple(choose.while_expected(logits, expected)), 1)).choices
    one_by_one = []
    for row, token in zip(logits, [*expected, None], strict=True):
        one_by_one.append(chosen(choose, row))
        if one_by_one[-1].token != token:
            break
    assert list(at_once) == one_by_one


def test_no_draw_is_made_after_a_wrong_guess() -> None:
    torch.manual_seed(0)
    rows = torch.randn(60, 12)
    plain, guessing = Chooser(Rule(Sampling(1.0, 0.9, 3)), CPU), Chooser(Rule(Sampling(1.0, 0.9, 3)), CPU)
    right = [plain(row).token for row in rows]
    at, got = 0, []
    while at < 50:
        wrong = [*right[at : at + 2], (right[at + 2] + 1) % 12, 5]
        got += [picked.token for picked in guessing.while_expected(rows[at : at + 5], wrong)]
        at = len(got)
    assert got == right[:at]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("temperature", "top_p"), [(1.0, 1.0), (0.7, 0.8), (2.0, 0.3)])
def test_a_draw_equals_that_of_torch_multinomial(dtype: torch.dtype, temperature: float, top_p: float) -> None:
    """Seeds give the texts that they gave before the draw was made without torch.multinomial's copies to the host."""
    torch.manual_seed(0)
    for vocabulary in (2, 30, 5000):
        rows = (3 * torch.randn(40, vocabulary)).to(dtype)
        choose, generator = Chooser(Rule(Sampling(temperature, top_p, 5)), CPU), torch.Generator(CPU).manual_seed(5)
        probabilities = (choose.probabilities(row) for row in rows)
        expected = [int(torch.multinomial(p, 1, generator=generator)) for p in probabilities]
        assert [choose(row).token for row in rows] == expected


def test_a_draw_can_be_repeated_from_its_recorded_numbers() -> None:
    torch.manual_seed(0)
    rows = torch.randn(50, 30)
    one, other = Chooser(Rule(Sampling(0.8, 1.0, 5)), CPU), Chooser(Rule(Sampling(0.8, 1.0, 5)), CPU)
    tokens = [one(row).token for row in rows]
    for row in rows[:40]:
        other.noise(row)
    assert int(((rows[40] / 0.8).softmax(-1) / other.noise(rows[40])).argmax()) == tokens[40]


def test_equal_logits_give_equal_tokens_in_every_lane() -> None:
    torch.manual_seed(0)
    rows = torch.randn(50, 30)
    one, other = Chooser(Rule(Sampling(0.8, 0.9, 5)), CPU), Chooser(Rule(Sampling(0.8, 0.9, 5)), CPU)
    torch.rand(7)  # the global generator plays no part
    assert [one(row).token for row in rows] == [other(row).token for row in rows]


def test_draws_follow_the_tempered_distribution() -> None:
    logits = torch.tensor([2.0, 1.0, 0.0, -1.0])
    draw = Chooser(Rule(Sampling(2.0, 1.0, 1)), CPU)
    n = 20_000
    counts = torch.bincount(torch.tensor([draw(logits).token for _ in range(n)]), minlength=4) / n
    assert torch.allclose(counts, (logits / 2).softmax(-1), atol=0.015)  # more than 4 standard errors


def test_top_p_keeps_the_smallest_set_that_reaches_it() -> None:
    logits = torch.tensor([0.5, 0.3, 0.15, 0.05]).log()
    draw = Chooser(Rule(Sampling(1.0, 0.6, 1)), CPU)
    assert {draw(logits).token for _ in range(500)} == {0, 1}
    # the log-probability stays that of the model, not of the narrowed distribution
    assert chosen(draw, logits).logprob in (pytest.approx(-0.693, abs=1e-3), pytest.approx(-1.204, abs=1e-3))


@pytest.mark.parametrize("temperature", [0, 1.0])
@pytest.mark.parametrize("broken", [[math.nan, 1.0], [math.inf, 1.0], [-math.inf, -math.inf]])
def test_logits_of_nan_raise_an_error(temperature: float, broken: list[float]) -> None:
    choose = Chooser(Rule(Sampling(temperature, 1, 0)), CPU)

    def decode() -> Iterator[Step]:
        yield Step((choose(torch.tensor([1.0, 2.0])),), 1)
        yield Step((choose(torch.tensor(broken)),), 1)

    steps = time_steps(decode(), lambda: None, Stopwatch(), record=record)
    assert next(steps).step.tokens
    with pytest.raises(BadInput, match="not finite"):
        next(steps)


def test_a_picked_token_has_no_log_probability_until_it_is_recorded() -> None:
    logits = torch.tensor([1.0, 3.0, 2.0])
    picked = Chooser(Rule(Sampling(0, 1, 0)), CPU)(logits)
    assert (picked.token, picked.runner_up) == (1, UNKNOWN)
    assert math.isnan(picked.logprob) and math.isnan(picked.runner_up_logprob)
    logprobs = logits.log_softmax(-1).tolist()
    (choice,) = record(Step((picked,), 1)).choices
    entropy = choice.entropy
    assert entropy == pytest.approx(-sum(math.exp(p) * p for p in logprobs) / math.log(2), rel=1e-5)
    assert choice == Choice(1, logprobs[1], 2, logprobs[2], entropy)
    assert type(choice) is Choice  # it keeps no logits
    told = Step((choice,), 1, texts=("x",))
    assert record(told) is told


class Operations(TorchDispatchMode):
    """The names of the operations that reach the device."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.append(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))


def test_a_greedy_choice_is_one_argmax_and_one_copy() -> None:
    rows, choose = torch.randn(9, 50), Chooser(Rule(Sampling(0, 1, 0)), CPU)
    with Operations() as one:
        choose(rows[0])
    assert [name for name in one.names if name in ("argmax", "_local_scalar_dense", "log_softmax", "topk")] == [
        "argmax",
        "_local_scalar_dense",
    ]
    expected = rows[:-1].argmax(-1).tolist()
    with Operations() as many:
        assert len(choose.while_expected(rows, expected)) == 9
    assert many.names.count("argmax") == 1
    assert "topk" not in many.names and "_log_softmax" not in many.names


def test_a_compiled_step_can_include_the_choice() -> None:
    """`greedy` is traced with the step, and what comes out of it is a choice like any other."""
    graph = torch.fx.symbolic_trace(lambda logits: greedy(logits * 2))
    logits = torch.tensor([1.0, 3.0, 3.0])
    picked = pick_on_device(graph(logits), logits)
    assert (picked.token, picked.ids.shape) == (1, (1,))
    assert record(Step((picked,), 1)).choices[0].runner_up == 2


@pytest.mark.parametrize("strategy", ["dynamic_cache", "prefix_cache", "prompt_lookup", "batched"])
def test_the_bytes_of_a_cache_are_counted_only_when_a_step_is_recorded(
    strategy: str, word_models: Mapping[str, LoadedModel]
) -> None:
    """Counting walks over all layers, which costs as much as half a percent of a step of a small model."""
    job = job_of(word_models["llama"], "w3 w4 w5")
    step = next(strategies.get(strategy).decode(job))
    assert (step.cache_bytes, step.cache is None) == (0, False)
    recorded = record(step)
    rows = int(step.details.get("rows", 1))
    keys_and_values, layers, kv_heads, head_size, float32 = 2, 2, 2, 8, 4
    assert recorded.cache_bytes == keys_and_values * layers * rows * kv_heads * head_size * float32 * 3
    assert recorded.cache is None  # or every step of a run would keep it alive
