"""Questions whose answers nobody hears take no stream from whoever listens, and no memory for ever."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest
from gradio.data_classes import PredictBodyInternal
from starlette.requests import Request

from kvdemo.web.gradio_patches import kept_answers as module
from kvdemo.web.gradio_patches.kept_answers import KEEP_SECONDS, MOST, UNREAD, keep_answers
from kvdemo.web.guard.listeners import KEY, Listeners
from tests.web.loops import in_a_loop


class Asked:
    """A queue that begins nothing, and who listens to it."""

    def __init__(self) -> None:
        with gr.Blocks() as blocks:
            gr.Button().click(lambda: None)
        self.queue: Any = keep_answers(blocks.queue())._queue
        self.listeners = Listeners(print)  # type: ignore[arg-type]

    def listen(self, *sessions: str) -> None:
        self.listeners._streams = {session: set() for session in sessions}

    def ask(self, *sessions: str | None) -> list[tuple[bool, str, str]]:
        async def ask_all() -> list[tuple[bool, str, str]]:
            return [await self.queue.push(body(name), self._request(), None) for name in sessions]

        return in_a_loop(ask_all())

    def _request(self) -> Request:
        return Request({"type": "http", "method": "POST", "path": "/", "headers": [], KEY: self.listeners})

    @property
    def kept(self) -> list[str]:
        assert set(self.queue.pending_messages_per_session) == set(self.queue.pending_event_ids_session)
        return sorted(self.queue.pending_event_ids_session)


def body(session: str | None) -> PredictBodyInternal:
    return PredictBodyInternal(session_hash=session, data=[], fn_index=0, request=None)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[Asked]:
    monkeypatch.setattr(module, "MOST", 4)
    yield Asked()


def test_a_session_that_is_listened_to_outlasts_any_number_of_unheard_questions() -> None:
    asked = Asked()
    asked.ask("victim")
    asked.listen("victim")
    asked.ask(*(f"flood{n}" for n in range(MOST + 50)))
    assert "victim" in asked.kept
    assert len(asked.kept) == MOST + 1


def test_of_unheard_sessions_those_that_asked_last_are_kept(asked: Asked) -> None:
    asked.ask("back again", "a", "b", "c", "back again", "d")
    assert asked.kept == ["back again", "c", "d"]  # one of them with two events


def test_a_program_that_listens_to_one_event_of_its_session_keeps_it(asked: Asked) -> None:
    ((_, event, _),) = asked.ask("mine")
    asked.listen(event)
    asked.ask("a", "b", "c", "d", "e")
    assert asked.kept == ["b", "c", "d", "e", "mine"]


def test_sessions_without_a_name_are_forgotten_as_well(asked: Asked) -> None:
    asked.ask(*[None] * 9)
    assert len(asked.kept) == 4


def test_an_unheard_answer_is_not_kept_for_ever(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now[0]))
    asked.ask("old", "heard")
    asked.listen("heard")
    now[0] = KEEP_SECONDS + 1.0
    asked.ask("new")
    assert asked.kept == ["heard", "new"]


def test_one_session_cannot_ask_without_end_while_it_reads_nothing(asked: Asked) -> None:
    asked.listen("mine")
    answers = asked.ask(*["mine"] * 6)
    assert [done for done, *_ in answers] == [True] * 4 + [False] * 2
    assert answers[-1] == (False, UNREAD, "error")


def test_events_of_a_stream_that_broke_off_are_forgotten_with_their_session(asked: Asked) -> None:
    """Gradio then forgets what it had to say to the session, and not its events."""
    asked.ask("broken off")
    del asked.queue.pending_messages_per_session["broken off"]
    asked.ask("a", "b", "c", "d")
    assert asked.kept == ["a", "b", "c", "d"]
