from dataclasses import replace

import pytest

from kvdemo.core.events import Divergence, Ended
from kvdemo.core.types import Pass, TimedStep
from kvdemo.engine.lane_history import LaneHistory
from kvdemo.race.verdict.judge import judge
from tests.scripted import record, search, step


def test_the_headline_states_the_measured_times_of_the_faster_lane() -> None:
    slow = record("Re-encode", range(4), [1.0, 1.0, 1.0, 1.0])
    fast = record("DynamicCache", range(4), [1.0, 0.2, 0.2, 0.2], cached=True)
    got = judge([slow, fast], "fair")
    assert got.headline == "DynamicCache finished 2.5× sooner: 4 tokens in 1.6 s against 4 s."
    assert got.sentences == (
        "DynamicCache ran 8 positions through the model; Re-encode ran 26. "
        "It held 800 B of keys and values at the end.",
        "Same text: 4 tokens compared, all equal.",
        "The first step runs the same 5 positions in both lanes, with nothing kept yet: TTFT was 1 s in DynamicCache "
        "and 1 s in Re-encode; one step of each is too little to tell which of them is faster there.",
    )


@pytest.mark.parametrize(
    ("first", "prompt", "says"),
    [
        (1.2, 5, "TTFT was 1.2 s in DynamicCache and 1 s in Re-encode; one step of each is too little to tell"),
        (2.0, 5, "TTFT was 2 s in DynamicCache and 1 s in Re-encode; no cache had anything to give yet"),
        (0.2, 2, None),
    ],
)
def test_a_first_step_over_the_whole_prompt_is_said_to_reuse_nothing(
    first: float, prompt: int, says: str | None
) -> None:
    """A lane that runs fewer positions in it, since it had a part of the prompt already, does other work."""
    slow = record("Re-encode", range(3), [1.0, 1.0, 1.0])
    fast = record("DynamicCache", range(3), [first, 0.2, 0.2], cached=True, prompt=prompt)
    said = [one for one in judge([slow, fast], "fair").sentences if "The first step runs the same" in one]
    assert len(said) == (says is not None)
    assert says is None or says in said[0]


def test_a_cache_without_gain_is_explained_by_the_times_of_its_steps() -> None:
    flat = record("No cache", range(6), [0.010] * 6, prompt=40)
    cached = record("DynamicCache", range(6), [0.010] * 6, cached=True, prompt=40)
    got = judge([flat, cached], "fair")
    assert "took about the same time" in got.headline
    why = next(s for s in got.sentences if s.startswith("Saved work was not saved time"))
    assert "a step over 44 positions took 10 ms here" in why
    assert "one over a single new position 10 ms" in why


def test_a_small_gain_is_explained_by_the_fixed_cost_of_a_step() -> None:
    """A large GPU or a short text: a step is launched and the weights are read, however few positions it runs."""
    lanes = [record("No cache", range(6), [0.010] * 6, prompt=94), record("Cache", range(6), [0.008] * 6, cached=True)]
    got = judge(lanes, "fair")
    assert got.headline == (
        "Cache finished 1.25× sooner: 6 tokens in 48 ms against 60 ms; it gained no more, because a step over a "
        "single new position took 80 % of the time of one over 98."
    )
    why = next(s for s in got.sentences if s.startswith("Much of a step is a fixed cost"))
    assert "a step over 98 positions took 10 ms here, and one over a single new position 8 ms." in why


def test_a_small_gain_is_explained_by_the_prompt_when_later_tokens_gained_much() -> None:
    slow = record("No cache", range(3), [4.0, 1.0, 1.0])
    fast = record("Cache", range(3), [4.0, 0.1, 0.1], cached=True)
    got = judge([slow, fast], "fair")
    assert got.headline == (
        "Cache finished 1.43× sooner: 3 tokens in 4.2 s against 6 s; it gained no more, because the step over the "
        "prompt, which both lanes need, was 95 % of Cache's time."
    )
    assert (
        "After the prompt, which took Cache 4 s, a token took 100 ms, and 1 s in No cache: with more new tokens the "
        "gain grows."
    ) in got.sentences


