"""Keep room in the queue for everybody: one address has a share of what waits or is under way, and turns with others.

Gradio refuses every event of every visitor while its queue is full, and begins no more than about twenty of a kind in a
second. So one visitor who sends thirty a second, of the smallest kind, would keep all others out. By default it begins
none at all while forty are under way, and a run is under way while it waits for the device (web/run_streams.py).

It keeps what was sent with an event until that is over, so a few dozen large events that wait would fill the memory.

It answers questions of one kind in the order in which they came, in a line of some slots. So whoever sends many of one
that takes seconds, such as a plan, would keep it from all others for as long. Here addresses take turns, and have one
slot of a line each. A question that nobody listens to has no turn: its sender has left, or is yet to listen.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from itertools import chain, count
from typing import Any

import gradio as gr
from gradio.server_messages import ProcessCompletedMessage

from kvdemo.core.shares import Quota
from kvdemo.core.visitor import one_visitors
from kvdemo.web.guard.body import BODY_BYTES
from kvdemo.web.guard.listeners import BEGIN_SECONDS, KEY

#: Events that may wait, as many as may be under way (`launch(max_threads=)`): those of an address, which a class may
#: share, and of all.
MOST = 1000
EVENTS = Quota(300, MOST)
#: Bytes that these may have been sent with. In memory they take up to five times as much: Python has four bytes for
#: each character of a text with one emoji, and the request keeps what came.
BYTES = Quota(12_000_000, 48_000_000, little=100_000)
#: Seconds between two looks at a line where nothing may begin.
LOOK_SECONDS = 0.02
CROWDED = "Too many questions from your address are open: send fewer at a time, and try again in a moment."
HEAVY = "The open questions from your address are too large together: send less, or try again in a moment."
UNHEARD = f"Nobody listened for {BEGIN_SECONDS:.0f} seconds: ask again, and listen at once."


def share_queue(blocks: gr.Blocks) -> gr.Blocks:
    """Have the queue of `blocks` refuse an event of an address that has its share, and begin the others in turns."""
    # Gradio has no public way to it; tests/web/gradio_patches/test_shared_queue.py holds it.
    queue: Any = blocks._queue
    push = queue.push

    async def push_if_few(body: Any, request: Any, username: str | None) -> Any:
        if refused := _refusal(queue, request):
            return False, refused, "queue_full"
        return await push(body=body, request=request, username=username)

    queue.push, queue.get_events = push_if_few, _Turns(queue).begin
    return blocks


def _refusal(queue: Any, request: Any) -> str:
    """Return why an event that was asked for now may not wait; "" if it may."""
    waiting = (line.queue for line in queue.event_queue_per_concurrency_id.values())
    asked = [event.request for event in chain(chain.from_iterable(waiting), _under_way(queue))]
    address = address_of(request)
    own = [one for one in asked if address_of(one) == address]
    if not EVENTS.allows(len(own) + 1, len(asked) + 1):
        return CROWDED
    if not BYTES.allows(_bytes(request) + sum(map(_bytes, own)), _bytes(request) + sum(map(_bytes, asked))):
        return HEAVY
    return ""


class _Turns:
    """Begins events, in place of Gradio's queue. A line without a limit, as for runs, begins each at once."""

    def __init__(self, queue: Any) -> None:
        self._queue, self._numbers = queue, count(1)
        self._last: dict[tuple[str, str], int] = {}  # when each address had its last turn in a line, the oldest first
        self._rests: dict[str, float] = {}  # until when each line is not looked at

    def begin(self) -> tuple[list[Any], bool, str] | None:
        """Take the next event out of a line; returns it as Gradio does one that is not of a batch."""
        lines = [(name, line) for name, line in self._queue.event_queue_per_concurrency_id.items() if line.queue]
        random.shuffle(lines)
        now = time.monotonic()
        for name, line in lines:
            limited = line.concurrency_limit is not None
            full = limited and line.current_concurrency >= line.concurrency_limit
            if full or self._rests.get(name, 0) > now:
                continue
            ready = self._ready(name, line, now) if limited else line.queue
            if ready:
                return [self._taken(name, line, ready)], False, name
            self._rests[name] = now + LOOK_SECONDS
        return None

    def _ready(self, name: str, line: Any, now: float) -> list[Any]:
        """List the events that may have their turn; ends those that nobody has listened to in time."""
        busy = {address_of(event.request) for event in _under_way(self._queue) if event.concurrency_id == name}
        ready, over = [], []
        for event in line.queue:
            if not _is_heard(event):
                over += [event] if now - event.enqueue_time > BEGIN_SECONDS else []
            elif address_of(event.request) not in busy:
                ready.append(event)
        for event in over:
            line.queue.remove(event)
            self._queue.event_ids_to_events.pop(event._id, None)
            self._queue.send_message(event, ProcessCompletedMessage(output={"error": UNHEARD}, success=False))
        return ready

    def _taken(self, name: str, line: Any, ready: list[Any]) -> Any:
        event = min(ready, key=lambda one: self._last.get((name, address_of(one.request)), 0))
        line.queue.remove(event)
        turn = name, address_of(event.request)
        self._last.pop(turn, None)
        self._last[turn] = next(self._numbers)
        if len(self._last) > MOST:
            del self._last[next(iter(self._last))]
        return event


def _under_way(queue: Any) -> Iterator[Any]:
    return chain.from_iterable(filter(None, queue.active_jobs))


def _is_heard(event: Any) -> bool:
    """Tell whether somebody listens to an event or its session; true if listeners are not counted."""
    listeners = event.request.scope.get(KEY)
    return listeners is None or listeners.has(event.session_hash) or listeners.has(event._id)


def _bytes(request: Any) -> int:
    return int(request.scope.get(BODY_BYTES, 0))


def address_of(request: Any) -> str:
    """Return what the address of a request has in common with all of one visitor; "" where it is not known."""
    client = getattr(request, "client", None)
    return one_visitors(str(client.host)) if client else ""
