"""The Inside tab's generators: what is asked, what is drawn, and what is said when something goes wrong."""

from __future__ import annotations

import json

import pytest

from kvdemo.core.errors import BadInput
from kvdemo.core.settings.inside import MOST_ID, MOST_SHOWN_TOKENS, InsideRequest
from kvdemo.web.tabs.inside import FORM, VARIED, default_form
from kvdemo.web.tabs.inside_events import ACCIDENT, MOST_ASKED, MOST_PAGE, asked_form, show
from tests.web.scripted_backend import ScriptedBackend

PROMPT = {"prompt": "The quick brown", "panels": ["past"]}


def test_a_question_joins_the_form_with_the_settings_of_the_panels() -> None:
    form, asked = asked_form({"prompt": "Hi"}, '{"panels": ["steps"], "layer": 3, "asked": 7}')
    assert (form, asked) == ({"prompt": "Hi", "panels": ["steps"], "layer": 3}, 7)
    assert asked_form({"prompt": "Hi"}, "no json") == ({"prompt": "Hi"}, None)
    assert asked_form({"prompt": "Hi"}, "[1]") == ({"prompt": "Hi"}, None)


def test_the_most_that_the_page_can_send_is_read() -> None:
    """Every setting that a panel may vary, at its longest, and as many tokens as a document may have."""
    varied = dict.fromkeys(VARIED, 2**63 - 1) | {"continuation": [MOST_ID] * MOST_SHOWN_TOKENS}
    page = varied | {"panels": list(VARIED), "asked": MOST_ASKED}
    assert len(json.dumps(page)) <= MOST_PAGE
    assert asked_form({}, json.dumps(page)) == ({**varied, "panels": list(VARIED)}, MOST_ASKED)


#: Numbers of a question that no page gives. Each would go back to the browser with every state.
NO_NUMBERS = {
    "lists": "[[],[],[]]", "an object": '{"a": 0}', "a text": '"7"', "a long text": '"' + "x" * 1000 + '"',
    "below 0": "-1", "too large to be exact": str(MOST_ASKED + 1), "a fraction": "7.5", "true": "true",
    "deep": "[" * 40 + "]" * 40,
}  # fmt: skip


@pytest.mark.parametrize("asked", NO_NUMBERS.values(), ids=NO_NUMBERS)
def test_what_is_no_number_of_a_question_is_not_echoed(asked: str) -> None:
    assert asked_form({}, f'{{"asked": {asked}, "layer": 3}}') == ({"layer": 3}, None)


#: Texts that may be JSON, and that reading or sending would fail at, or be long at.
NOT_READ = {
    "long": '{"asked": 7, "append": "' + "x" * MOST_PAGE + '"}',
    "many lists": '{"asked": 7, "batch": [' + "[]," * 4000 + "[]]}",
    "deep": '{"asked": 7, "batch": ' + "[" * 3000 + "]" * 3000 + "}",
    "a number of 4,000 digits": '{"asked": 7, "batch": ' + "1" * 4000 + "}",
    "a number of 5,000 digits": '{"asked": 7, "batch": ' + "1" * 5000 + "}",
    "NaN": '{"asked": 7, "batch": NaN}',
    "half a character": '{"asked": 7, "append": "\\ud800"}',
}


@pytest.mark.parametrize("page", NOT_READ.values(), ids=NOT_READ)
def test_what_no_page_sends_is_refused_in_a_sentence(page: str) -> None:
    with pytest.raises(BadInput, match=r"^The (JSON|request) has .*\.$"):
        asked_form({"prompt": "Hi"}, page)


@pytest.mark.parametrize("page", [None, 7, ["{}"], {"asked": 7}])
def test_what_is_no_text_varies_nothing(page: object) -> None:
    assert asked_form({"prompt": "Hi"}, page) == ({"prompt": "Hi"}, None)


def test_an_answer_holds_the_number_of_its_question_and_the_panel_as_json() -> None:
    states = list(show(ScriptedBackend(), PROMPT, "run", 7))
    assert {state["asked"] for state in states} == {7}
    assert [state["over"] for state in states] == [False, False, False, True]
    assert states[1]["text"] == "Waiting for the device"
    answer = json.loads(states[-1]["answer"])
    assert list(answer["panels"]) == ["past"]
    assert "environment" not in answer  # the tab draws nothing of it


def test_a_lone_surrogate_can_be_sent() -> None:
    script = ScriptedBackend(shown={"past": {"cannot": "half \ud83d an emoji"}})
    *_, last = show(script, PROMPT, "run")
    assert json.loads(last["answer"].encode("utf-8"))["panels"]["past"]["cannot"] == "half \ufffd an emoji"


def test_bad_input_is_one_sentence() -> None:
    *_, last = show(ScriptedBackend(refuse=BadInput("The text is too long.")), PROMPT, "run")
    assert (last["error"], last["over"], last["answer"]) == ("The text is too long.", True, None)


def test_an_unexpected_error_ends_the_run_without_details() -> None:
    *_, last = show(ScriptedBackend(break_after=0), PROMPT, "run")
    assert (last["error"], last["over"]) == (ACCIDENT, True)


def test_closing_the_page_ends_the_run() -> None:
    script = ScriptedBackend()
    states = show(script, PROMPT, "run")
    next(states)
    next(states)
    states.close()
    assert script.closed


def test_every_setting_is_in_the_form_or_set_by_a_panel() -> None:
    assert not set(FORM) & set(VARIED)
    default = InsideRequest.parse(default_form(ScriptedBackend()))
    assert default.prompt
    assert default.append == " dog"  # its blank is part of the token