def test_a_large_gain_is_stated_without_an_explanation() -> None:
    lanes = [record("No cache", range(4), [1.0] * 4), record("Cache", range(4), [0.5] * 4, cached=True)]
    assert judge(lanes, "fair").headline == "Cache finished 2× sooner: 4 tokens in 2 s against 4 s."


def test_a_slower_cached_lane_is_reported_as_slower() -> None:
    got = judge([record("No cache", [1, 2], [1, 1]), record("DynamicCache", [1, 2], [2, 2], cached=True)], "fair")
    assert got.headline.startswith("DynamicCache took 2× as long as No cache: 2 tokens in 4 s against 2 s")


def test_with_one_token_the_verdict_says_that_nothing_is_reused() -> None:
    got = judge([record("No cache", [1], [1.0]), record("DynamicCache", [1], [1.0], cached=True)], "fair")
    assert (
        "With a single token there is nothing to reuse: DynamicCache and No cache each ran 5 positions."
    ) in got.sentences


def test_with_one_token_only_lanes_that_ran_the_same_are_said_to_have_nothing_to_reuse() -> None:
    """Four rows run the prompt four times, a lane that was given a part of it the rest, a draft model runs it too."""
    base, draft = (record(name, [1], [1.0], cached=cached, prompt=40) for name, cached in (("A", False), ("B", True)))
    draft.steps = [replace(t, step=replace(t.step, passes=(Pass(1, 40, 40, draft=True),))) for t in draft.steps]
    for other in (rows("Batched", [1.0], rows=4), record("Prefix", [1], [1.0], cached=True, prompt=3), draft):
        assert not any("nothing to reuse" in said for said in judge([base, other], "fair").sentences)


@pytest.mark.parametrize(
    ("base", "lane", "says"),
    [
        ([1.0] * 16, [9.0, *[0.96] * 15], "because the step over the prompt took 9 s in Cache and 1 s in No cache."),
        (
            [1.0] * 16,
            [1.0, *[0.96] * 14, 9.0],
            "because step 16 of Cache alone took 9 s; the median of its other later steps is 960 ms.",
        ),
        ([9.0, *[1.0] * 15], [1.0, *[0.98] * 15], "because the step over the prompt took 1 s in Cache and 9 s in No c"),
        (
            [1.0, *[1.0] * 10, 9.0, *[1.0] * 4],
            [1.0, *[0.98] * 15],
            "because step 12 of No cache alone took 9 s; the median of its other later steps is 1 s.",
        ),
    ],
)
def test_one_slow_step_is_named_and_not_what_the_usual_ones_cost(
    base: list[float], lane: list[float], says: str
) -> None:
    lanes = [record("No cache", range(16), base, prompt=40), record("Cache", range(16), lane, cached=True, prompt=40)]
    got = judge(lanes, "fair")
    assert says in got.headline
    assert not any(word in " ".join(got.sentences) for word in ("Saved work", "fixed cost", "After the prompt"))


def test_several_slow_steps_of_which_none_carries_the_difference_give_no_reason() -> None:
    lanes = [
        record("No cache", range(16), [1.0] * 16, prompt=40),
        record("Cache", range(16), [1.0] + [0.96, 0.96, 3.0] * 5, cached=True, prompt=40),
    ]
    got = judge(lanes, "fair")
    assert got.headline.startswith("Cache took 1.6") and "because" not in got.headline
    assert not any("Saved work" in said for said in got.sentences)


def test_a_gain_is_not_said_to_grow_where_one_step_of_the_baseline_made_it() -> None:
    lanes = [
        record("No cache", range(8), [4.0, *[1.0] * 6, 9.0], prompt=40),
        record("Cache", range(8), [4.0, *[0.9] * 7], cached=True, prompt=40),
    ]
    got = judge(lanes, "fair")
    assert "because step 8 of No cache alone took 9 s" in got.headline
    assert not any("the gain grows" in said for said in got.sentences)


def test_lanes_of_different_length_are_compared_at_the_smaller_token_count() -> None:
    got = judge([record("A", [1, 2], [1, 1]), record("B", [1, 2, 3, 4], [0.5] * 4)], "fair")
    assert got.headline == "B was 2× as fast as A: the first 2 tokens in 1 s against 2 s."


