"""An event answers with a sentence whatever it is sent, and its own accidents are told as such."""

from __future__ import annotations

import logging
from typing import Any

import gradio as gr
import pytest
from starlette.requests import Request

from kvdemo.web.gradio_patches.guarded_blocks import ACCIDENT, REFUSED, UNREADABLE, GuardedBlocks
from tests.web.loops import in_a_loop

pytestmark = pytest.mark.slow

#: What Gradio takes for files that were uploaded, and would fetch.
FILE = {"meta": {"_type": "gradio.FileData"}}
NO_FILE, ELSEWHERE = FILE | {"path": "/etc/passwd"}, FILE | {"path": "http://127.0.0.1:9/x"}


def run(do: Any, *values: Any, batched: bool = False) -> tuple[Any, dict[str, Any]]:
    """What an event of one value answers, and what is known of its request then."""
    with GuardedBlocks() as blocks:
        gr.api(do, api_name="do")
    blocks.has_launched = True  # before that, Gradio takes any file
    scope: dict[str, Any] = {"type": "http", "headers": []}
    asking = gr.Request(Request(scope), session_hash="a")
    asked = blocks.process_api(0, list(values), request=[asking] if batched else asking)
    return in_a_loop(asked), scope


def refused(do: Any, *values: Any) -> str:
    with pytest.raises(gr.Error) as told:
        run(do, *values)
    assert told.value.print_exception is False
    return str(told.value.message)


def echo(value: str) -> str:
    return value


def fail(value: str) -> str:
    raise RuntimeError(f"secret {value}")


def refuse(value: str) -> str:
    raise gr.Error(f"not {value}")


def session_of(value: str, request: gr.Request) -> str:
    return f"{value} {request.session_hash}"


@pytest.mark.parametrize(
    "values", [(), *((made,) for file in (NO_FILE, ELSEWHERE) for made in (file, [file], {"a": [file]}))]
)
def test_values_that_cannot_be_read_get_a_sentence(caplog: pytest.LogCaptureFixture, values: tuple[Any, ...]) -> None:
    with caplog.at_level(logging.INFO):
        assert refused(echo, *values) == UNREADABLE
    assert "could not be read" in caplog.text
    assert "Traceback" not in caplog.text


def test_a_request_for_a_browser_only_event_gets_a_sentence() -> None:
    with GuardedBlocks() as blocks:
        blocks.load(fn=None, js="() => {}")
    with pytest.raises(gr.Error) as told:
        in_a_loop(blocks.process_api(blocks.fns[0], []))
    assert told.value.message == UNREADABLE


def test_an_unexpected_error_is_logged_and_answered_without_details(caplog: pytest.LogCaptureFixture) -> None:
    assert refused(fail, "x") == ACCIDENT
    assert "secret x" in caplog.text


def test_a_refusal_keeps_its_sentence() -> None:
    assert refused(refuse, "x") == "not x"


def test_a_refused_event_is_marked_so_that_its_answer_gets_code_400() -> None:
    scope: dict[str, Any] = {"type": "http", "headers": []}
    with GuardedBlocks() as blocks:
        gr.api(refuse, api_name="do")
    with pytest.raises(gr.Error):
        in_a_loop(blocks.process_api(0, ["x"], request=gr.Request(Request(scope))))
    assert scope[REFUSED] is True


def test_each_request_of_a_batch_keeps_its_own_session() -> None:
    answer, scope = run(session_of, "x", batched=True)
    assert answer["data"] == ["x a"]
    assert REFUSED not in scope
