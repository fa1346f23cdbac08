"""What happens on an event, without a server."""

import logging
from itertools import pairwise

import pytest

from kvdemo.core.errors import BadInput, NotNow
from kvdemo.web.tabs import race_events
from kvdemo.web.tabs.race_events import ACCIDENT, NO_LIMIT_YET, TokenBudget, model_status, play, token_budget, watch
from tests.web.loops import in_a_loop
from tests.web.scripted_backend import FORM, ScriptedBackend


def test_every_frame_extends_the_one_before() -> None:
    frames = list(play(ScriptedBackend(), FORM, "run7"))
    texts = [frame.text for frame in frames]
    assert texts[0] == "R run7\n"
    assert all(after.startswith(before) and after != before for before, after in pairwise(texts))


def test_the_document_comes_with_the_last_frame() -> None:
    frames = list(play(ScriptedBackend(), FORM, "run"))
    assert frames[-1].document == {"schema": 1, "model": frames[-1].document["model"]}
    assert all(frame.document is None for frame in frames[:-1])


def test_the_form_is_passed_on_as_it_is() -> None:
    script, form = ScriptedBackend(), {**FORM, "max_new_tokens": "many", "strategies": None}
    list(play(script, form, "run"))
    assert script.forms == [form]


def test_bad_input_is_shown_on_the_stage() -> None:
    script = ScriptedBackend(refuse=BadInput("The prompt is empty.", max_new_tokens=9))
    assert list(play(script, FORM, "run"))[-1].text.splitlines() == [
        "R run",
        'X {"message": "The prompt is empty.", "max_new_tokens": 9}',
    ]


def test_an_unexpected_error_is_logged_and_reported_in_one_sentence(caplog: pytest.LogCaptureFixture) -> None:
    script = ScriptedBackend(break_after=3)
    with caplog.at_level(logging.ERROR):
        frames = list(play(script, FORM, "run"))
    assert ACCIDENT in frames[-1].text
    assert "secret detail" not in frames[-1].text
    assert "secret detail" in caplog.text
    assert frames[-1].document is None


def test_closing_the_generator_abandons_the_race() -> None:
    script = ScriptedBackend()
    frames = play(script, FORM, "run")
    next(frames), next(frames)
    assert not script.closed
    frames.close()
    assert script.closed


def test_status_is_shown_when_it_changes_until_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(race_events, "POLL_SECONDS", 0)
    loading = {"state": "loading", "text": "Fetching", "fraction": 0.5, "model": None}
    ready = {"state": "ready", "text": "", "fraction": None, "model": {"id": "m"}}

    async def collect() -> list[dict]:
        return [status async for status in watch(ScriptedBackend(statuses=[loading, loading, ready]))]

    assert in_a_loop(collect()) == [loading, ready | {"reasons": {"compiled_cache": "it needs a CUDA device"}}]


def test_the_page_opens_even_if_a_strategy_fails_to_state_its_availability(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Broken(ScriptedBackend):
        def strategies(self) -> list[dict]:
            raise RuntimeError("secret detail")

    with caplog.at_level(logging.ERROR):
        shown = model_status(Broken())
    assert (shown["state"], shown["reasons"]) == ("ready", {})
    assert "secret detail" in caplog.text


@pytest.mark.parametrize(
    ("fits", "expected"),
    [
        ({"prompt_tokens": 12, "context_length": 8192, "max_new_tokens": 8180},
         TokenBudget("12 prompt tokens of 8,192: room for 8,180", 8180)),
        ({"prompt_tokens": 1, "context_length": 8, "max_new_tokens": 7},
         TokenBudget("1 prompt token of 8: room for 7", 7)),
        ({"prompt_tokens": 9000, "context_length": 8192, "max_new_tokens": 0},
         TokenBudget("The prompt's 9,000 tokens fill the context of 8,192.")),
        (None, TokenBudget(NO_LIMIT_YET)),
        (NotNow("It is counted later."), TokenBudget("It is counted later.", again=True)),
        (BadInput("The prompt holds a NUL byte."), TokenBudget("The prompt holds a NUL byte.")),
        (RuntimeError("x"), TokenBudget(NO_LIMIT_YET)),
    ],
)  # fmt: skip
def test_the_token_budget_counts_the_prompt_or_states_why_it_cannot(fits: object, expected: TokenBudget) -> None:
    assert token_budget(ScriptedBackend(fits=fits), FORM) == expected
