"""From a thread that works to a reader that looks in ten times a second.

The decode loop must not wait for whoever draws its events, and a page need not hear of each one at once. So
the work runs on its own thread, and the reader gets all that has happened since it last looked.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

from kvdemo.stop import StopSignal

T = TypeVar("T")

INTERVAL_SECONDS = 0.1


def batches(
    work: Callable[[Callable[[T], None]], object],
    stop: StopSignal,
    interval: float = INTERVAL_SECONDS,
) -> Iterator[list[T]]:
    """Run `work(emit)` on a thread; yield the emitted items in order, in batches `interval` apart.

    The first item of a batch is never kept waiting for longer than `interval`. An exception of the work is
    raised here after the items that came before it. Closing this iterator sets `stop`, which the work is
    expected to heed; it does not wait for the thread, because it may be closed on an event loop.
    """
    items: queue.SimpleQueue[T | _End] = queue.SimpleQueue()
    ended = threading.Event()

    def run() -> None:
        try:
            work(items.put)
        except BaseException as error:  # noqa: BLE001 - it is raised again, in the reader's thread
            items.put(_End(error))
        else:
            items.put(_End(None))
        ended.set()

    threading.Thread(target=run, name="race", daemon=True).start()
    try:
        while True:
            batch = [items.get()]
            ended.wait(interval)  # the last batch has nothing to wait for
            while not items.empty():
                batch.append(items.get())
            end = batch.pop() if isinstance(batch[-1], _End) else None
            if batch:
                yield [item for item in batch if not isinstance(item, _End)]
            if isinstance(end, _End):
                if end.error:
                    raise end.error
                return
    except GeneratorExit:
        stop.set()
        raise


class _End:
    """The last thing in the queue: how the work ended."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error
