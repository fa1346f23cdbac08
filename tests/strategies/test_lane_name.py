from kvdemo.core.types import Option
from kvdemo.strategies.lane_name import lane_name

OPTIONS = {"window": Option(256, "Window", ""), "engine": Option("default", "Engine", "", named_in="SOME_VARIABLE")}


def test_a_lane_is_named_by_its_strategy_and_what_is_not_at_its_default() -> None:
    assert lane_name("Sliding", OPTIONS, {"window": 256, "engine": "default"}, {}) == "Sliding"
    assert lane_name("Sliding", OPTIONS, {"window": 8, "engine": "vllm"}, {}) == "Sliding (window 8, vllm)"


def test_settings_of_samplers_that_it_was_given_are_part_of_its_name() -> None:
    given = {"temperature": 0.8, "min_p": 0.05}
    assert lane_name("A", {}, {}, given) == "A · temperature 0.8, min-p 0.05"
    assert lane_name("A", {}, {}, {"temperature": 0.0}) == "A · temperature 0.0"
