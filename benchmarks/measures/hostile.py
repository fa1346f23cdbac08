"""Send hostile inputs to all that a server answers while its page is opened: nobody else may notice.

The limit of what may go wrong is 0. A page needs one core for some milliseconds; what is above that it waits for the
refusals, each of which takes a moment of the same process.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import httpx
import numpy as np

from benchmarks.figure import Figure
from benchmarks.measures.load import PATIENCE, opening
from tests.hostile.answers import hit
from tests.hostile.attacks import Attack, attacks
from tests.programs import Program
from tests.serving import served
from tests.tiny_models import byte_level_tokenizer, loaded, save, tiny_llama_network

#: Of all inputs, one in so many is sent: all of them take a quarter of an hour. Wrong answers that are printed.
ONE_IN, SHOWN = int(os.environ.get("KVDEMO_HOSTILE_ONE_IN", "5")), 40


_made: list[Attack] = []


def inputs(url: str) -> None:
    """Make the inputs, before anything is measured."""
    _made[:] = attacks(url)[::ONE_IN]


def send(url: str) -> tuple[int, float, dict[str, list[str]]]:
    """Send the inputs: how many, in how many seconds, and what is wrong with the answers."""
    start = time.perf_counter()
    wrong = asyncio.run(hit(url, _made))
    return len(_made), time.perf_counter() - start, wrong


async def attacked(url: str, opened: list[float]) -> tuple[int, float, dict[str, list[str]]]:
    """Send the inputs from a process of its own, while the page is opened from this one and nothing else is done."""
    async with httpx.AsyncClient(timeout=PATIENCE) as client:
        await Program(client, url, "first").last("race", max_new_tokens=4, strategies=["dynamic_cache"], chat=False)
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        process.submit(inputs, url).result()
        async with opening(url, opened):
            return await asyncio.get_running_loop().run_in_executor(process, send, url)


def run() -> Iterator[Figure]:
    """Serve the app with a tiny model. Wrong answers, and what the server logs as an accident, are printed."""
    tokenizer = byte_level_tokenizer()
    opened: list[float] = []
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        model = save(loaded("llama", tiny_llama_network(len(tokenizer)), tokenizer), folder / "llama")
        settings = {
            "KVDEMO_MODEL": str(model), "KVDEMO_DEVICE": "cpu", "GRADIO_TEMP_DIR": str(folder / "files"),
            "HF_ENDPOINT": "http://127.0.0.1:9", "XDG_CACHE_HOME": str(folder / "cache"),
        }  # fmt: skip
        with served(settings, log=folder / "log") as url:
            count, seconds, wrong = asyncio.run(attacked(url, opened))
        tracebacks = (folder / "log").read_text("utf-8", "replace").count("Traceback")
    for name, found in list(wrong.items())[:SHOWN]:
        print(f"wrong: {name}: {'; '.join(found)}", flush=True)
    yield Figure("hostile inputs", count, "", 300, at_most=False)
    yield Figure("(for reference) of them a second", count / seconds, "")
    yield Figure("answers that no visitor should get", len(wrong), "", 0)
    yield Figure("tracebacks in the server's log", tracebacks, "", 0)
    yield Figure("GET / meanwhile, 99th percentile", float(np.percentile(opened, 99)) * 1e3, "ms", 200)
    yield Figure("(for reference) GET / meanwhile, median", float(np.median(opened)) * 1e3, "ms")
