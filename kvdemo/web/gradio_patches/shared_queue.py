"""Keep room in the queue for everybody: one address has a share of what waits or is under way, and turns with others.

Gradio refuses every event of every visitor while its queue is full, and begins no more than about twenty of a kind in a
second. So one visitor who sends thirty a second, of the smallest kind, would keep all others out. By default it begins
none at all while forty are under way, and a run is under way while it waits for the device (web/run_streams.py).

It answers questions of one kind in the order in which they came. So whoever sends his whole share of one that takes
seconds, such as a plan, would keep it from all others for as long. Here addresses take turns.
"""

from __future__ import annotations

from itertools import chain, count
from typing import Any

import gradio as gr

from kvdemo.core.shares import has_share
from kvdemo.core.visitor import one_visitors

#: Events that may wait, as many as may be under way (`launch(max_threads=)`), and those of one address, which a class
#: may share; fewer where others leave less (`core.shares`).
MOST, MOST_OF_ADDRESS = 1000, 300
CROWDED = "Too many questions from your address are open: send fewer at a time, and try again in a moment."


def share_queue(blocks: gr.Blocks) -> gr.Blocks:
    """Have the queue of `blocks` refuse an event of an address that has its share, and begin the others in turns."""
    # Gradio has no public way to it; tests/web/gradio_patches/test_shared_queue.py holds it.
    queue: Any = blocks._queue
    push, begin = queue.push, queue.get_events
    numbers = count(1)
    last: dict[tuple[str, str], int] = {}  # when each address had its last turn in a line, the longest ago first

    async def push_if_few(body: Any, request: Any, username: str | None) -> Any:
        waiting = (line.queue for line in queue.event_queue_per_concurrency_id.values())
        events = chain.from_iterable([*waiting, *filter(None, queue.active_jobs)])
        address = address_of(request)
        if has_share(address, (address_of(event.request) for event in events), MOST_OF_ADDRESS, MOST):
            return False, CROWDED, "queue_full"
        return await push(body=body, request=request, username=username)

    def begin_in_turn() -> Any:
        for name, line in queue.event_queue_per_concurrency_id.items():
            turns = [last.get((name, address_of(event.request)), 0) for event in line.queue]
            if turns:
                line.queue.insert(0, line.queue.pop(turns.index(min(turns))))
        begun = begin()
        if begun:
            events, _, name = begun
            turn = name, address_of(events[0].request)
            last.pop(turn, None)
            last[turn] = next(numbers)
            if len(last) > MOST:
                del last[next(iter(last))]
        return begun

    queue.push, queue.get_events = push_if_few, begin_in_turn
    return blocks


def address_of(request: Any) -> str:
    """Return what the address of a request has in common with all of one visitor; "" where it is not known."""
    client = getattr(request, "client", None)
    return one_visitors(str(client.host)) if client else ""
