"""Run hundreds of races with stops, disconnections, changes of the model and bad input: nothing may be left of them.

The limit is what a fresh server has: memory, threads, files and processes are compared with what they were after the
first tenth, when everything has been used once. The time of a race is compared with that on a server which has had none
of these visitors, in turns: over minutes a shared machine gets slower or faster than what is looked for.
"""

from __future__ import annotations

import asyncio
import os
import random
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil

from benchmarks.figure import Figure
from benchmarks.measures.load import PATIENCE, opening
from benchmarks.tools import lockstep
from benchmarks.tools.servers import server_at, wait_for_rest
from tests.programs import Program
from tests.serving import served
from tests.tiny_models import byte_level_tokenizer, loaded, save, tiny_gpt2_network, tiny_llama_network

RACES, WARM = int(os.environ.get("KVDEMO_SOAK_RACES", "500")), 50
#: So many pairs of races, on both servers, say how long one takes.
COMPARED = 60
FORM: dict[str, Any] = {
    "prompt": "The fox", "max_new_tokens": 24, "ignore_eos": True, "chat": False,
    "strategies": ["no_cache", "dynamic_cache"],
}  # fmt: skip
#: After so long, what a race leaves behind for a moment is gone. Threads of anyio that wait for work have 10 s.
SETTLE_SECONDS = 12.0


@dataclass
class Held:
    """What the server's processes hold."""

    memory: int
    threads: int
    files: int
    processes: int

    @classmethod
    def by(cls, server: psutil.Process) -> Held:
        """Look at a process and all below it."""
        all_of_it = [server, *server.children(recursive=True)]
        return cls(
            sum(one.memory_info().rss for one in all_of_it), sum(one.num_threads() for one in all_of_it),
            sum(one.num_fds() for one in all_of_it), len(all_of_it),
        )  # fmt: skip


@dataclass
class Soak:
    """What was seen: what was held, seconds of page loads, answers that no visitor should get."""

    held: list[Held] = field(default_factory=list)
    opened: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


class Visitors:
    """Visitors of one server who do all kinds of things, each in a session of its own."""

    def __init__(self, client: httpx.AsyncClient, url: str, models: list[str], soak: Soak) -> None:
        self._client, self._url, self._models, self._soak = client, url, models, soak
        self._choose = random.Random(0)  # noqa: S311 - nothing secret

    async def come(self, number: int) -> None:
        """Have one visitor do one thing; every second one races as it should be done."""
        self.program = Program(self._client, self._url, f"soak{number}")
        form = FORM | {"prompt": f"The fox number {number}", "model": self._models[0]}
        if number % 2:
            self._expect(await self.program.last("race", **form), right=True)
            return
        act = self._choose.choice([self._leave, self._never_listen, self._be_wrong, self._other_model])
        await act(form)

    async def _leave(self, form: dict[str, Any]) -> None:
        racing = asyncio.create_task(self.program.last("race", **form | {"max_new_tokens": 400}))
        await asyncio.sleep(self._choose.random())
        racing.cancel()
        await asyncio.wait({racing})

    async def _never_listen(self, form: dict[str, Any]) -> None:
        (await self.program.join("race", **form)).raise_for_status()

    async def _be_wrong(self, form: dict[str, Any]) -> None:
        wrong: list[dict[str, Any]] = [
            {"prompt": ""}, {"max_new_tokens": 10**7}, {"strategies": ["turbo"]}, {"temperature": -1.0},
            {"model": "no/such/folder"}, {"prompt": "fox " * 10_000}, {"strategies": ["sliding_window:window=0"]},
        ]  # fmt: skip
        self._expect(await self.program.last("race", **form | self._choose.choice(wrong)), right=False)

    async def _other_model(self, form: dict[str, Any]) -> None:
        self._expect(await self.program.last("race", **form | {"model": self._models[1]}), right=True)

    def _expect(self, last: dict[str, Any], *, right: bool) -> None:
        said = str(last.get("output", {}).get("error") or "")
        if last.get("success") != right or "Traceback" in said or "went wrong" in said:
            self._soak.wrong.append(said or str(last)[:200])


async def soaked(url: str, models: list[str]) -> Soak:
    """Send all visitors to a server, one after the other, while its page is opened."""
    soak = Soak()
    wait_for_rest(url)  # what it starts ahead is not left over
    server = server_at(url)
    async with httpx.AsyncClient(timeout=PATIENCE) as client:
        visitors = Visitors(client, url, models, soak)
        for numbers in (range(WARM), range(WARM, RACES)):
            async with opening(url, soak.opened):
                for number in numbers:
                    await visitors.come(number)
            await asyncio.sleep(SETTLE_SECONDS)
            await client.get(f"{url}healthz")  # who asks for a thread ends those that have waited too long
            soak.held.append(Held.by(server))
    return soak


async def compared(soaked: str, fresh: str) -> lockstep.Ratio:
    """Divide the seconds of a race on a server that has been soaked by those on a fresh one; the two take turns."""
    urls, order = (soaked, fresh), np.random.default_rng(0)
    seconds = np.zeros((2, COMPARED + 1, 1))
    async with httpx.AsyncClient(timeout=PATIENCE) as client:
        for turn in range(COMPARED + 1):
            for which in order.permutation(2):
                program = Program(client, urls[which], f"pair{turn}")
                start = time.perf_counter()
                last = await program.last("race", **FORM)
                seconds[which, turn] = time.perf_counter() - start
                if not last.get("success"):
                    raise RuntimeError(f"a race was refused: {last}")
    used, unused = seconds[:, 1:]  # the first race of each pays for first uses
    return lockstep.ratio(used, unused)


def run() -> Iterator[Figure]:
    """Serve the app with two tiny models. Wrong answers are printed."""
    tokenizer = byte_level_tokenizer()
    size = len(tokenizer)
    with tempfile.TemporaryDirectory() as folder:
        models = [
            str(save(loaded(name, network, tokenizer), Path(folder) / name))
            for name, network in (("llama", tiny_llama_network(size)), ("gpt2", tiny_gpt2_network(size)))
        ]
        settings = {"KVDEMO_MODEL": models[0], "KVDEMO_DEVICE": "cpu"}
        with served(settings) as url:
            soak = asyncio.run(soaked(url, models))
            with served(settings) as fresh:
                wait_for_rest(fresh)
                pace = asyncio.run(compared(url, fresh))
    for answer in sorted(set(soak.wrong)):
        print(f"wrong: {answer}", flush=True)
    early, late = soak.held
    yield Figure(f"memory after {RACES} races / after {WARM}", late.memory / early.memory, "×", 1.05)
    yield Figure("threads left", late.threads - early.threads, "", 0)
    yield Figure("open files left", late.files - early.files, "", 0)
    yield Figure("processes left", late.processes - early.processes, "", 0)
    yield Figure("a race on this server / on a fresh one", pace.value, "×", 1.1, interval=pace.interval)
    yield Figure("answers that no visitor should get", len(soak.wrong), "", 0)
    opened = sorted(soak.opened)
    yield Figure("GET / meanwhile, 99th percentile", opened[int(0.99 * len(opened))] * 1e3, "ms", 200)
