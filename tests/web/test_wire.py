"""The wire format: what it says, that it cannot be broken out of, and what it costs."""

import json
import math
import timeit
from typing import Any

import pytest
from gradio import utils
from hypothesis import given
from hypothesis import strategies as st

from kvdemo.core.errors import BadInput
from kvdemo.core.events import Diverged, Divergence, Ended, Finding, Finished, Progress, TokensCommitted
from kvdemo.core.types import Choice, Pass, Step, TimedStep
from kvdemo.web import wire
from tests.scripted import search, verdict
from tests.web.scripted_backend import committed, started

HOSTILE = [
    "\n",
    "a\nb",
    "~n",
    "~",
    "~~n",
    "<script>",
    "${x}",
    "{{x}}",
    "\\n",
    '"',
    " ",
    "",
    "\u202eabc",
    "\x00",
    "😀",
    "缓存",
]


def unescape(text: str) -> str:
    """The browser's half (frontend/race/wire.js), in Python."""
    out, rest = "", text
    while rest:
        head, tilde, rest = rest.partition("~")
        out += head + ({"~": "~", "n": "\n", "l": "<"}[rest[0]] if tilde else "")
        rest = rest[1:] if tilde else ""
    return out


def test_a_token_is_a_line_of_lane_id_time_positions_bytes_surprise_and_text() -> None:
    assert wire.line(committed(1, (" the",), 0.0332104, cache_bytes=46080)) == "1 100 33210 1 46080 500  the\n"


def test_a_known_entropy_is_written_after_the_surprise() -> None:
    def model(choice: Choice) -> str:
        return wire.line(TokensCommitted(0, TimedStep(Step((choice,), 1), 0.01), ("a",))).split(" ")[5]

    assert model(Choice(1, -0.25, 2, -3.0, 1.2344)) == "250/1234"
    assert model(Choice(1, math.nan, 2, math.nan)) == "-"


def test_a_step_of_three_tokens_carries_its_cost_once() -> None:
    text = wire.line(committed(0, ("a", "b", ""), 0.06, positions=5))
    assert text.splitlines() == ["0 100 60000*3 5 0 500 a", "+ 101 500 b", "+ 102 500 "]


def ran(cache_bytes: int = 9, **step: Any) -> str:
    return wire.line(committed(0, ("a",), cache_bytes=cache_bytes, **step)).split(" ")[3]


def test_a_step_of_one_row_is_written_as_its_positions() -> None:
    assert ran(positions=1) == "1"
    assert ran(0, positions=7, passes=(Pass(1, 7, 7),)) == "7"  # without a cache there is nothing but these


def test_rows_contexts_and_rejected_drafts_are_written_when_positions_do_not_imply_them() -> None:
    assert ran(positions=1, passes=(Pass(1, 1, 260),)) == "1@260"  # a window: the context does not grow
    assert ran(positions=5, passes=(Pass(1, 1, 9, draft=True), Pass(1, 5, 14, logits=5, rejected=3))) == "5@14-3"
    assert ran(positions=4, passes=(Pass(4, 1, 9),)) == "4x1@9"


def test_equal_passes_of_a_search_are_written_once_with_their_count() -> None:
    passes = (Pass(1, 4, 4), Pass(3, 1, 5), Pass(3, 1, 6), Pass(3, 1, 7), Pass(3, 1, 7))
    assert ran(positions=16, passes=passes) == "4@4+3x1@5*3+3x1@7"


def test_the_bytes_of_an_exact_cache_are_written_when_they_differ() -> None:
    def held(**details: float) -> str:
        return wire.line(committed(0, ("a",), cache_bytes=25, details=details)).split(" ")[4]

    assert (held(), held(exact_bytes=25), held(exact_bytes=100.0)) == ("25", "25", "25/100")


def test_the_lanes_own_text_is_written_only_when_it_differs() -> None:
    same, other = committed(0, ("a",), texts=("a",)), committed(0, ("",), texts=("\ufffd",))
    assert wire.line(same).count("\n") == 1
    assert wire.line(other).splitlines()[1] == "= \ufffd"


@pytest.mark.parametrize("text", HOSTILE)
def test_any_text_is_escaped_to_one_line_and_back(text: str) -> None:
    line = wire.line(committed(0, (text,)))
    assert line.count("\n") == 1
    assert line.endswith("\n")
    assert unescape(line[:-1].split(" ", 6)[6]) == text


@pytest.mark.parametrize("text", HOSTILE)
def test_json_is_written_on_one_line_without_markup(text: str) -> None:
    line = wire.line(started(prompt=text))
    assert line.count("\n") == 1
    assert "<" not in line
    assert json.loads(line[2:])["prompt_text"] == text


@pytest.mark.parametrize("text", HOSTILE)
def test_pending_text_is_written_before_the_end_of_its_lane(text: str) -> None:
    lines = wire.line(Ended(1, "length", text=text)).splitlines()
    assert lines[-1] == "E 1 length "
    assert [unescape(line[4:]) for line in lines[:-1]] == ([text] if text else [])
    assert all(line.startswith("T 1 ") for line in lines[:-1])


