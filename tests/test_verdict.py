from kvdemo.core import Divergence, Ended
from kvdemo.verdict import judge

from .scripted import record


def test_the_cached_lane_won_and_the_words_carry_the_measured_numbers() -> None:
    slow = record("Re-encode", range(4), [1.0, 1.0, 1.0, 1.0])
    fast = record("DynamicCache", range(4), [1.0, 0.2, 0.2, 0.2], cached=True)
    got = judge([slow, fast], "fair")
    assert got.headline == "DynamicCache finished 2.5× sooner: 4 tokens in 1.6 s against 4 s."
    assert got.sentences == (
        "DynamicCache ran 8 positions through the model; Re-encode ran 26. "
        "It held 800 B of keys and values at the end.",
        "Same text: 4 tokens compared, all equal.",
    )


def test_where_the_cache_did_not_win_the_steps_say_why() -> None:
    flat = record("No cache", range(6), [0.010] * 6, prompt=40)
    cached = record("DynamicCache", range(6), [0.010] * 6, cached=True, prompt=40)
    got = judge([flat, cached], "fair")
    assert "took about the same time" in got.headline
    why = next(s for s in got.sentences if s.startswith("Saved work was not saved time"))
    assert "a step over 44 positions took 10 ms here" in why
    assert "one over a single new position 10 ms" in why


def test_a_slower_cache_is_called_slower() -> None:
    got = judge([record("No cache", [1, 2], [1, 1]), record("DynamicCache", [1, 2], [2, 2], cached=True)], "fair")
    assert got.headline.startswith("DynamicCache took 2× as long as No cache: 2 tokens in 4 s against 2 s")


def test_one_token_has_nothing_to_reuse() -> None:
    got = judge([record("No cache", [1], [1.0]), record("DynamicCache", [1], [1.0], cached=True)], "fair")
    assert "With a single token there is nothing to reuse: every lane runs the prompt once." in got.sentences


def test_lanes_of_different_length_are_compared_where_both_have_tokens() -> None:
    got = judge([record("A", [1, 2], [1, 1]), record("B", [1, 2, 3, 4], [0.5] * 4)], "fair")
    assert got.headline == "B was 2.0× as fast as A: the first 2 tokens in 1 s against 2 s."


def test_a_stopped_lane_did_not_finish_sooner() -> None:
    lanes = [record("A", [1, 2], [2, 2]), record("B", [1, 2], [1, 1])]
    lanes[0].ended = Ended(0, "stopped")
    assert judge(lanes, "fair").headline == "B was 2.0× as fast as A: the first 2 tokens in 2 s against 4 s."


def test_the_departure_is_told_with_its_reason() -> None:
    lane = record("B", [1, 3], [1, 1])
    lane.divergence = Divergence(1, "numeric", "Because.")
    assert "Same text up to token 1. Because." in judge([record("A", [1, 2], [1, 1]), lane], "fair").sentences
    lane.divergence = Divergence(0, "numeric", "Because.")
    assert "The first token differs already. Because." in judge([record("A", [1, 2], [1, 1]), lane], "fair").sentences


def test_failed_and_stopped_lanes_are_told() -> None:
    failed, stopped = record("A", [1], [1.0]), record("B", [], [])
    failed.ended = Ended(0, "error", "No memory.")
    stopped.ended = Ended(1, "stopped")
    got = judge([failed, stopped], "fair")
    assert got.headline == "There is nothing to compare."
    assert got.sentences == ("A failed after 1 token: No memory.", "B was stopped after 0 tokens.")


def test_lanes_at_once_come_with_a_warning() -> None:
    lanes = [record("A", [1], [1.0]), record("B", [1], [1.0])]
    assert any("use fair turns" in s for s in judge(lanes, "simultaneous").sentences)
    assert not any("use fair turns" in s for s in judge(lanes, "fair").sentences)


def test_the_biggest_win_is_the_headline_and_the_others_follow() -> None:
    lanes = [record("Base", [1, 2], [4, 4]), record("Good", [1, 2], [2, 2]), record("Best", [1, 2], [1, 1])]
    got = judge(lanes, "fair")
    assert got.headline.startswith("Best finished 4.0× sooner than Base")
    assert got.sentences[0].startswith("Good finished 2.0× sooner than Base")


def test_a_lane_alone_has_no_one_to_beat() -> None:
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


def test_what_a_strategy_remarks_is_part_of_the_verdict() -> None:
    lane = record("Window", range(3), [0.1] * 3, cached=True)
    lane.remarks = ["It kept 4 of 7 positions."]
    assert "It kept 4 of 7 positions." in judge([lane], "fair").sentences
