"""Let one visitor's event not end the queue of all.

Gradio keeps what it has to say by session, of some of them (`kept_answers.py`). What it has to say to any other, it
raises a KeyError for, in the one task that begins everybody's events: it ends, and from then on every visitor is told
that the server is stopped. An event that was asked for under an empty name is of such a session from the beginning.

It keeps the names of many sessions. So a name may not be long: a thousand of four million characters
would fill a machine's memory. It names the task of an event by it too, and splits the names of all tasks whenever a
visitor cancels: a name with the mark at which it splits would keep everybody from that.
"""

from __future__ import annotations

from typing import Any

import gradio as gr

#: Characters of a session's name; a page's own has about ten, an event's 32.
LONGEST_NAME = 100
TOO_LONG = f"The session_hash has more than {LONGEST_NAME} characters: send a shorter one."
#: At this Gradio splits the names of its tasks.
MARK = "<gradio-sep>"
MARKED = f"The session_hash has {MARK} in it: send one without."


def steady(blocks: gr.Blocks) -> gr.Blocks:
    """Let the queue of `blocks` say nothing to unknown sessions, name nameless ones, and refuse odd names."""
    # Gradio has no public way to it; tests/web/gradio_patches/test_unknown_sessions.py holds it.
    queue: Any = blocks._queue
    send, push = queue.send_message, queue.push

    def send_if_known(event: Any, message: Any) -> None:
        if event.session_hash in queue.pending_messages_per_session:
            send(event, message)

    async def push_named(body: Any, request: Any, username: str | None) -> Any:
        if len(body.session_hash or "") > LONGEST_NAME:
            return False, TOO_LONG, "error"
        if MARK in (body.session_hash or ""):
            return False, MARKED, "error"
        body.session_hash = body.session_hash or None  # then the event's own name is that of its session
        return await push(body=body, request=request, username=username)

    queue.send_message, queue.push = send_if_known, push_named
    return blocks
