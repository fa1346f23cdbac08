"""Send every hostile input to a server while its page is opened: nobody else may notice.

The limit of what may go wrong is 0. A page needs one core for some milliseconds; what is above that it waits for the
refusals, each of which takes a moment of the same process.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.figure import Figure
from benchmarks.measures.load import opening
from tests.hostile.answers import hit
from tests.hostile.attacks import Attack, attacks
from tests.serving import served
from tests.tiny_models import byte_level_tokenizer, loaded, save, tiny_llama_network

#: Wrong answers that are printed.
SHOWN = 40


async def attacked(url: str, chosen: list[Attack], opened: list[float]) -> dict[str, list[str]]:
    """Send the attacks while the page is opened."""
    async with opening(url, opened):
        return await hit(url, chosen)


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
            every = attacks(url)
            start = time.perf_counter()
            wrong = asyncio.run(attacked(url, every, opened))
            seconds = time.perf_counter() - start
        tracebacks = (folder / "log").read_text("utf-8", "replace").count("Traceback")
    for name, found in list(wrong.items())[:SHOWN]:
        print(f"wrong: {name}: {'; '.join(found)}", flush=True)
    yield Figure("hostile inputs", len(every), "", 300, at_most=False)
    yield Figure("(for reference) of them a second", len(every) / seconds, "")
    yield Figure("answers that no visitor should get", len(wrong), "", 0)
    yield Figure("tracebacks in the server's log", tracebacks, "", 0)
    yield Figure("GET / meanwhile, 99th percentile", float(np.percentile(opened, 99)) * 1e3, "ms", 200)
    yield Figure("(for reference) GET / meanwhile, median", float(np.median(opened)) * 1e3, "ms")
