"""Work on what a stranger wrote in a short-lived process with limits in time and memory.

A configuration, a document or a chat template may ask for hours of work in Python, which no other thread can interrupt
and during which every other visitor waits. So it is worked on elsewhere: a server process imports what is needed once,
and forks for each call. Both have a low priority, and the fork is ended at its limits.

This file is also the program of that server process. It reads calls from its standard input and ends with it.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import math
import os
import pickle
import select
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO, Any

from kvdemo.core.errors import BadInput, NoTime

log = logging.getLogger(__name__)

#: Bytes that a call may take beyond what its process has when it is forked.
MEMORY_BYTES = 2_000_000_000
#: A call that was ended at its time may have waited for other processes. It is its own fault where it computed for this
#: share of the time.
OWN_FAULT = 0.5
_HEADER = 8


class ShortLived:
    """Calls functions in processes of their own, one at a time. What they import is imported with the first call.

    preload  modules that the server process imports
    nice     by how much it gives way to other processes, 19 at the most
    """

    def __init__(self, *preload: str, nice: int = 19) -> None:
        self._arguments = [str(nice), *preload]
        self._begin()
        if hasattr(os, "register_at_fork"):  # a fork of this process has no part in its pipes
            os.register_at_fork(after_in_child=self._begin)

    def _begin(self) -> None:
        self._server: subprocess.Popen[bytes] | None = None
        self._one = threading.Lock()

    def start(self) -> None:
        """Start the server process, unless it runs: it imports while this process does something else."""
        if hasattr(os, "fork"):
            with self._one:
                self._running()

    def close(self) -> None:
        """End the server process, whatever it is doing; call it when this program ends."""
        if self._server is not None:
            self._server.kill()

    def call(
        self, what: str, function: str, *arguments: Any, seconds: float, remedy: str = "choose another", **named: Any
    ) -> Any:
        """Return what a function (`module:name`) returns. Arguments and result are pickled.

        Raises BadInput where it does, and where it takes longer than `seconds` or too much memory; `what` begins that
        sentence and `remedy` ends it. Of this kind is NoTime, where other processes left it no time.
        Raises RuntimeError for another accident, OSError where there is no process.
        """
        if not hasattr(os, "fork"):
            return _function(function)(*arguments, **named)
        with self._one:
            kind, value = self._ask((function, arguments, named, seconds))
        match kind:
            case "returned":
                return value
            case "refused":
                raise BadInput(value)
            case "time" if value < OWN_FAULT * seconds:
                raise NoTime(
                    f"{what} takes more than {seconds:g} s to work out while this computer is busy: "
                    f"try again, or {remedy}."
                )
            case "time":
                raise BadInput(f"{what} takes more than {seconds:g} s to work out: {remedy}.")
            case "memory":
                raise BadInput(f"{what} takes too much memory to work out: {remedy}.")
            case _:
                raise RuntimeError(f"{function} failed in its process: {value}")

    def _ask(self, call: Any) -> tuple[str, Any]:
        """Send a call to the server process and wait for its answer; a server that has died is started anew, once."""
        for _ in range(2):
            server = self._running()
            assert server.stdin and server.stdout  # noqa: S101 - both are pipes
            try:
                _send(server.stdin, call)
                answer: tuple[str, Any] = _receive(server.stdout)
            except (OSError, EOFError):
                log.warning("a process for short work has died: another one is started")
                server.kill()
                server.wait()
            else:
                return answer
        raise RuntimeError("a process for short work died twice")

    def _running(self) -> subprocess.Popen[bytes]:
        server = self._server
        if server is None or server.poll() is not None:
            command = [sys.executable, "-m", __name__, *self._arguments]
            root = str(Path(__file__).parents[3])
            environment = os.environ | {"PYTHONPATH": os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])}
            server = self._server = subprocess.Popen(  # noqa: S603 - this program, with names from this package
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
            )
        return server


def _function(name: str) -> Any:
    module, _, attribute = name.partition(":")
    return getattr(importlib.import_module(module), attribute)


def _send(stream: IO[bytes], value: Any) -> None:
    content = pickle.dumps(value)
    stream.write(len(content).to_bytes(_HEADER, "big") + content)
    stream.flush()


def _receive(stream: IO[bytes]) -> Any:
    """Receive an answer. Raises EOFError where the other end is closed."""
    header = stream.read(_HEADER)
    if len(header) < _HEADER:
        raise EOFError
    content = stream.read(int.from_bytes(header, "big"))
    return pickle.loads(content)  # noqa: S301 - from this program's own process


def _serve(nice: str, *preload: str) -> None:
    """Answer calls until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which then closes the pipe
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever prints must not print among the answers
    os.nice(int(nice))  # and so does every fork
    for module in preload:
        importlib.import_module(module)
    with contextlib.suppress(EOFError):
        while True:
            _send(answers, _forked(*_receive(sys.stdin.buffer)))


def _forked(function: str, arguments: tuple[Any, ...], named: dict[str, Any], seconds: float) -> tuple[str, Any]:
    """Run a call in a fork, and end it at its time. Returns what came of it, or for how many seconds it computed."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        _limit(seconds)
        _work(writing, function, arguments, named)
    os.close(writing)
    content, late, end = b"", False, time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0 and select.select([reading], [], [], left)[0]:
        if not (part := os.read(reading, 1 << 20)):
            break
        content += part
    else:
        late = True
        os.kill(child, signal.SIGKILL)
    os.close(reading)
    _, status, used = os.wait4(child, 0)
    if late:
        return "time", used.ru_utime + used.ru_stime
    if os.WIFEXITED(status) and content:
        answer: tuple[str, Any] = pickle.loads(content)  # noqa: S301 - from this program's own fork
        return answer
    return "memory", None  # what crashes has mostly run out of it


def _limit(seconds: float) -> None:
    """Limit what this process takes, also where nobody is left to end it."""
    import resource  # noqa: PLC0415 - not on Windows, where nothing is forked

    most_seconds = math.ceil(seconds) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (most_seconds, most_seconds))
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) if sys.platform == "linux" else 0
    if pages:
        most = pages * resource.getpagesize() + MEMORY_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _work(writing: int, function: str, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
    """Run a call, write what came of it, and end this process."""
    answer: tuple[str, Any]
    try:
        answer = "returned", _function(function)(*arguments, **named)
    except BadInput as error:
        answer = "refused", str(error)
    except MemoryError:
        answer = "memory", None
    except Exception as error:  # noqa: BLE001 - told to whoever called
        answer = "failed", f"{type(error).__name__}: {error}"
    content = pickle.dumps(answer)
    with os.fdopen(writing, "wb") as stream:
        stream.write(content)
    os._exit(0)


if __name__ == "__main__":
    try:
        _serve(*sys.argv[1:])
    except BrokenPipeError:  # whoever asked has ended
        os._exit(1)
