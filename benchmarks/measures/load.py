"""Have a hundred visitors race at once: all are served in order or kindly refused, and the page opens meanwhile.

The limit of the order is 0 overtakings, that of the texts 0 strangers: nothing physical stands against either. A page
needs one core for some milliseconds; what is above that it waits for the races.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import numpy as np

from benchmarks.figure import Figure
from tests.programs import Program
from tests.serving import served

VISITORS, TOKENS = 100, 16
PATIENCE = httpx.Timeout(600)
#: Between two visitors' arrivals: so far apart that their order at the server is known.
APART_SECONDS = 0.05


@dataclass
class Load:
    """What the visitors saw: when each one's race was over, whose text it was, and how long the page took to open."""

    over: list[tuple[float, int]] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    crossed: int = 0
    opened: list[float] = field(default_factory=list)


@asynccontextmanager
async def opening(url: str, opened: list[float]) -> AsyncIterator[None]:
    """Open the page again and again inside the block, and note each time in seconds."""

    async def look() -> None:
        async with httpx.AsyncClient(timeout=PATIENCE) as client:
            while True:
                start = time.perf_counter()
                (await client.get(url)).raise_for_status()
                opened.append(time.perf_counter() - start)
                await asyncio.sleep(0.1)

    looking = asyncio.create_task(look())
    try:
        yield
    finally:
        looking.cancel()
        await asyncio.wait({looking})
        if not looking.cancelled():
            looking.result()  # a page that did not open


async def visit(visitor: Program, number: int, load: Load) -> None:
    """Race as one visitor, with a prompt of its own."""
    prompt = f"Visitor {number} asks what a cache is."
    form: dict[str, Any] = {"prompt": prompt, "max_new_tokens": TOKENS, "strategies": ["dynamic_cache"], "chat": False}
    last = await visitor.last("race", **form)
    if not last.get("success"):
        load.refused.append(str(last.get("output", {}).get("error")))
        return
    load.over.append((time.perf_counter(), number))
    load.crossed += last["output"]["data"][0]["prompt"]["text"] != prompt


async def crowd(url: str) -> Load:
    """Have all visitors arrive, one shortly behind the other, and wait for the last."""
    load = Load()
    async with httpx.AsyncClient(timeout=PATIENCE, limits=httpx.Limits(max_connections=None)) as client:
        first = Program(client, url, "first")
        await first.last("race", max_new_tokens=TOKENS, strategies=["dynamic_cache"])
        async with opening(url, load.opened):
            visits = []
            for number in range(VISITORS):
                visits.append(asyncio.create_task(visit(first.beside(f"visitor{number}"), number, load)))
                await asyncio.sleep(APART_SECONDS)
            await asyncio.gather(*visits)
    return load


def overtakings(over: list[tuple[float, int]]) -> int:
    """Count the visitors that were done before one who came earlier."""
    order = [number for _, number in sorted(over)]
    return sum(any(later < number for later in order[place + 1 :]) for place, number in enumerate(order))


def run() -> Iterator[Figure]:
    """Serve the app as it is shipped to the crowd. The refusals that it gives are printed."""
    settings = {"KVDEMO_MODEL": model} if (model := os.environ.get("KVDEMO_MODEL")) else {}
    with served(settings) as url:
        load = asyncio.run(crowd(url))
    for sentence in sorted(set(load.refused)):
        print(f"refused: {sentence}", flush=True)
    yield Figure(
        "visitors at once whose race ran or who were told why not",
        len(load.over) + len(load.refused),
        "",
        VISITORS,
        at_most=False,
    )
    yield Figure("(for reference) of them refused", len(load.refused), "")
    yield Figure("visitors who were done before one who came earlier", overtakings(load.over), "", 0)
    yield Figure("visitors who saw another's prompt", load.crossed, "", 0)
    yield Figure("GET / meanwhile, 99th percentile", float(np.percentile(load.opened, 99)) * 1e3, "ms", 200)
    yield Figure("(for reference) GET / meanwhile, median", float(np.median(load.opened)) * 1e3, "ms")
