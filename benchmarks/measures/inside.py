"""Time Inside: what each panel takes for a text of 64 tokens, and what a redraw of the scrubber takes over 256.

The limit of a panel is reading the weights once for each of its passes, which is measured here by adding them all up.
A pass over many positions does more arithmetic than that, and Python takes its share of each layer, so no panel
reaches it. A panel that cannot be there within a second shows a first part by then; both are timed.

On a busy machine the seconds of the processor say more than those of the clock.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch.nn.modules.module import register_module_forward_hook

from benchmarks.figure import Figure
from benchmarks.tools import inside_scrubber
from kvdemo.core.settings.inside import DEFAULT_PROMPT, PANELS
from kvdemo.web.tabs.inside_events import drawn_part

if TYPE_CHECKING:
    from kvdemo.models.loaded import LoadedModel
    from kvdemo.server.service import Service

SHORT, LONG = 64, 256
ROUNDS = 3
#: Seconds until there is something to see, and thousands of bytes of the document that is scrubbed through.
SOON, SMALL = 1.0, 300


@dataclass(frozen=True)
class Answer:
    """An answer of the service: its parts, and the seconds until the first and the last of them.

    passes  through the model, of which each reads the weights
    """

    first: Seconds
    last: Seconds
    parts: int
    passes: int
    document: Mapping[str, Any]


class Seconds(NamedTuple):
    """Seconds by the clock, and those of the processor, of all cores together."""

    clock: float
    processor: float

    @classmethod
    def now(cls) -> Seconds:
        return cls(time.perf_counter(), time.process_time())

    def since(self, start: Seconds) -> Seconds:
        return Seconds(self.clock - start.clock, self.processor - start.processor)


def run(engine: Service, serve: Callable[[], AbstractContextManager[str]]) -> Iterator[Figure]:
    """Yield medians over the rounds, on the engine's model."""
    held = engine.held
    assert held is not None
    least = _reading(held)
    written = _answer(engine, {"prompt": DEFAULT_PROMPT, "panels": "steps", "max_new_tokens": SHORT})
    steps = written.document["panels"]["steps"]
    prompt = steps["prompt_tokens"]
    handed_over = {"prompt": DEFAULT_PROMPT, "continuation": steps["tokens"][prompt:SHORT]}
    for panel in PANELS:
        about = handed_over if panel in ("steps", "attention") else {"prompt": text_of(held, SHORT)}
        yield from _figures(engine, f"Inside, {panel}, {SHORT} tokens", {**about, "panels": panel}, least)
    own = {"prompt": DEFAULT_PROMPT, "panels": "steps", "max_new_tokens": SHORT - prompt}
    yield from _figures(engine, f"Inside, steps, {prompt} tokens and {SHORT - prompt} decoded", own, least)
    long = {"prompt": DEFAULT_PROMPT, "continuation": list(range(1000, 1000 + LONG - prompt))}
    for panel in ("steps", "attention"):
        size = len(drawn_part(_answer(engine, {**long, "panels": panel}).document).encode()) / 1000
        yield Figure(f"Inside, {panel}: document of {LONG} tokens", size, "kB", SMALL)
    with serve() as url:
        yield from inside_scrubber.run(f"{url}?tab=inside&tokens={LONG - prompt}", LONG)


def text_of(model: LoadedModel, tokens: int) -> str:
    """Write a text of so many tokens."""
    ids = model.encode_text(f"{DEFAULT_PROMPT} dog. " * tokens, special=False)[:tokens]
    text = model.decode(ids)
    assert len(model.encode_text(text, special=False)) == tokens
    return text


def _figures(engine: Service, name: str, form: dict[str, Any], least: float) -> Iterator[Figure]:
    answers = [_answer(engine, form) for _ in range(ROUNDS)]
    parts, passes = answers[-1].parts, answers[-1].passes
    first, last = ([getattr(one, end) for one in answers] for end in ("first", "last"))
    yield Figure(f"{name}: until there is something to see", median(one.clock for one in first), "s", SOON)
    if parts > 1:
        yield Figure(f"(for reference) {name}: all of it", median(one.clock for one in last), "s")
        yield Figure(f"(for reference) {name}: first part", median(one.processor for one in first), "CPU s")
    yield Figure(f"(for reference) {name}: all of it", median(one.processor for one in last), "CPU s")
    if passes:
        yield Figure(f"(for reference) {name}: limit, weights read {passes} ×", passes * least, "CPU s")


def _answer(engine: Service, form: dict[str, Any]) -> Answer:
    """Ask the service. What the tab is sent is made of each part, as it is for a page."""
    assert engine.held is not None
    network, passes = type(engine.held.network), 0

    def count(module: Any, *_: Any) -> None:
        nonlocal passes
        passes += isinstance(module, network)

    hook = register_module_forward_hook(count)
    start, shown, document = Seconds.now(), list[Seconds](), dict[str, Any]()
    for state in engine.inside(form, "benchmark"):
        if state["document"]:
            document = state["document"]
            drawn_part(document)
            if document["panels"] and document["status"] == "running":
                shown.append(Seconds.now().since(start))
    last = Seconds.now().since(start)
    hook.remove()
    assert document["status"] == "done" and "cannot" not in document["panels"][form["panels"]]
    return Answer((shown or [last])[0], last, len(shown), passes, document)


@torch.inference_mode()
def _reading(model: LoadedModel) -> float:
    """Time the processor for the sum of all weights, each read for nothing else; the least of some, in seconds.

    On one thread: a second one that waits for its turn would count as busy.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        least = float("inf")
        for _ in range(4 * ROUNDS):
            start = Seconds.now()
            for weight in model.network.parameters():
                torch.sum(weight)
            least = min(least, Seconds.now().since(start).processor)
        return least
    finally:
        torch.set_num_threads(threads)
