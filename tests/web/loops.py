"""Run a coroutine, or an endpoint of the API, where other tests may have left an event loop running."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import gradio as gr

from kvdemo.web.api.endpoints import Endpoint

T = TypeVar("T")


def in_a_loop(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on a thread of its own: the tests of the page leave a loop running on this one."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, coroutine).result()


def called(endpoint: Endpoint, *given: Any, **named: Any) -> list[dict[str, Any]]:
    """All that an endpoint yields to a program."""

    async def collect() -> list[dict[str, Any]]:
        return [state async for state in endpoint(gr.Request(), *given, **named)]

    return in_a_loop(collect())
