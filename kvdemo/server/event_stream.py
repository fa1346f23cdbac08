"""From a thread that works to a reader that looks in ten times a second.

The decode loop must not wait for whoever draws its events, and a page need not hear of each one at once. So
the work runs on its own thread, and the reader gets all that has happened since it last looked.

A measurement wants the opposite: nobody shall be drawing while a step is timed. So it hands its news over between
two steps, and goes on when the reader has dealt with them.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterator
from typing import Generic, TypeVar

from kvdemo.core.cancellation import CancelToken

T = TypeVar("T")

INTERVAL_SECONDS = 0.1
#: A reader that takes longer is not waited for.
PATIENCE_SECONDS = 5.0


class EventChannel(Generic[T]):
    """What the work tells its reader with."""

    def __init__(self) -> None:
        self._told: queue.SimpleQueue[T | _Receipt | _End] = queue.SimpleQueue()
        self._pressing = threading.Event()
        self._gone = threading.Event()

    def __call__(self, item: T) -> None:
        """Tell, and go on at once."""
        self._told.put(item)

    def send_and_wait(self, item: T, settle: float) -> None:
        """Tell, and go on when the reader has dealt with it and `settle` seconds more, or when it is gone."""
        receipt = _Receipt()
        self._told.put(item)
        self._told.put(receipt)
        self._pressing.set()
        if not self._gone.is_set():
            receipt.wait(PATIENCE_SECONDS)
            self._gone.wait(settle)

    def end(self, error: BaseException | None) -> None:
        """There is nothing more to come; `error` is what broke the work off."""
        self._told.put(_End(error))
        self._pressing.set()

    def read(self, interval: float) -> Iterator[list[T]]:
        """What was told, in batches; raises what broke the work off. Closing it lets nobody wait any longer."""
        told: list[T | _Receipt | _End] = []
        try:
            while True:
                told = [self._told.get()]
                self._pressing.wait(interval)
                self._pressing.clear()
                told += self._waiting()
                if batch := [item for item in told if not isinstance(item, _Receipt | _End)]:
                    yield batch
                _give_receipts(told)
                if isinstance(end := told[-1], _End):
                    if end.error:
                        raise end.error
                    return
        finally:
            self._gone.set()
            _give_receipts(told + self._waiting())

    def _waiting(self) -> list[T | _Receipt | _End]:
        waiting = []
        while not self._told.empty():
            waiting.append(self._told.get())
        return waiting


class _Receipt(threading.Event):
    """Given when what was told before it has been dealt with."""


class _End:
    """The last thing told: how the work ended."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


def _give_receipts(told: list[T | _Receipt | _End]) -> None:
    for item in told:
        if isinstance(item, _Receipt):
            item.set()


def batches(
    work: Callable[[EventChannel[T]], object],
    stop: CancelToken,
    interval: float = INTERVAL_SECONDS,
) -> Generator[list[T], None, None]:
    """Run `work(tell)` on a thread; yield the items told, in order, in batches `interval` apart.

    The first item of a batch is never kept waiting for longer than `interval`, and one that is handed over not at
    all. An exception of the work is raised here after the items that came before it. Closing this iterator sets
    `stop`, which the work is expected to heed; it does not wait for the thread, because it may be closed on an event
    loop.
    """
    tell: EventChannel[T] = EventChannel()

    def run() -> None:
        try:
            work(tell)
        except BaseException as error:  # noqa: BLE001 - it is raised again, in the reader's thread
            tell.end(error)
        else:
            tell.end(None)

    threading.Thread(target=run, name="race", daemon=True).start()
    try:
        yield from tell.read(interval)
    except GeneratorExit:
        stop.set()
        raise