def test_a_stopped_lane_is_not_said_to_finish_sooner() -> None:
    lanes = [record("A", [1, 2], [2, 2]), record("B", [1, 2], [1, 1])]
    lanes[0].ended = Ended(0, "stopped")
    assert judge(lanes, "fair").headline == "B was 2× as fast as A: the first 2 tokens in 2 s against 4 s."


def test_a_divergence_is_stated_with_its_reason() -> None:
    lane = record("B", [1, 3], [1, 1])
    lane.divergence = Divergence(1, "numeric", "Because.")
    assert "Same text up to token 1. Because." in judge([record("A", [1, 2], [1, 1]), lane], "fair").sentences
    lane.divergence = Divergence(0, "numeric", "Because.")
    assert "The first token differs already. Because." in judge([record("A", [1, 2], [1, 1]), lane], "fair").sentences


def test_failed_and_stopped_lanes_are_reported() -> None:
    failed, stopped = record("A", [1], [1.0]), record("B", [], [])
    failed.ended = Ended(0, "error", "No memory.")
    stopped.ended = Ended(1, "stopped")
    got = judge([failed, stopped], "fair")
    assert got.headline == "There is nothing to compare."
    assert got.sentences == ("A failed after 1 token: No memory.", "B was stopped after 0 tokens.")


def test_simultaneous_lanes_get_a_warning() -> None:
    lanes = [record("A", [1], [1.0]), record("B", [1], [1.0])]
    assert any("use fair turns" in s for s in judge(lanes, "simultaneous").sentences)
    assert not any("use fair turns" in s for s in judge(lanes, "fair").sentences)


def test_the_largest_speedup_is_the_headline_and_the_others_follow() -> None:
    lanes = [record("Base", [1, 2], [4, 4]), record("Good", [1, 2], [2, 2]), record("Best", [1, 2], [1, 1])]
    got = judge(lanes, "fair")
    assert got.headline.startswith("Best finished 4× sooner than Base")
    assert got.sentences[0].startswith("Good finished 2× sooner than Base")


def test_a_single_lane_gets_its_total_time_as_headline() -> None:
    assert judge([record("A", [1, 2], [1, 1])], "fair").headline == "A wrote 2 tokens in 2 s."


def test_of_three_lanes_the_best_at_each_is_named() -> None:
    slow = record("Re-encode", range(4), [0.5, 1.0, 1.0, 1.0])
    fast = record("DynamicCache", range(4), [1.0, 0.2, 0.2, 0.2], cached=True)
    other = record("Window", [0, 1, 9, 9], [0.9, 0.3, 0.3, 0.3], cached=True, prompt=3)
    other.divergence = Divergence(2, "lossy", "It forgot.")
    best = next(s for s in judge([slow, fast, other], "fair").sentences if s.startswith("Best at each"))
    assert best == (
        "Best at each: fastest DynamicCache (1.6 s); first token Re-encode (500 ms); "
        "least memory among those that keep a cache Window (600 B); same text as Re-encode: DynamicCache."
    )
    assert not any(s.startswith("Best at each") for s in judge([slow, fast], "fair").sentences)


def test_remarks_of_a_strategy_are_in_the_verdict() -> None:
    lane = record("Window", range(3), [0.1] * 3, cached=True)
    lane.remarks = ["It kept 4 of 7 positions."]
    assert "It kept 4 of 7 positions." in judge([lane], "fair").sentences


def test_a_search_that_commits_in_one_step_gets_a_verdict() -> None:
    """It has no decoding step to take a median of."""
    for seconds in (0.5, 4.0, 9.0):
        got = judge([record("No cache", range(4), [1.0] * 4), search("Beam search", (seconds, 4))], "fair")
        assert "4 tokens in" in got.headline
        assert not any(s.startswith("Saved work was not saved time") for s in got.sentences)