def test_lone_surrogates_become_replacement_characters() -> None:
    text = wire.line(committed(0, ("a\ud83d",))) + wire.notice("\udc00") + wire.line(started(prompt="\ud83d"))
    text.encode("utf-8")
    assert text.count("\ufffd") == 3
    assert "😀" in wire.notice("\ud83d\ude00")


def test_rare_events_are_lines_that_begin_with_a_letter() -> None:
    won = verdict("Won.", "A.", Finding("remark", (1,), {}, "B."))
    events = [
        Progress("Fetching", 0.1234), Progress("Waiting"), Ended(0, "length"), Ended(1, "error", "Out of\nmemory."),
        Diverged(1, Divergence(65, "numeric", "By a hair.")), Finished({}, won),
    ]  # fmt: skip
    lines = wire.lines(events).splitlines()
    assert lines[:4] == ["P 123 Fetching", "P - Waiting", "E 0 length ", "E 1 error Out of~nmemory."]
    assert json.loads(lines[4][2:]) == {"lane": 1, "index": 65, "kind": "numeric", "detail": "By a hair."}
    assert json.loads(lines[5][2:]) == {
        "findings": [
            {"lanes": [], "text": "Won.", "panel": "steps"},
            {"lanes": [], "text": "A.", "panel": None},
            {"lanes": [1], "text": "B.", "panel": None},
        ],
        "reader": {},
        "beams": [],
    }


@pytest.mark.parametrize("text", HOSTILE)
def test_the_last_line_holds_the_beam_trees_of_searches(text: str) -> None:
    node = {"parent": 0, "token": 7, "text": text, "logprob": -0.123456, "score": -1.5}
    lanes = [
        {"steps": [{"logprobs": [-1.0]}, {"logprobs": [-0.5, -2.0]}]},
        {"steps": [{"logprobs": [-1.0, -0.5]}], "beams": [[node, node], [node]]},
        {"steps": [{"logprobs": [-1.0]}]},
        {"steps": [{"logprobs": [-1.0, None]}]},
    ]
    line = wire.line(Finished({"lanes": lanes}, verdict("Won.")))
    assert line.count("\n") == 1
    assert "<" not in line
    sent = [0, 7, text, -0.1235, -1.5]
    # Sums are over two tokens, as long as the search: the third lane is too short, the fourth does not know its own.
    assert json.loads(line[2:])["beams"] == [{"lane": 1, "levels": [[sent, sent], [sent]], "sums": {"0": -1.5}}]


def test_a_refusal_line_holds_the_largest_token_count() -> None:
    line = wire.refusal(BadInput("Too long.", max_new_tokens=12))
    assert json.loads(line[2:]) == {"message": "Too long.", "max_new_tokens": 12}


@pytest.mark.parametrize(
    ("logprob", "surprise"), [(0.0, 0), (-0.0, 0), (-0.6931, 693), (-math.inf, 745_000), (math.nan, "-")]
)
def test_surprise_is_written_as_an_integer(logprob: float, surprise: int | str) -> None:
    step = Step((Choice(1, logprob, 2, logprob),), 1)
    assert wire.line(TokensCommitted(0, TimedStep(step, 0.01), ("a",))).split(" ")[5] == str(surprise)


def test_an_ordinary_token_costs_under_fifty_bytes() -> None:
    words = [" the", " cache", ",", " attention", "\n", " representations"]
    size = sum(
        len(json.dumps(wire.line(committed(1, (word,), 0.0331, cache_bytes=46_080_000)), ensure_ascii=False).encode())
        - 2
        for word in words
    )
    assert size / len(words) < 50


def test_an_unknown_event_is_an_error() -> None:
    with pytest.raises(TypeError, match="cannot draw int"):
        wire.line(3)


def test_a_step_of_a_search_is_written_with_its_levels() -> None:
    taken = search("Beams", (0.5, 3)).steps[0]
    first, *more = wire.line(TokensCommitted(0, taken, ("a", "b", "c"))).splitlines()
    assert first.split()[2] == "500000*3/3" and len(more) == 2
    assert wire.line(TokensCommitted(0, search("Beams", (0.5, 1)).steps[0], ("a",))).split()[2] == "500000/1"


@given(more=st.lists(st.text("ab\n", max_size=30), max_size=20))
def test_the_sheets_join_to_the_text_and_only_the_last_one_changes(more: list[str]) -> None:
    sheets: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wire, "SHEET", 40)
        for part in more:
            before, sheets = sheets, wire.appended(sheets, part)
            assert all(new is old for new, old in zip(sheets, before[:-1], strict=False))
            assert "".join(sheets) == "".join(before) + part
    assert all(len(sheet) < 70 for sheet in sheets)


def test_an_update_of_a_long_race_costs_gradio_no_more_than_one_of_a_short_race() -> None:
    """100,000 tokens of two lanes: as one string, the last updates took 15 ms each, all of them 190 s."""
    lines = "1 12345 33210 1 46080000 500/1234  the\n" * 6
    long: list[str] = []
    while sum(map(len, long)) < 6_800_000:
        long = wire.appended(long, lines * 100)
    fastest = min(timeit.repeat(lambda: utils.diff(long, wire.appended(long, lines)), number=10, repeat=5)) / 10
    (edit,) = utils.diff(long, wire.appended(long, lines))
    assert edit[-1] == lines
    assert fastest < 0.002
