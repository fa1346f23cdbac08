"""Answer the questions of the page's process: the engine's side of the connection."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

from kvdemo.core.errors import BadInput
from kvdemo.server.engine_process.messages import Answer, Call, Close, Next, Ping

log = logging.getLogger(__name__)


def answer_all(
    connection: Connection,
    service: object,
    on_call: Callable[[], None] = lambda: None,
    answering: Callable[[float], AbstractContextManager[None]] = lambda _: nullcontext(),
) -> None:
    """Answer until the other end of the connection is closed. Each question has a thread: none waits for another.

    That this process answers is said here, whatever goes on in other threads. `on_call` is called for each question
    that is not for the next item of a run, and is answered within `answering`, which is told the seconds of CPU that
    reading it took.
    """
    answers = _Answers(connection, service, answering)
    while True:
        began = time.thread_time()
        try:
            question = connection.recv()
            if isinstance(question, Ping):
                answers.send(Answer(question.number))
                continue
        except (EOFError, OSError):
            return
        if isinstance(question, Call):
            on_call()
            work = partial(answers.to_call, question, time.thread_time() - began)
        else:
            work = partial(answers.to, question)
        threading.Thread(target=work, name="answer", daemon=True).start()


class _Answers:
    def __init__(
        self, connection: Connection, service: object, answering: Callable[[float], AbstractContextManager[None]]
    ) -> None:
        self._connection, self._service, self._answering = connection, service, answering
        self._sending = threading.Lock()
        self._generators: dict[int, Generator[Any, None, None]] = {}

    def to_call(self, question: Call, read_seconds: float) -> None:
        """Answer a call, and have its time counted."""
        with self._answering(read_seconds):
            self.to(question)

    def to(self, question: Call | Next | Close) -> None:
        """Do what is asked, and send the answer."""
        if isinstance(question, Close):
            if generator := self._generators.pop(question.of, None):
                generator.close()
            return
        try:
            answer = self._called(question) if isinstance(question, Call) else self._next(question)
        except BadInput as error:
            answer = Answer(question.number, error=error)
        except BaseException as error:  # a tokenizer that panics is no Exception
            log.exception("%s failed", question)
            answer = _accident(question, error)
        try:
            self.send(answer)
        except OSError:
            return  # the page's process has gone, which `answer_all` sees too
        except Exception as error:
            log.exception("the answer to %s cannot be sent", question)
            self.send(_accident(question, error))

    def send(self, answer: Answer) -> None:
        """Send one answer at a time."""
        with self._sending:
            self._connection.send(answer)

    def _called(self, question: Call) -> Answer:
        value = getattr(self._service, question.method)(*question.arguments)
        if not isinstance(value, Generator):
            return Answer(question.number, value)
        self._generators[question.number] = value
        return Answer(question.number)

    def _next(self, question: Next) -> Answer:
        try:
            return Answer(question.number, next(self._generators[question.of]))
        except StopIteration:
            self._generators.pop(question.of, None)
            return Answer(question.number, ended=True)
        except BaseException:
            self._generators.pop(question.of, None)
            raise


def _accident(question: Call | Next, error: BaseException) -> Answer:
    """Make the answer to what failed. A traceback stays here: an error may hold anything, so its kind and words go."""
    return Answer(question.number, error=RuntimeError(f"{type(error).__name__}: {error}"))
