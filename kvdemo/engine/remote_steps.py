"""Take the steps of a lane that another machine computes, without waiting for it once the run is stopped."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import TypeVar

from kvdemo.core.cancellation import CancelToken

T = TypeVar("T")

#: Between two looks at the stop flag while the other machine is silent.
LOOK_SECONDS = 0.1


class _End:
    """The iterator has ended, or raised."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error


def until_stopped(steps: Iterator[T], stop: CancelToken) -> Iterator[T]:
    """Yield what a thread takes from `steps`, as it comes; end within `LOOK_SECONDS` once `stop` is set.

    A thread that still waits for the other machine is left behind. It ends with the next step, or when the connection
    is given up.
    """
    came: queue.SimpleQueue[T | _End] = queue.SimpleQueue()
    left = threading.Event()
    taking = threading.Thread(target=_take, args=(steps, came, left), name="elsewhere", daemon=True)
    taking.start()
    try:
        while not stop.is_set():
            try:
                step = came.get(timeout=LOOK_SECONDS)
            except queue.Empty:
                continue
            if isinstance(step, _End):
                if step.error:
                    raise step.error
                return
            yield step
    finally:
        left.set()
        taking.join(LOOK_SECONDS)


def _take(steps: Iterator[T], came: queue.SimpleQueue[T | _End], left: threading.Event) -> None:
    """Take steps until they end, or the next one after `left` is set."""
    error = None
    try:
        for step in steps:
            came.put(step)
            if left.is_set():
                break
    except Exception as failure:  # noqa: BLE001 - raised again where the steps are read
        error = failure
    finally:
        if close := getattr(steps, "close", None):
            close()  # by the thread that runs it: another one may not
        came.put(_End(error))
