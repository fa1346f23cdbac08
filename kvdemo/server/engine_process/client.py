"""Start the engine's process, ask it, and start it again when it has ended."""

from __future__ import annotations

import itertools
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import Future
from contextlib import closing, suppress
from multiprocessing import Pipe
from typing import Any

from kvdemo.core.errors import BadInput
from kvdemo.core.system import public_server
from kvdemo.server.engine_process.link import END_SECONDS, LOOK_SECONDS, Link
from kvdemo.server.engine_process.messages import DISOBEYED, Answer, Call, Close, Next

log = logging.getLogger(__name__)

#: How long a question waits for a process that is being started. It connects before it imports torch.
PATIENCE_SECONDS = 30.0
#: A process that ends sooner than that is started again after a pause, which doubles each time. Who waits for the
#: process has more patience than the longest pause.
SOON_SECONDS = 10.0
LONGEST_PAUSE_SECONDS = 20.0
#: When so many processes have ended one after the other and no run began in them, those that wait are told.
MOST_IN_VAIN = 3
#: A process that says nothing for so long, not even that it is there, is killed and another one started. It says so
#: while it loads, imports torch or takes a long step: only one call that keeps Python from running for as long, such as
#: a huge library that is read from a slow disk, is mistaken for a driver that hangs. So each process after one that
#: has ended in vain has that time once more, up to `MOST_PATIENCE` times.
SILENT_SECONDS, MOST_PATIENCE = 60.0, 10


class EngineLost(BadInput):
    """The engine's process ended while it was asked."""


class EngineClosed(EngineLost):
    """The server ends, and with it the engine's process."""


class EngineSilent(BadInput):
    """The engine's process did not answer in time. It may still."""


