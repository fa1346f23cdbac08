from collections.abc import Callable
from dataclasses import replace

import pytest

from kvdemo.core.events import Divergence
from kvdemo.core.settings.race import Sampling
from kvdemo.core.types import Choice
from kvdemo.engine.lane_history import LaneHistory
from kvdemo.race.divergence.reasons import explain, unchecked
from kvdemo.samplers import Rule
from tests.scripted import record

PROMPT = [1, 2]
TEXTS = {10: "\n", 11: "\n\n", 12: "a", 13: " b", 99: "\ufffd"}

DRAWN = Rule(Sampling(temperature=0.7))


def explained(
    a: LaneHistory,
    b: LaneHistory,
    encode: Callable[[str], list[int]] = lambda _: [],
    rules: tuple[Rule, Rule] = (Rule(), Rule()),
) -> Divergence:
    at = b.first_divergence_from(a)
    assert at is not None
    return explain(a, b, at, prompt_ids=PROMPT, encode=encode, piece=TEXTS.__getitem__, rules=rules)


def lane(name: str, *tokens: int, on_text: bool = False, lossless: bool = True) -> LaneHistory:
    made = record(name, tokens, [1.0] * len(tokens), lossless=lossless)
    made.writes_text = on_text
    made.texts = [TEXTS[t] for t in tokens]
    return made


def test_text_read_back_as_other_ids_is_retokenized_and_shows_both() -> None:
    text = lane("Text", 12, 10, 10, 12, on_text=True)
    got = explained(text, lane("Ids", 12, 10, 10, 13), encode=lambda _: [1, 2, 12, 11])
    assert (got.index, got.kind) == (3, "retokenized")
    assert got.detail == r'Text wrote "\n","\n" (10, 10), and its text was read back as "\n\n" (11).'


def test_a_token_of_half_a_character_is_named_as_the_reason() -> None:
    text = lane("Text", 99, 12, on_text=True)
    got = explained(lane("Ids", 99, 13), text, encode=lambda _: [1, 2, 12])
    assert got.kind == "retokenized"
    assert got.detail.endswith("(12): half a character cannot be written as text.")


def test_the_same_ids_and_another_argmax_is_numeric_and_shows_the_margin() -> None:
    a, b = lane("A", 12, 12), lane("B", 12, 13)
    a.choices[1] = Choice(12, -0.7, 13, -0.7003)
    b.choices[1] = Choice(13, -0.7001, 12, -0.7002)
    got = explained(a, b)
    assert (got.index, got.kind) == (1, "numeric")
    assert 'A chose "a" (12) with probability 0.497, B chose " b" (13)' in got.detail
    assert "by a margin of 0.0003 in log-probability" in got.detail
    assert got.detail.endswith("Whether rounding explains it is checked when the race is over.")
    assert unchecked(got, "the race was stopped").detail.endswith(
        "0.0003 in log-probability. Presumably rounding decided: not checked, because the race was stopped."
    )


def test_no_margin_is_stated_when_it_is_unknown() -> None:
    a, b = lane("A", 12), lane("B", 13)
    a.choices[0] = replace(a.choices[0], runner_up=77)
    b.choices[0] = replace(b.choices[0], runner_up=77)
    assert "margin" not in explained(a, b).detail


def test_a_text_lane_that_reads_back_its_own_ids_differs_for_numeric_reasons() -> None:
    text = lane("Text", 12, 12, on_text=True)
    assert explained(text, lane("Ids", 12, 13), encode=lambda _: [1, 2, 12]).kind == "numeric"


def test_differences_of_sampling_and_lossy_lanes_have_their_own_kinds() -> None:
    assert explained(lane("A", 12), lane("B", 13), rules=(DRAWN, DRAWN)).kind == "sampled"
    lossy = explained(lane("A", 12), lane("B", 13, lossless=False), rules=(DRAWN, DRAWN))
    assert lossy.kind == "lossy"
    assert "B may choose other tokens by design" in lossy.detail


def test_each_pair_of_tokens_is_compared_once() -> None:
    a, b = lane("A", 12, 12), lane("B", 12)
    assert b.first_divergence_from(a) is None
    b.tokens[0] = 13  # already compared: a second look would find this
    b.tokens.append(12)
    assert b.first_divergence_from(a) is None


def test_remote_lanes_are_compared_as_texts() -> None:
    here, there = lane("Here", 12, 13, 10), lane("There", 12, 13, 11)
    there.info = replace(there.info, elsewhere=True)
    there.texts = ["a b", "", "c"]
    got = explained(here, there)
    assert (got.index, got.kind) == (2, "remote")
    assert got.detail.startswith('Here goes on with "\\n", There with "c".')
    there.texts = ["a", " b\n"]  # cut otherwise, and the same text
    assert there.first_divergence_from(here) is None


def test_a_leading_space_and_a_trailing_half_character_are_no_difference_of_text() -> None:
    """Some machines write an answer as it stands after the prompt, others alone; each ends it where it was cut."""
    here, there = lane("Here", 12, 13, 10), lane("There", 12, 13, 11)
    there.info = replace(there.info, elsewhere=True)
    here.texts, there.texts = ["ok", " 語", "\ufffd"], [" ok", "", " 語"]
    assert there.first_divergence_from(here) is None
    there.texts = [" ok", "", " 言"]
    assert there.first_divergence_from(here) == 2
    assert explained(here, there).detail.startswith('Here goes on with "語", There with "言".')


def test_lanes_with_different_samplers_are_said_to_choose_by_different_rules() -> None:
    found = explained(lane("A", 12), lane("B", 13), rules=(Rule(), Rule(given={"temperature": 0.7, "top_k": 5})))
    assert found.kind == "rule"
    assert found.detail.endswith("They choose by different rules: greedy, and temperature 0.7, top-k 5.")
    seeds = Rule(DRAWN.race, {"seed": 1}), Rule(DRAWN.race, {"seed": 2})
    detail = explained(lane("A", 12), lane("B", 13), rules=seeds).detail
    assert detail.endswith("temperature 0.7, seed 1, and temperature 0.7, seed 2.")


@pytest.mark.parametrize("idle", [{"top_k": 20}, {"seed": 5}, {"min_p": 0.1}, {"top_p": 0.9}])
def test_a_setting_that_does_nothing_at_temperature_0_excuses_no_divergence(idle: dict[str, float]) -> None:
    assert explained(lane("A", 12), lane("B", 13), rules=(Rule(), Rule(given=idle))).kind == "numeric"
    penalty = Rule(given={"repetition_penalty": 1.2})
    assert explained(lane("A", 12), lane("B", 13), rules=(Rule(), penalty)).kind == "rule"
    assert explained(lane("A", 12), lane("B", 13), rules=(DRAWN, Rule(DRAWN.race, idle))).kind == "rule"
