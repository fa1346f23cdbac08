"""End the stream of a session whose answers pile up because it does not read them.

Gradio keeps an answer until the session's stream has room for it, and the server waits for ever for a connection that
takes nothing. So a few dozen large answers that nobody reads would fill the memory.

An answer is counted as it is sent. One that no stream can carry, for half a character or a number of more than 64 bits,
becomes a sentence: Gradio would end the stream with Python's words for it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from typing import Any

import gradio as gr
import orjson
from gradio.utils import error_payload

from kvdemo.web.gradio_patches.shared_queue import address_of
from kvdemo.web.guard.listeners import KEY, Listeners

log = logging.getLogger(__name__)

UNSENDABLE = "The answer holds what was asked, and that cannot be written: use smaller numbers and whole characters."
#: Bytes of JSON that may wait for one session, beside what is being sent to it, for all sessions of an address, and for
#: all addresses. In memory they take several times as much. One answer may wait for a session whatever it has: a large
#: one comes twice.
MOST_BYTES, MOST_BYTES_OF_ADDRESS, MOST_BYTES_OF_ALL = 4_000_000, 24_000_000, 96_000_000


class Unread(asyncio.Queue[Any]):
    """What waits for one session. `bytes` and `answers` count it, `address` is where it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = self.answers = 0
        self.address = ""

    def _put(self, message: Any) -> None:
        try:
            size = _size(message)
        except TypeError as error:  # orjson's, for all that it cannot write
            log.error("an answer could not be sent: %s", error)
            message.output, message.success = error_payload(gr.Error(UNSENDABLE), show_error=True), False
            size = _size(message)
        self.bytes, self.answers = self.bytes + size, self.answers + (size > 0)
        super()._put((message, size))

    def _get(self) -> Any:
        message, size = super()._get()
        self.bytes, self.answers = self.bytes - size, self.answers - (size > 0)
        return message


class UnreadBySession(dict[str, Any]):
    """What waits for each session; Gradio puts a queue of its own there for a new one."""

    def __setitem__(self, session: str, _: Any) -> None:
        super().__setitem__(session, Unread())


def limit_unread(blocks: gr.Blocks) -> gr.Blocks:
    """Let the queue of `blocks`, which keeps its answers in an `UnreadBySession`, give up sessions that do not read."""
    # Gradio has no public way to it; tests/web/gradio_patches/test_unread_answers.py holds it.
    queue: Any = blocks._queue
    push, send = queue.push, queue.send_message
    limit = _Limit(queue)

    async def push_from(body: Any, request: Any, username: str | None) -> Any:
        limit.listeners = request.scope.get(KEY)
        answer = await push(body=body, request=request, username=username)
        if own := limit.unread.get(body.session_hash):
            own.address = address_of(request)
        return answer

    def send_if_read(event: Any, message: Any) -> None:
        send(event, message)
        if getattr(message, "output", None):  # other messages may come from any thread
            limit.look_at(event.session_hash)

    queue.push, queue.send_message = push_from, send_if_read
    return blocks


class _Limit:
    """Gives up sessions for which too much waits. `listeners` are those of the server, None where nobody counts."""

    def __init__(self, queue: Any) -> None:
        self._queue, self.unread = queue, queue.pending_messages_per_session
        self.listeners: Listeners | None = None
        self._ending: set[asyncio.Task[None]] = set()

    def look_at(self, session: str) -> None:
        """Give up the session if too much waits for it; where an address or all have too much, the one with the most.

        Of all it is one of the address with the most, so many addresses with little each lose nothing to a few.
        """
        own: Unread | None = self.unread.get(session)
        if own is None:
            return
        if own.answers > 1 and own.bytes > MOST_BYTES:
            self._give_up(session)
            return
        held: defaultdict[str, dict[str, int]] = defaultdict(dict)
        for name, other in self.unread.items():
            held[other.address][name] = self._held(name)
        of_address = {address: sum(sessions.values()) for address, sessions in held.items()}
        if of_address[own.address] > MOST_BYTES_OF_ADDRESS:
            self._give_up(_largest(held[own.address]))
        elif sum(of_address.values()) > MOST_BYTES_OF_ALL:
            self._give_up(_largest(held[_largest(of_address)]))

    def _held(self, session: str) -> int:
        sending = sum(map(self.listeners.unsent, self._names(session))) if self.listeners else 0
        return sending + int(self.unread[session].bytes)

    def _names(self, session: str) -> list[str]:
        return [session, *self._queue.pending_event_ids_session.get(session, ())]  # a program listens to one event

    def _give_up(self, session: str) -> None:
        """Forget a session as Gradio does when its stream breaks off, and end the stream."""
        log.info("a session does not read its answers, and is forgotten")
        del self.unread[session]
        if self.listeners:
            for name in self._names(session):
                self.listeners.end(name)
        task = asyncio.get_running_loop().create_task(self._queue.clean_events(session_hash=session))
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)


def _largest(held: dict[str, int]) -> str:
    return max(held, key=held.__getitem__)


def _size(message: Any) -> int:
    """Return the bytes of an answer's values as they are sent; 0 of a message without any. Raises TypeError."""
    output = getattr(message, "output", None)
    return 0 if output is None else len(orjson.dumps(output, default=str))  # as Gradio writes it
