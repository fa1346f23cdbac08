"""Time Stop in races against remote engines that are stuck, each in its own way.

The limit is what carries the word: a request of the browser, the look at the flag between two waits, the batch that is
sent every 100 ms, and what is said at the end. What is above it, somebody waits for the engine.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.figure import Figure
from tests.stuck_engines import LANES, served_beside_stuck_engines, stopped_after
from tests.tiny_models import byte_level_tokenizer, loaded, save, tiny_llama_network


def run() -> Iterator[Figure]:
    """Serve the app with a tiny model, and press Stop in each race."""
    tokenizer = byte_level_tokenizer()
    with tempfile.TemporaryDirectory() as made:
        model = save(loaded("llama", tiny_llama_network(len(tokenizer)), tokenizer), Path(made) / "llama")
        (site := Path(made) / "site").mkdir()
        with served_beside_stuck_engines(model, site) as url:
            taken = {lanes: asyncio.run(stopped_after(url, lanes)) for lanes in LANES}
    for lanes, seconds in taken.items():
        yield Figure(f"Stop of {lanes}, to the end of the race", seconds, "s", 1.0)