@pytest.mark.parametrize("taken", [(0, 0), (0, 4), (1, 4), (4, 1), (1, 1), (4, 4)])
@pytest.mark.parametrize("kinds", ["steps", "one step", "search", "no clock"])
def test_lanes_with_any_number_of_steps_and_tokens_get_a_verdict(taken: tuple[int, int], kinds: str) -> None:
    def lane(name: str, tokens: int, cached: bool) -> LaneHistory:
        if kinds == "search" and tokens:
            return search(name, (1.0, tokens))
        seconds = [0.0 if kinds == "no clock" else 1.0] * tokens
        if kinds == "one step" and tokens:
            made = record(name, [], [])
            made.add(TimedStep(step(*range(tokens), positions=5, cache_bytes=100 * cached), 1.0), ("",) * tokens)
            return made
        return record(name, range(tokens), seconds, cached=cached)

    lanes = [lane("A", taken[0], False), lane("B", taken[1], True), lane("C", taken[1], True)]
    for some in (lanes[:1], lanes[:2], lanes):
        got = judge(some, "fair")
        assert got.headline and all(sentence.endswith(".") for sentence in got.sentences)
        assert not any(word in " ".join([got.headline, *got.sentences]) for word in ("nan", "inf ", "inf×", "None"))


def test_the_speed_of_a_search_is_that_of_its_whole_text() -> None:
    """It had 3 of its tokens after 2 s: that is no time that another lane took for the same."""
    shorter = record("No cache", range(3), [1.0] * 3)
    got = judge([shorter, search("Beam search", (1.0, 1), (1.0, 3))], "fair")
    assert got.headline == (
        "Beam search wrote 4 tokens and No cache 3: the time of a search can only be compared over the whole of "
        "equally long texts."
    )
    whole = judge([record("No cache", range(4), [1.0] * 4), search("Beam search", (1.0, 1), (1.0, 3))], "fair")
    assert whole.headline == "Beam search finished 2× sooner: 4 tokens in 2 s against 4 s."


def test_a_lane_that_ended_after_one_token_is_not_the_fastest_of_anything() -> None:
    base, good = record("Base", range(4), [1.0] * 4), record("Good", range(4), [0.9, 0.5, 0.5, 0.5], cached=True)
    ended = record("Ended", [0], [0.1], cached=True)
    ended.ended = Ended(2, "eos")
    got = judge([base, ended, good], "fair")
    assert got.headline.startswith("Good finished 1.67× sooner than Base")
    assert got.sentences[0] == (
        "Ended ended after one token, which is too little to compare speeds: Ended had its first token after 100 ms, "
        "Base after 1 s."
    )
    best = next(s for s in got.sentences if s.startswith("Best at each"))
    assert "fastest Good (2.4 s)" in best and "first token Good (900 ms)" in best
    assert "memory" not in best  # one lane that keeps a cache is not the best of those


def test_a_search_is_not_compared_by_time_to_first_token() -> None:
    lanes = [record("A", range(4), [2.0, 1, 1, 1]), record("B", range(4), [1.5, 1, 1, 1]), search("Beams", (1.0, 4))]
    best = next(s for s in judge(lanes, "fair").sentences if s.startswith("Best at each"))
    assert "fastest Beams (1 s)" in best and "first token B (1.5 s)" in best


def test_among_equal_lanes_the_first_is_the_headline() -> None:
    lanes = [record("Base", range(2), [1, 1]), record("Z", range(2), [1, 1]), record("A", range(2), [1, 1])]
    assert judge(lanes, "fair").headline.startswith("Z and Base took about the same time")


def test_a_step_of_several_rows_is_not_called_one_position() -> None:
    flat, rows = (
        record("No cache", range(6), [0.01] * 6, prompt=40),
        record("Batched", range(6), [0.01] * 6, cached=True),
    )
    rows.steps = [replace(t, step=replace(t.step, positions=4 * t.step.positions)) for t in rows.steps]
    why = next(s for s in judge([flat, rows], "fair").sentences if s.startswith("Saved work"))
    assert "one over 4 new positions 10 ms" in why


def rows(name: str, seconds: list[float], *, rows: int, prompt: int = 40) -> LaneHistory:
    """A lane with a cache, each step of which runs as many rows."""
    made = record(name, range(len(seconds)), seconds, cached=True, prompt=prompt)
    made.steps = [replace(t, step=replace(t.step, positions=rows * t.step.positions)) for t in made.steps]
    return made


@pytest.mark.parametrize("seconds", [[0.012] * 6, [0.010] * 6, [0.008] * 6, [0.010, *[0.004] * 5]])
def test_a_lane_of_many_rows_is_not_said_to_have_saved_work(seconds: list[float]) -> None:
    """Each of its steps runs 64 positions, and the baseline's 45 at the most."""
    got = judge([record("No cache", range(6), [0.010] * 6, prompt=40), rows("Batched", seconds, rows=64)], "fair")
    assert "because" not in got.headline
    assert not any(word in " ".join(got.sentences) for word in ("Saved work", "fixed cost", "After the prompt"))