class Engine:
    """The engine's process, and whatever follows it: it is started again when it ends.

    `settings` are the arguments of `kvdemo.server.service.Service`.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._settings = settings
        self.restarts = 0
        self._in_vain = 0  # processes that have ended since the last time that a run began
        self._numbers = itertools.count(1)
        self._guard = threading.Lock()  # of the two below; nothing is waited for under it
        self._waiting: dict[int, Future[Answer]] = {}
        self._link: Link | None = None
        self._over = threading.Event()
        self._up = threading.Event()

    def start(self) -> None:
        """Start the process, and watch it from now on."""
        threading.Thread(target=self._watch, name="engine", daemon=True).start()

    def close(self) -> None:
        """End the process, and start no other. One that does not tidy up and end when it is told to is killed."""
        with self._guard:
            self._over.set()
            link = self._link
        if link:
            process = link.process
            process.terminate()
            try:
                process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                with suppress(subprocess.TimeoutExpired):  # a driver may keep it
                    process.wait(END_SECONDS)

    @property
    def up(self) -> bool:
        """Whether there is a process that answers."""
        return self._up.is_set()

    @property
    def process_id(self) -> int | None:
        """The id of the process that runs now."""
        return link.process.pid if (link := self._link) else None

    def call(self, method: str, *arguments: Any) -> Any:
        """Call a method of the service. Raises what it raises, and EngineLost."""
        return self._answer(Call(next(self._numbers), method, arguments), self._connected()).value

    def call_soon(self, method: str, seconds: float) -> Any:
        """Call a method, and wait for so long. Raises EngineSilent, and at once until something is heard again."""
        link = self._connected()
        if link.silent:
            raise EngineSilent(_SILENT)
        return self._answer(Call(next(self._numbers), method, ()), link, seconds).value

    def drawn(
        self, method: str, *arguments: Any, begun: Callable[[Any], bool], stopped: Callable[[], bool]
    ) -> Generator[Any, None, None]:
        """Yield what a method of the service yields. Closing this closes the method's generator.

        `begun(item)` tells whether the run has begun. Until then nothing is lost when the process ends: the next
        process is asked, unless the run was `stopped`.
        """
        has_begun = False
        while True:
            link = self._connected()
            if stopped():
                return
            try:
                with closing(self._drawn_from(link, method, arguments)) as items:
                    for item in items:
                        if not has_begun and begun(item):
                            has_begun, self._in_vain = True, 0
                        yield item
                return
            except EngineLost:
                if has_begun or self._in_vain >= MOST_IN_VAIN or self._over.is_set():
                    raise

    def _drawn_from(self, link: Link, method: str, arguments: tuple[Any, ...]) -> Generator[Any, None, None]:
        """Yield what a method yields in the process at the other end of a link, where its generator lives."""
        made = Call(next(self._numbers), method, arguments)
        self._answer(made, link)
        ended = False
        try:
            while not (answer := self._answer(Next(next(self._numbers), made.number), link)).ended:
                yield answer.value
            ended = True
        finally:
            if not ended:
                self._send(Close(made.number), link)

    def _answer(self, question: Call | Next, link: Link, seconds: float | None = None) -> Answer:
        coming: Future[Answer] = Future()
        with self._guard:
            if link is not self._link:
                raise EngineLost(_lost(None))
            self._waiting[question.number] = coming
        self._send(question, link)
        try:
            answer = coming.result(seconds)
        except TimeoutError:
            link.silent = True
            with self._guard:
                self._waiting.pop(question.number, None)
            raise EngineSilent(_SILENT) from None
        if answer.error:
            raise answer.error
        return answer

    def _send(self, message: Call | Next | Close, link: Link) -> None:
        with self._guard:
            if link is self._link:
                link.send(message)

    def _connected(self) -> Link:
        if not self._up.wait(PATIENCE_SECONDS) or (link := self._link) is None:
            raise EngineLost("The engine's process does not start: the server's log says why; try again in a minute.")
        return link

    def _watch(self) -> None:
        pause, code, started = 0.0, 0, False
        while not self._over.wait(pause):
            self.restarts += started
            if code:
                log.error("the engine's process ended with %s and is started again", code)
            began = time.monotonic()
            try:
                code, started = self._serve(), True
            except Exception:  # no memory for a process, or no file left to open
                log.exception("the engine's process cannot be started")
                code = 0
            soon = time.monotonic() - began < SOON_SECONDS
            pause = min(max(1.0, 2 * pause), LONGEST_PAUSE_SECONDS) if soon else 0.0

    def _serve(self) -> int:
        """Start a process, pass on its answers until it ends, and return its exit code."""
        ours, its = Pipe()
        with ours:
            process = subprocess.Popen(  # noqa: S603 - this program itself
                [sys.executable, "-m", "kvdemo.server.engine_process", str(its.fileno())],
                pass_fds=[its.fileno()],
                env=os.environ | ({public_server.VARIABLE: "1"} if public_server.is_public() else {}),
            )
            its.close()  # the last copy is the process's own: its end is then seen here
            link = Link(process, ours, round(SILENT_SECONDS / LOOK_SECONDS) * min(1 + self._in_vain, MOST_PATIENCE))
            link.send(dict(self._settings))
            link.start()
            with self._guard:
                self._link = link
                if self._over.is_set():
                    process.kill()
            self._up.set()
            try:
                while True:
                    self._arrived(link.receive())
            except (EOFError, OSError):
                return self._ended(link)
            except Exception:  # whose answer it was is not known: all who wait for one are told
                log.exception("an answer of the engine's process cannot be read: the process is ended")
                return self._ended(link, by_itself=False)

    def _arrived(self, answer: Answer) -> None:
        with self._guard:
            coming = self._waiting.pop(answer.number, None)
        if coming:  # else it is that the process is there, or was waited for too long
            coming.set_result(answer)

    def _ended(self, link: Link, *, by_itself: bool = True) -> int:
        """Tell all who wait that there will be no answer; returns the exit code."""
        code = link.end()  # where it closed the connection and did not end
        with self._guard:
            self._up.clear()
            self._link = None
            self._in_vain += 1
            waiting, self._waiting = self._waiting, {}
        error: EngineLost = EngineLost(_lost(code if by_itself else None, silent=link.given_up))
        if self._over.is_set():
            error = EngineClosed("The server was ended, and this run with it: reload the page in a moment.")
        for number, coming in waiting.items():
            coming.set_result(Answer(number, error=error))
        return code or 0


_SILENT = "The engine's process does not answer: it is started again if that goes on. Try again in a minute."


def _lost(code: int | None, *, silent: bool = False) -> str:
    """Say that the process has ended, and what to do."""
    how = "ended"
    if silent:
        how = "was ended, because it did not answer any more"
    elif code == DISOBEYED:
        how = "ended, because a run did not end in time"
    elif code is not None and code < 0:
        how = f"was killed (signal {-code}), most likely because memory ran out"
    return (
        f"The engine's process {how}: this run is lost, and the engine starts again. Try again in a moment, and with "
        "fewer tokens, lanes or rows if it happens again."
    )
