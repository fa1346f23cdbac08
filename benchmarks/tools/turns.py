"""Let whole runs of kvdemo take their steps in lockstep with other loops (`benchmarks.tools.lockstep`).

A run asks its stop signal before each step. Here the signal holds the run back until it is the run's turn, so that
races and measurements are compared as they are, with all that they do around a step.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator


class Turns:
    """A stop signal that holds a run back before each step, once `begin` was called.

    `seconds` is what the last step took; whoever takes the steps sets it.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self._held = self._stopped = False
        self._turns = threading.Semaphore(0)
        self._waits: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()

    def begin(self) -> None:
        """Hold the run back from the next step on: the warm-up is over."""
        self._held = True

    def is_set(self) -> bool:
        if self._held and not self._stopped:
            self._waits.put(None)
            self._turns.acquire()
        return self._stopped

    def set(self) -> None:
        self._stopped = True
        self._turns.release()

    def ended(self, error: BaseException) -> None:
        """Note that the run takes no more steps."""
        self._waits.put(error)

    def wait(self) -> None:
        """Wait until the run asks for its next turn; raises what broke it off."""
        if error := self._waits.get():
            raise error

    def give(self) -> None:
        """Let the run take one step."""
        self._turns.release()


def steps_of(run: Callable[[Turns], None]) -> Generator[float, None, None]:
    """Yield the seconds of each step of a run on a thread of its own, as in the app; closing it ends the run.

    Raises what the run raised, and RuntimeError where the run ends while another step is wanted.
    """
    turns = Turns()

    def guarded() -> None:
        try:
            run(turns)
        except BaseException as error:  # noqa: BLE001 - raised again, in the thread that waits for the step
            turns.ended(error)
        else:
            turns.ended(RuntimeError("the run ended before the benchmark did"))

    thread = threading.Thread(target=guarded, name="turns")
    thread.start()
    try:
        turns.wait()
        while True:
            turns.give()
            turns.wait()
            yield turns.seconds
    finally:
        turns.set()
        thread.join()
