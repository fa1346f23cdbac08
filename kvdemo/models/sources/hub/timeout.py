"""Call a function with a time-out."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

_T = TypeVar("_T")


def call_with_timeout(seconds: float, ask: Callable[[], _T]) -> _T:
    """Return the answer of `ask`, or raise TimeoutError after `seconds`; what it raises is raised here.

    For requests over a network, whose own time-outs do not cover all: an HTTP client's holds for each address of a host
    in turn, and looking up the host's name has none. A late answer is dropped.
    """
    answer: Future[_T] = Future()

    def run() -> None:
        try:
            answer.set_result(ask())
        except BaseException as error:  # noqa: BLE001  raised again in the waiting thread
            answer.set_exception(error)

    threading.Thread(target=run, name="kvdemo-ask", daemon=True).start()
    return answer.result(timeout=seconds)
