"""Check that a measurement agrees with a stopwatch, and that an open page does not disturb it.

The limit of the first is 0: the same loop, timed from outside as a whole, in another process, by code that shares
nothing with kvdemo but the model. What could push them apart is what kvdemo does between and within its steps. The
limit of the second is 1: a page hears of a run between two steps, which wait for it, and the server is at rest while
one is timed. Its steps are held against those of a bare loop without a server, since one that only waits may already
cost something: whole texts in turn, and pairs of steps at the same position.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

from playwright.sync_api import Page

from benchmarks.figure import Figure
from benchmarks.tools import lockstep
from benchmarks.tools.browser import browser_page, until
from benchmarks.tools.stepper import Process
from kvdemo.models.loaded import LoadedModel
from tests.serving import ROOT, served

PROMPT, PROMPT_TOKENS, TOKENS, REPEATS, ROUNDS = "What is KV caching?", 6, 64, 3, 8
#: A measurement that is looked on at: one text of so many tokens, so often.
LOOKED_TOKENS, LOOKED_ROUNDS = 32, 24

# The loop of the articles, with a stopwatch around it. Tokenisation and prefill included, as E2E is defined.
OUTSIDE = """
import sys, time
import kvdemo.engine.openmp
kvdemo.engine.openmp.limit_spinning()
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, DynamicCache
from kvdemo.models.network.cache_argument import cache_kwargs
folder, prompt, tokens, repeats = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()

@torch.inference_mode()
def loop():
    ids = tokenizer(prompt, return_tensors="pt").input_ids
    cache = DynamicCache(config=model.config)
    for _ in range(tokens):
        logits = model(input_ids=ids, logits_to_keep=1, **cache_kwargs(model, cache)).logits
        ids = logits[:, -1:].argmax(-1)
        ids.item()

loop()
total = 0.0
for _ in range(repeats):
    start = time.perf_counter()
    loop()
    total += time.perf_counter() - start
print(total / repeats)
"""


def outside(model: LoadedModel) -> float:
    """Return the mean seconds of the loop, by a stopwatch in a process of its own."""
    command = [sys.executable, "-c", OUTSIDE, str(model.source.folder), PROMPT, str(TOKENS), str(REPEATS)]
    return float(subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout)


def command_line(model: LoadedModel) -> float:
    """Return the mean E2E of the same loop, as `python -m kvdemo measure` reports it."""
    command = [
        sys.executable, "-m", "kvdemo", "measure", "--model", str(model.source.folder), "--prompt", PROMPT, "--no-chat",
        "--strategies", "dynamic_cache", "--max-new-tokens", str(TOKENS), "--repeats", str(REPEATS), "--json",
        "--device", "cpu",
    ]  # fmt: skip
    told = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return mean_e2e(json.loads(told))


def mean_e2e(document: dict[str, Any]) -> float:
    """Return the mean E2E of the first lane."""
    return float(document["lanes"][0]["statistics"]["e2e_s"]["mean"])


def with_page(page: Page) -> list[float]:
    """Start one measurement in the page and let the page draw it; the seconds of each step, by its document."""
    with until(page, ".kv-measure", "over"):
        page.click("#kv-m-start")
    page.wait_for_selector("#kv-m-json:visible")
    with page.expect_download() as download:
        page.click("#kv-m-json")
    document = json.loads(download.value.path().read_text("utf-8"))
    return [seconds for _, seconds in document["lanes"][0]["latency"]]


def run(model: LoadedModel) -> Iterator[Figure]:
    """Run both in turn, in random order."""
    yield agreement(model)
    yield looked_on(model)


def agreement(model: LoadedModel) -> Figure:
    """Hold what a measurement reports against the stopwatch."""
    found = compared(lambda: command_line(model), lambda: outside(model))
    distances = sorted(abs(end - 1) for end in found.interval)
    nearest = 0.0 if found.low <= 1 <= found.high else distances[0]
    return Figure(
        "measure's mean E2E / a stopwatch around the same loop: distance from 1",
        abs(found.value - 1), "", 0.05, interval=(nearest, distances[1]),
    )  # fmt: skip


def looked_on(model: LoadedModel) -> Figure:
    """Hold the steps of a measurement in the app against those of a bare loop.

    The browser stands back: what it draws on a visitor's machine takes nothing from the decoding.
    """
    query = f"?tab=measure&prompt={quote(PROMPT)}&tokens={LOOKED_TOKENS}&repeats=1&lanes=dynamic_cache&chat=0"
    settings = {"KVDEMO_MODEL": str(model.source.folder), "KVDEMO_DEVICE": "cpu"}
    with (
        Process() as bare,
        served(settings) as url,
        browser_page(url + query, stands_back=True) as page,
    ):
        page.wait_for_selector("#kv-m-start:enabled")
        loops = {"bare": lambda: bare.text(PROMPT_TOKENS, LOOKED_TOKENS), "watched": lambda: with_page(page)}
        for run in loops.values():
            run()  # the first of each pays for first uses
        taken = lockstep.take(
            {name: lockstep.block(run) for name, run in loops.items()},
            rounds=LOOKED_ROUNDS, positions=LOOKED_TOKENS - 1,
        )  # fmt: skip
    found = lockstep.ratio(taken["watched"], taken["bare"])
    return Figure("a step with a page that looks on / a bare loop", found.value, "×", 1.01, interval=found.interval)


def compared(first: Callable[[], float], second: Callable[[], float]) -> lockstep.Ratio:
    """Divide the first's seconds by the second's, of runs that take turns."""
    loops = {"first": lockstep.repeated(first), "second": lockstep.repeated(second)}
    taken = lockstep.take(loops, rounds=ROUNDS, positions=1, skip=0)
    return lockstep.ratio(taken["first"], taken["second"])
