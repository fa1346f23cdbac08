"""Schedule the lanes of a race: fair turns by default, or all lanes simultaneously.

Two lanes that run at once on one device slow each other down, and a plot of them shows contention, not decoding. So by
default the lanes take turns: one step at a time, always by the lane that has used the least device time so far. Each
step is measured alone on the device. Still, all texts grow at their true relative speed and the lanes finish in their
true order. A lane that is not preemptible, because another machine computes it, runs to its end at its first turn.

The schedule `simultaneous` runs one thread a lane, to show what contention does.
"""

from __future__ import annotations

import heapq
import queue
import threading
from collections.abc import Callable, Iterator, Sequence

from kvdemo.core.cancellation import CancelToken
from kvdemo.core.events import Ended
from kvdemo.core.types import Schedule
from kvdemo.engine import openmp
from kvdemo.engine.lane import Lane, LaneEvent


def race(
    lanes: Sequence[Lane],
    schedule: Schedule = "fair",
    stop: CancelToken | None = None,
    describe: Callable[[Exception], str] = str,
) -> Iterator[LaneEvent]:
    """Run lanes to their ends; yield `(lane, step)` for each step and `Ended` once for each lane.

    Setting `stop` ends every lane before its next step. A lane that raises ends with reason "error" and
    what `describe` makes of the exception; the others go on.
    """
    run = _fair if schedule == "fair" else _simultaneous
    return run(lanes, threading.Event() if stop is None else stop, describe)


def _fair(lanes: Sequence[Lane], stop: CancelToken, describe: Callable[[Exception], str]) -> Iterator[LaneEvent]:
    running = [lane.run(index, stop, describe) for index, lane in enumerate(lanes)]
    waiting = [(0.0, index) for index in range(len(lanes))]
    while waiting:
        _, index = heapq.heappop(waiting)
        lane = lanes[index]
        for event in running[index]:
            yield event
            if lane.preemptible and not lane.finish_reason:
                heapq.heappush(waiting, (lane.seconds, index))
                break


def _simultaneous(
    lanes: Sequence[Lane], stop: CancelToken, describe: Callable[[Exception], str]
) -> Iterator[LaneEvent]:
    events: queue.SimpleQueue[LaneEvent] = queue.SimpleQueue()

    def run(index: int, lane: Lane) -> None:
        for event in lane.run(index, stop, describe):
            events.put(event)

    openmp.end_threads()  # this thread only waits from here on
    threads = [threading.Thread(target=run, args=item, name=f"lane-{item[0]}") for item in enumerate(lanes)]
    for thread in threads:
        thread.start()
    try:
        running = len(lanes)
        while running:
            event = events.get()
            running -= isinstance(event, Ended)
            yield event
    except GeneratorExit:
        stop.set()
        raise
    finally:
        for thread in threads:
            thread.join()
