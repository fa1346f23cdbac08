"""The engine's side of the connection, with a service that is scripted."""

import re
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from multiprocessing import Pipe
from multiprocessing.connection import Connection

import pytest

from kvdemo.core.errors import BadInput
from kvdemo.core.visitor import Visitor
from kvdemo.server.engine_process.messages import Answer, Call, Close, Next, Ping
from kvdemo.server.engine_process.serve import answer_all


class Scripted:
    """A service that counts, refuses, breaks, and says when its generator was closed."""

    def __init__(self) -> None:
        self.closed = threading.Event()
        self.gate = threading.Event()

    def add(self, a: int, b: int) -> int:
        return a + b

    def refuse(self) -> None:
        raise BadInput("Ask for at most 7 new tokens.", max_new_tokens=7)

    def broken(self) -> None:
        raise KeyError(threading.Lock())  # cannot be pickled

    def panics(self) -> None:
        raise SystemExit  # as tokenizers do in Rust: no Exception

    def unsendable(self) -> object:
        return threading.Lock()  # cannot be pickled

    def wait(self) -> str:
        self.gate.wait(10)
        return "waited"

    def count(self, to: int) -> Generator[int, None, None]:
        try:
            yield from range(to)
        finally:
            self.closed.set()

    def unsendable_items(self) -> Generator[object, None, None]:
        try:
            yield threading.Lock()
        finally:
            self.closed.set()


@pytest.fixture
def service() -> Scripted:
    return Scripted()


@pytest.fixture
def asked(service: Scripted) -> Iterator[Connection]:
    ours, its = Pipe()
    thread = threading.Thread(target=answer_all, args=(its, service))
    thread.start()
    yield ours
    service.gate.set()
    ours.close()
    thread.join(10)
    assert not thread.is_alive(), "it goes on after the connection was closed"


def test_calls_are_told_and_neither_items_nor_pings() -> None:
    ours, its = Pipe()
    told: list[None] = []
    thread = threading.Thread(target=answer_all, args=(its, Scripted(), lambda: told.append(None)))
    thread.start()
    for question in (Call(1, "add", (1, 2)), Call(2, "count", (3,)), Next(3, of=2), Next(4, of=2), Ping()):
        answer(ours, question)
    ours.close()
    thread.join(10)
    assert len(told) == 2


def test_calls_are_answered_in_what_counts_their_time_with_that_of_reading_them() -> None:
    ours, its = Pipe()
    read: list[float] = []
    over: list[None] = []

    @contextmanager
    def answering(read_seconds: float) -> Iterator[None]:
        read.append(read_seconds)
        yield
        over.append(None)

    thread = threading.Thread(target=answer_all, args=(its, Scripted(), lambda: None, answering))
    thread.start()
    for question in (
        Call(1, "add", (1, 2)), Call(2, "count", (3,)), Next(3, of=2), Ping(), Call(4, "broken", ()),
        Call(5, "add", ("\U0001f600" * 10_000_000, "")),
    ):  # fmt: skip
        answer(ours, question)
    ours.close()
    thread.join(10)
    assert len(read) == 4 == len(over)
    assert read[-1] > 10 * read[0] > 0


def answer(connection: Connection, question: Call | Next | Ping) -> Answer:
    connection.send(question)
    assert connection.poll(10)
    got = connection.recv()
    assert isinstance(got, Answer) and got.number == question.number
    return got


def test_a_call_is_answered_with_what_the_method_returns(asked: Connection) -> None:
    assert answer(asked, Call(1, "add", (2, 3))) == Answer(1, 5)


def test_a_refusal_keeps_its_sentence_and_the_token_count_that_fits(asked: Connection) -> None:
    error = answer(asked, Call(1, "refuse", ())).error
    assert isinstance(error, BadInput)
    assert (str(error), error.max_new_tokens) == ("Ask for at most 7 new tokens.", 7)


def test_an_unexpected_error_is_answered_and_the_next_call_works(asked: Connection) -> None:
    assert isinstance(answer(asked, Call(1, "broken", ())).error, RuntimeError)
    assert answer(asked, Call(2, "add", (1, 1))).value == 2


def test_a_call_does_not_wait_for_a_slow_one(asked: Connection, service: Scripted) -> None:
    asked.send(Call(1, "wait", ()))
    assert answer(asked, Call(2, "add", (1, 1))).value == 2
    service.gate.set()
    assert asked.poll(10)
    assert asked.recv() == Answer(1, "waited")


def test_that_it_is_there_is_answered_beside_a_slow_call(asked: Connection, service: Scripted) -> None:
    asked.send(Call(1, "wait", ()))
    assert answer(asked, Ping()) == Answer(0)
    service.gate.set()
    assert asked.poll(10)
    assert asked.recv() == Answer(1, "waited")


def test_a_generator_goes_on_only_when_it_is_asked_to(asked: Connection, service: Scripted) -> None:
    assert answer(asked, Call(1, "count", (2,))) == Answer(1)
    assert [answer(asked, Next(n, 1)).value for n in (2, 3)] == [0, 1]
    assert not service.closed.is_set()
    assert answer(asked, Next(4, 1)) == Answer(4, ended=True)
    assert service.closed.is_set()


def test_an_accident_is_logged_without_what_the_visitor_wrote_and_who_he_is(
    asked: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    form, visitor = {"prompt": "my secret"}, Visitor("a session", "203.0.113.7")
    assert isinstance(answer(asked, Call(1, "add", (form, visitor))).error, RuntimeError)
    assert "add" in caplog.text
    assert not {"secret", "session", "203.0.113.7"} & set(re.findall(r"[\w.]+", caplog.text))


@pytest.mark.parametrize("method", ["unsendable", "panics"])
def test_what_has_no_answer_that_can_be_sent_is_answered_with_an_error(asked: Connection, method: str) -> None:
    assert isinstance(answer(asked, Call(1, method, ())).error, RuntimeError)
    assert answer(asked, Call(2, "add", (1, 1))).value == 2


def test_an_item_that_cannot_be_sent_is_answered_with_an_error_and_its_generator_can_be_closed(
    asked: Connection, service: Scripted
) -> None:
    answer(asked, Call(1, "unsendable_items", ()))
    assert isinstance(answer(asked, Next(2, 1)).error, RuntimeError)
    asked.send(Close(1))
    assert service.closed.wait(10)


def test_closing_a_generator_early_closes_it_in_the_worker(asked: Connection, service: Scripted) -> None:
    answer(asked, Call(1, "count", (100,)))
    answer(asked, Next(2, 1))
    asked.send(Close(1))
    assert service.closed.wait(10)
