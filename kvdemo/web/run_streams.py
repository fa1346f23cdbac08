"""Stream the runs of a tab or an endpoint: know which page runs what, stop it, and end it when nobody listens.

A run waits for the device. It does so on a thread of its own and not on one of those that answer all other events, and
it waits in the server's line and not in Gradio's, which would refuse every event while it is full.
"""

from __future__ import annotations

import asyncio
import ipaddress
import time
import uuid
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import gradio as gr
from anyio import CancelScope, CapacityLimiter, to_thread
from gradio.context import LocalContext

from kvdemo.core.visitor import NOBODY, Visitor
from kvdemo.web.guard.listeners import BEGIN_SECONDS, arrival, has_listener

T = TypeVar("T")

#: How Gradio begins a run: at once. The server says how many may wait.
RUN: dict[str, Any] = {"concurrency_limit": None}
#: Seconds between two checks whether somebody listens. A run without a listener in two checks is ended.
LOOK_SECONDS = 0.75
_OVER = object()


class Runs:
    """The runs of the pages: `stop(run_id)` ends one on the server."""

    def __init__(self, stop: Callable[[str], None]) -> None:
        self._stop = stop
        self._runs: dict[str, str] = {}

    @contextmanager
    def running(self, page: str) -> Iterator[str]:
        """Make a fresh run id, known for `page` for as long as the run lasts."""
        run_id = uuid.uuid4().hex[:12]
        self._runs[page] = run_id
        try:
            yield run_id
        finally:
            if self._runs.get(page) == run_id:
                del self._runs[page]

    def stop(self, page: str) -> None:
        """End what a page runs. The browser asks again if the run was still to come (frontend/form/actions.js)."""
        if run_id := self._runs.get(page):
            self._stop(run_id)

    async def stream(
        self,
        states: Generator[T, None, None],
        run_id: str,
        request: gr.Request,
        threads: CapacityLimiter | None = None,
    ) -> AsyncGenerator[T, None]:
        """Yield the states of a run while somebody listens to it; raises what it raises.

        The run begins when somebody listens, and ends within two seconds after nobody does. Closing this ends it.
        It has a thread of its own, or shares `threads` with others, for what takes a moment only.
        """
        threads, look = threads or CapacityLimiter(1), _Look(request)
        coming: asyncio.Task[Any] | None = None
        try:
            if not await look.begins():
                return
            while True:
                coming = asyncio.ensure_future(to_thread.run_sync(next, states, _OVER, limiter=threads))
                while not coming.done():
                    await asyncio.wait({coming}, timeout=LOOK_SECONDS)
                    if look.lost():
                        return
                if (state := coming.result()) is _OVER:
                    return
                yield state
        finally:
            with CancelScope(shield=True):  # who cancels this waits for its end
                if coming is None or (coming.done() and not coming.cancelled()):
                    await to_thread.run_sync(states.close, limiter=threads)
                else:  # a generator that is at work, as it may be when the server ends, cannot be closed
                    coming.add_done_callback(lambda over: _closed_after(over, states))
                    await to_thread.run_sync(self._stop, run_id, limiter=CapacityLimiter(1))


def _closed_after(step: asyncio.Task[Any], states: Generator[Any, None, None]) -> None:
    if not step.cancelled():  # as it is when the server ends while the generator is at work
        step.exception()  # nobody is left to be told
        states.close()


class _Look:
    """Looks whether somebody listens to what comes of a request."""

    def __init__(self, request: gr.Request) -> None:
        self._request = request
        self._at, self._missed = time.monotonic(), 0

    async def begins(self) -> bool:
        """Wait until somebody listens; returns whether somebody does."""
        while not has_listener(self._request):
            if time.monotonic() - self._at > BEGIN_SECONDS:
                return False
            await asyncio.sleep(0.02)
        return True

    def lost(self) -> bool:
        """Tell whether nobody listens any more."""
        if (now := time.monotonic()) - self._at < LOOK_SECONDS:
            return False
        self._at = now
        self._missed = 0 if has_listener(self._request) else self._missed + 1
        return self._missed > 1


def visitor_of(request: gr.Request, *, keeps: bool = False) -> Visitor:
    """Tell who sent a request. Behind a proxy the server knows its visitors' addresses from its headers (uvicorn)."""
    client = request.client.host if request.request and request.client else ""
    address = "" if _is_this_machine(client) else client
    return Visitor(request.session_hash or "", address, keeps, arrival(request))


def asking() -> Visitor:
    """Tell who sent the request that this thread answers, for a function that is handed the form alone."""
    request = LocalContext.request.get(None)
    return NOBODY if request is None else visitor_of(request)


def _is_this_machine(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return True  # a name that a test gives
