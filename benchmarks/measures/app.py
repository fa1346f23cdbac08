"""Measure what the app adds: dynamic_cache from the click to the last token, against the same loop without an app.

The limit against the bare loop is printed: before its clock runs the app takes five steps to warm up, of 64 that are
shown. The click, the queue, the event stream and ten looks a second come on top and should vanish. `generate()` with a
TextIteratorStreamer is what most demos do instead. Given a thread of its own like the other two it takes hardly longer
than the bare loop (the third figure), for on a CPU both spend nearly all of a step in the same matrix products.

The click is a request over HTTP to the real server, from another process, that reads the page's event stream as the
browser does. A browser itself is not started here: on the server's own machine it would take cores from the
decoding, which a visitor's browser does not. `wire.py` measures what the browser sees.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import torch
from transformers import DynamicCache, TextIteratorStreamer

from benchmarks.figure import Figure
from benchmarks.tools import lockstep
from kvdemo.models.loaded import LoadedModel
from kvdemo.models.network.cache_argument import cache_kwargs
from kvdemo.race.session import WARMUP_TOKENS

PROMPT = "What is KV caching?"
TOKENS, ROUNDS = 64, 12

CLICK = """
import sys, time
from gradio_client import Client
client = Client(sys.argv[1], verbose=False)
for line in sys.stdin:
    start = time.perf_counter()
    document = client.predict(prompt=sys.argv[2], model=sys.argv[3], max_new_tokens=int(sys.argv[4]), chat=False,
                              ignore_eos=True, strategies=["dynamic_cache"], api_name="/race")
    seconds = time.perf_counter() - start
    assert len(document["lanes"][0]["tokens"]) == int(sys.argv[4])
    print(seconds, flush=True)
"""


@torch.inference_mode()
def bare_loop(model: LoadedModel) -> None:
    """Run the smallest loop that can be written: tokenise, prefill, argmax, one token at a time."""
    ids = model.tokenizer(PROMPT, return_tensors="pt").input_ids
    cache = DynamicCache(config=model.network.config)
    for _ in range(TOKENS):
        logits = model.network(input_ids=ids, logits_to_keep=1, **cache_kwargs(model.network, cache)).logits
        token = logits[0, -1].argmax().item()
        ids = torch.tensor([[token]])


def streamed_generate(model: LoadedModel) -> None:
    """Run `generate()` on a thread, and read its text from a TextIteratorStreamer."""
    inputs = model.tokenizer(PROMPT, return_tensors="pt")
    streamer = TextIteratorStreamer(model.tokenizer, skip_prompt=True)
    options = {"max_new_tokens": TOKENS, "do_sample": False, "eos_token_id": None, "pad_token_id": 0}
    thread = threading.Thread(target=model.network.generate, kwargs={**inputs, **options, "streamer": streamer})
    thread.start()
    for _ in streamer:
        pass
    thread.join()


def seconds(function: Callable[[LoadedModel], None], model: LoadedModel) -> float:
    """Time one call, on a thread of its own as a race in the app is.

    Each thread that calls torch has an OpenMP team. While the main thread keeps one alive, there are more threads
    than cores, and OpenMP stops spinning in all of them: the loops would be measured under different rules.
    """
    thread = threading.Thread(target=function, args=(model,))
    start = time.perf_counter()
    thread.start()
    thread.join()
    return time.perf_counter() - start


def run(model: LoadedModel, url: str) -> Iterator[Figure]:
    """Run the three in turn, in random order, in one process on one model; the app answers at `url`."""
    command = [sys.executable, "-c", CLICK, url, PROMPT, model.id, str(TOKENS)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as visitor:
        assert visitor.stdin is not None and visitor.stdout is not None

        def click() -> float:
            print(file=visitor.stdin, flush=True)
            return float(visitor.stdout.readline())  # type: ignore[union-attr]

        runs = {
            "app": click,
            "bare": lambda: seconds(bare_loop, model),
            "streamed": lambda: seconds(streamed_generate, model),
        }
        for once in runs.values():
            once()
        loops = {name: lockstep.repeated(once) for name, once in runs.items()}
        taken = lockstep.take(loops, rounds=ROUNDS, positions=1, skip=0)
        visitor.stdin.close()
    for name, above, below, target in (
        ("dynamic_cache in the app, click to last token / generate() + streamer", "app", "streamed", 1.05),
        ("dynamic_cache in the app, click to last token / bare loop", "app", "bare", 1.05),
        ("(for reference) generate() + streamer / bare loop", "streamed", "bare", None),
    ):
        found = lockstep.ratio(taken[above], taken[below])
        yield Figure(name, found.value, "×", target, interval=found.interval)
    yield Figure("(for reference) the limit against the bare loop: the warm-up", 1 + WARMUP_TOKENS / TOKENS, "×")