def test_a_lane_that_ran_more_of_the_prompt_than_it_saved_is_not_said_to_have_saved_work() -> None:
    """A step runs 4 positions against 41, but the prompt was run 4 times."""
    lanes = [record("No cache", range(2), [0.010] * 2, prompt=40), rows("Batched", [0.010] * 2, rows=4)]
    assert not any(s.startswith("Saved work") for s in judge(lanes, "fair").sentences)


def test_the_prompt_of_several_rows_is_not_one_that_every_lane_needs() -> None:
    lanes = [
        record("No cache", range(9), [0.010] * 9, prompt=9),
        rows("Batched", [0.040, *[0.002] * 8], rows=2, prompt=9),
    ]
    got = judge(lanes, "fair")
    assert got.headline == "Batched finished 1.61× sooner: 9 tokens in 56 ms against 90 ms."
    assert not any(s.startswith("After the prompt") for s in got.sentences)


def test_a_draft_model_is_not_left_out_of_the_work_that_a_lane_saved() -> None:
    lane = record("Speculative", range(6), [0.010] * 6, cached=True, prompt=40)
    lane.steps = [replace(t, step=replace(t.step, passes=(Pass(1, 4, 44, draft=True),))) for t in lane.steps]
    lanes = [record("No cache", range(6), [0.010] * 6, prompt=40), lane]
    assert not any(s.startswith("Saved work") for s in judge(lanes, "fair").sentences)


def test_fixed_costs_are_not_blamed_where_the_steps_saved_time_and_the_prompt_took_it() -> None:
    lanes = [
        record("No cache", range(6), [0.010] * 6, prompt=40),
        record("Cache", range(6), [0.055, *[0.001] * 5], cached=True, prompt=40),
    ]
    got = judge(lanes, "fair")
    assert "about the same time" in got.headline and "because" not in got.headline
    assert not any(s.startswith("Saved work") for s in got.sentences)


def elsewhere(lane: LaneHistory) -> LaneHistory:
    """The same lane, decoded by another machine: what it ran and kept is not known."""
    lane.info = replace(lane.info, elsewhere=True)
    lane.steps = [replace(t, step=replace(t.step, positions=0, cache_bytes=0)) for t in lane.steps]
    return lane


@pytest.mark.parametrize("seconds", [0.005, 0.012, 0.03, 0.3])
@pytest.mark.parametrize("far", [0, 1])
@pytest.mark.parametrize("tokens", [1, 10])
def test_nothing_is_said_of_the_passes_of_a_lane_that_runs_elsewhere(seconds: float, far: int, tokens: int) -> None:
    lanes = [
        record("A", range(tokens), [seconds] * tokens),
        record("B", range(tokens), [0.02] * tokens, cached=True),
    ]
    elsewhere(lanes[far])
    for schedule in ("fair", "simultaneous"):
        got = judge(lanes, schedule)  # type: ignore[arg-type]
        said = " ".join([got.headline, *got.sentences])
        assert not any(word in said for word in ("position", "because", "every lane", "slowed each other down"))
        assert "Same text" in said and "characters compared" in said


def test_lanes_of_this_machine_get_a_warning_beside_one_that_runs_elsewhere() -> None:
    lanes = [record("A", [1], [1.0]), record("B", [1], [1.0]), elsewhere(record("C", [1], [1.0]))]
    assert any("slowed each other down" in s for s in judge(lanes, "simultaneous").sentences)


@pytest.mark.parametrize(("times", "said"), [(2, "2×"), (2.345, "2.35×"), (150, "150×"), (12_345, "12,345×")])
def test_a_ratio_has_three_figures_and_never_an_exponent(times: float, said: str) -> None:
    one, other = record("One", range(4), [1.0] * 4), record("Other", range(4), [times] * 4)
    assert judge([one, other], "fair").headline.startswith(f"Other took {said} as long as One")
    assert judge([other, one], "fair").headline.startswith(f"One finished {said} sooner")
