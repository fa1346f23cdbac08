"""Run work on a thread and yield its events in batches, every 100 ms unless the work says otherwise.

The decode loop must not wait for a reader that draws its events, and a page need not get each event at once. So the
work runs on its own thread, and the reader gets all events since its last batch. The work may rest, for as long as it
chooses, so that nothing is computed while the events are drawn.

A measurement needs the opposite: nothing should be drawn while a step is timed. So it sends its state between two steps
and goes on when the reader has dealt with it.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterator
from typing import Generic, TypeVar

from kvdemo.core.cancellation import CancelToken

T = TypeVar("T")

INTERVAL_SECONDS = 0.1
#: How often a reader that waits asks whether it still has to.
LOOK_SECONDS = 0.5
#: A reader that takes longer is not waited for.
PATIENCE_SECONDS = 5.0


class EventChannel(Generic[T]):
    """What the work tells its reader with. An item waits no longer than `interval` seconds for others."""

    def __init__(self, interval: float = INTERVAL_SECONDS) -> None:
        self.interval = interval
        self._sent: queue.SimpleQueue[T | _Ack | _End] = queue.SimpleQueue()
        self._urgent = threading.Event()
        self._gone = threading.Event()

    def __call__(self, item: T) -> None:
        """Send an item, and go on at once."""
        self._sent.put(item)

    def send_and_rest(self, item: T, seconds: float) -> None:
        """Send an item, which waits for no others; return after so long, or when the reader is gone."""
        self._sent.put(item)
        self.flush()
        self._gone.wait(seconds)

    def flush(self) -> None:
        """Let nothing that was sent wait for more."""
        self._urgent.set()

    def send_and_wait(self, item: T, settle: float) -> None:
        """Send an item; return `settle` seconds after the reader has dealt with it, or when the reader is gone."""
        ack = _Ack()
        self._sent.put(item)
        self._sent.put(ack)
        self._urgent.set()
        if not self._gone.is_set():
            ack.wait(PATIENCE_SECONDS)
            self._gone.wait(settle)

    def end(self, error: BaseException | None) -> None:
        """Mark the end of the items; `error` is what ended the work early."""
        self._sent.put(_End(error))
        self._urgent.set()

    def read(self, given_up: Callable[[], bool]) -> Iterator[list[T]]:
        """Yield what was sent, in batches; raise what ended the work early. Closing it ends all waiting.

        It ends, too, when nothing comes and the work is `given_up`.
        """
        sent: list[T | _Ack | _End] = []
        try:
            while True:
                sent = []
                while not sent:
                    try:
                        sent = [self._sent.get(timeout=LOOK_SECONDS)]
                    except queue.Empty:
                        if given_up():
                            return
                self._urgent.wait(self.interval)
                self._urgent.clear()
                sent += self._waiting()
                if batch := [item for item in sent if not isinstance(item, _Ack | _End)]:
                    yield batch
                _acknowledge(sent)
                if isinstance(end := sent[-1], _End):
                    if end.error:
                        raise end.error
                    return
        finally:
            self._gone.set()
            _acknowledge(sent + self._waiting())

    def _waiting(self) -> list[T | _Ack | _End]:
        waiting = []
        while not self._sent.empty():
            waiting.append(self._sent.get())
        return waiting


class _Ack(threading.Event):
    """Set when what was sent before it has been dealt with."""


class _End:
    """The last item: how the work ended."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


def _acknowledge(sent: list[T | _Ack | _End]) -> None:
    for item in sent:
        if isinstance(item, _Ack):
            item.set()


def batches(
    work: Callable[[EventChannel[T]], object],
    stop: CancelToken,
    interval: float = INTERVAL_SECONDS,
    given_up: Callable[[], bool] = lambda: False,
) -> Generator[list[T], None, None]:
    """Run `work(channel)` on a thread; yield the items sent, in order, in batches `interval` apart.

    The first item of a batch never waits longer than `interval`, which the work may change; one that the work waits or
    rests for is yielded at once. An exception of the work is raised here after the items that came before it. Closing
    this iterator sets `stop`, which the work must check; closing does not wait for the thread, because it may happen on
    an event loop. Where nothing comes, `given_up` is asked: if so, this ends, and the thread goes on alone.
    """
    tell: EventChannel[T] = EventChannel(interval)

    def run() -> None:
        try:
            work(tell)
        except BaseException as error:  # noqa: BLE001 - it is raised again, in the reader's thread
            tell.end(error)
        else:
            tell.end(None)

    thread = threading.Thread(target=run, name="race", daemon=True)
    thread.start()
    try:
        yield from tell.read(given_up)
    except GeneratorExit:
        if thread.is_alive():  # set behind its end, the flag would wait for another run
            stop.set()
        raise
