"""Keep answers for all who listen, and of the others only the newest.

Gradio keeps answers by session until they are heard, and of the latest two thousand sessions, whether they are heard or
not. So two thousand small questions under fresh names would end every other visitor's stream, and with it his run. The
names of events that nobody heard it keeps for ever.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import gradio as gr

from kvdemo.web.gradio_patches.unread_answers import UnreadBySession
from kvdemo.web.guard.listeners import KEY

#: Events whose answers are kept for nobody, those of all sessions together. Also the most of one session.
MOST = 2000
#: Seconds that they are kept. A program asks first and listens then.
KEEP_SECONDS = 120
UNREAD = f"{MOST:,} answers for this session were not read: read them first, or ask under another session_hash."


def keep_answers(blocks: gr.Blocks) -> gr.Blocks:
    """Let the queue of `blocks` forget only sessions that nobody listens to, the oldest first."""
    # Gradio has no public way to it; tests/web/gradio_patches/test_kept_answers.py holds it.
    queue: Any = blocks._queue
    push = queue.push
    messages = UnreadBySession()
    events: dict[str, set[str]] = queue.pending_event_ids_session
    asked: dict[str, float] = {}  # when each session asked for its last event, the oldest first
    queue.pending_messages_per_session = messages

    async def push_and_forget(body: Any, request: Any, username: str | None) -> Any:
        if len(events.get(body.session_hash, ())) >= MOST:
            return False, UNREAD, "error"
        answer = await push(body=body, request=request, username=username)
        if body.session_hash in messages:
            asked.pop(body.session_hash, None)
            asked[body.session_hash] = time.monotonic()
        for session in list(_to_forget(asked, events, request.scope.get(KEY))):
            for kept in (asked, messages, events):
                kept.pop(session, None)
        return answer

    queue.push = push_and_forget
    return blocks


def _to_forget(asked: dict[str, float], events: dict[str, set[str]], listeners: Any) -> Iterator[str]:
    """List the sessions that are too old, or too many, among those that nobody listens to."""
    if listeners is None:  # nobody counts them
        return
    unheard, oldest = 0, time.monotonic() - KEEP_SECONDS
    for session, when in reversed(asked.items()):
        own = events.get(session, set())
        if listeners.has(session) or any(map(listeners.has, own)):  # a program listens to one event
            continue
        unheard += max(1, len(own))
        if unheard > MOST or when < oldest:
            yield session
