"""A backend without a server: it plays the batches of events that a test wrote down."""

from __future__ import annotations

import threading
from collections.abc import Generator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from kvdemo.core.events import Ended, Finished, Progress, RaceEvent, Started, TokensCommitted
from kvdemo.core.types import Choice, LaneInfo, Step, TimedStep
from kvdemo.core.visitor import Visitor
from kvdemo.web.backend import Backend, Form
from tests.scripted import verdict
from tests.web import inside_document
from tests.web.measured import document, states

FORM = {
    "prompt": "What is KV caching?", "model": "org/model", "max_new_tokens": 128,
    "strategies": ["reencode", "dynamic_cache"], "schedule": "fair", "chat": True, "temperature": 0.0, "top_p": 1.0,
    "seed": 0, "ignore_eos": False,
}  # fmt: skip
MODEL = {"id": "org/model", "dtype": "float32", "device": "cpu", "layers": 2}
OPTIONS = {
    "window": {"default": 256, "label": "Window", "about": "Latest positions kept.", "low": 1, "high": 4096,
               "choices": ()},
    "share": {"default": 1.0, "label": "Share", "about": "How much.", "low": 0, "high": 2, "choices": ()},
    "kind": {"default": "fp8", "label": "Format", "about": "Of the numbers.", "low": 0, "high": 1,
             "choices": ("fp8", "int4")},
}  # fmt: skip
STRATEGIES: list[dict[str, Any]] = [
    {"id": "reencode", "name": "Re-encoding", "summary": "All of it, each step.", "description": "", "lossless": False,
     "options": {}, "samples": True, "available": True, "reason": None},
    {"id": "dynamic_cache", "name": "DynamicCache", "summary": "One position a step.", "description": "",
     "lossless": True, "options": {}, "samples": True, "available": True, "reason": None},
    {"id": "compiled_cache", "name": "Compiled", "summary": "Compiled.", "description": "", "lossless": True,
     "options": {}, "samples": True, "available": False, "reason": "it needs a CUDA device"},
    {"id": "no_cache", "name": "No cache", "summary": "All of it, each step.", "description": "", "lossless": True,
     "options": {}, "samples": True, "available": True, "reason": None},
    {"id": "sliding_window", "name": "Window", "summary": "The latest positions.", "description": "", "lossless": False,
     "options": OPTIONS, "samples": True, "available": True, "reason": None},
    {"id": "beams", "name": "Beams", "summary": "Several texts.", "description": "", "lossless": False,
     "options": {}, "samples": False, "available": True, "reason": None},
]  # fmt: skip


def _rule(
    name: str, label: str, default: float, low: float, high: float, *, greedy_too: bool = False
) -> dict[str, Any]:
    about = f"{default} is off."
    option = {"default": default, "label": label, "about": about, "low": low, "high": high, "choices": ()}
    return {"id": name, "name": label, "summary": f"{label} changes scores.", "description": f"How {label} works.",
            "greedy_too": greedy_too, "options": {name: option}}  # fmt: skip


SAMPLERS: list[dict[str, Any]] = [
    _rule("repetition_penalty", "Repetition penalty", 1.0, 0.01, 10, greedy_too=True),
    _rule("temperature", "Temperature", 0.0, 0, 10),
    _rule("top_k", "Top-k", 1_000_000, 1, 1_000_000),
    _rule("min_p", "Min-p", 0.0, 0, 1),
    _rule("seed", "Seed", 0, 0, 2**63 - 1),
]
MEASURE = {"prompt": "What is KV caching?", "model": "org/model", "strategies": ["no_cache", "dynamic_cache"],
           "max_new_tokens": 64, "chat": False, "repeats": 3}  # fmt: skip
PRESETS: list[dict[str, Any]] = [
    {"id": "quick", "label": "Quick", "why": "Under a minute.", "form": MEASURE},
    {"id": "classic", "label": "Classic", "why": "The table that everyone cites.",
     "form": MEASURE | {"model": "gpt2", "max_new_tokens": 1000, "repeats": 10}},
    {"id": "sweep", "label": "Sweep", "why": "Where the cache pays.",
     "form": MEASURE | {"sweep_prompt": [16, 128], "sweep_tokens": "32,128"}},
]  # fmt: skip
LANES = tuple(LaneInfo(s["id"], s["name"], s["summary"], s["lossless"]) for s in STRATEGIES[:2])


def started(prompt: str = "Hi", tokens: int = 4, max_new_tokens: int = 3) -> Started:
    return Started(LANES, prompt, tokens, max_new_tokens, "fair", MODEL)


def committed(lane: int, shown: tuple[str, ...], /, seconds: float = 0.03, **step: Any) -> TokensCommitted:
    choices = tuple(Choice(100 + i, -0.5, 7, -1.5) for i in range(len(shown)))
    return TokensCommitted(lane, TimedStep(Step(choices, **{"positions": 1, **step}), seconds), shown)


def race() -> list[list[RaceEvent]]:
    """A whole race in four batches."""
    return [
        [Progress("Loading", 0.25)],
        [started()],
        [
            committed(0, (" a",), 0.2, positions=4, texts=(" a",)),
            committed(1, (" a",), 0.1, positions=4, cache_bytes=9),
        ],
        [Ended(0, "length"), Ended(1, "length"), Finished({"schema": 1, "model": MODEL}, verdict("Won.", "Twice."))],
    ]


def open_gate() -> threading.Event:
    gate = threading.Event()
    gate.set()
    return gate


@dataclass
class ScriptedBackend(Backend):
    """A backend that plays what it is given, and notes what was asked of it.

    `refuse` is raised by any run at once, `break_after` so many batches ends it in an accident. `shown` replaces panels
    of Inside, and `part` has those that come before. It has its panel while `gate` is set, and waits for that or for
    `stop` while it is not.
    """

    batches: list[list[RaceEvent]] = field(default_factory=race)
    refuse: Exception | None = None
    break_after: int | None = None
    statuses: list[dict[str, Any]] = field(default_factory=lambda: [{"state": "ready", "text": "", "model": MODEL}])
    offered: list[dict[str, Any]] = field(default_factory=lambda: STRATEGIES)
    rules: list[dict[str, Any]] = field(default_factory=lambda: SAMPLERS)
    fits: dict[str, Any] | Exception | None = None
    states: list[dict[str, Any]] = field(default_factory=states)
    kept: dict[str, Any] = field(default_factory=lambda: {"run7": document()})
    shown: dict[str, Any] = field(default_factory=dict)
    part: dict[str, Any] = field(default_factory=dict)
    gate: threading.Event = field(default_factory=open_gate)
    effort: str | Exception = "384 tokens to decode, about 20 s."
    lent: str | None = None

    forms: list[Form] = field(default_factory=list)
    pages: list[str] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)
    forgotten: list[str] = field(default_factory=list)
    asked: list[tuple[str, int, int]] = field(default_factory=list)
    chosen_from: dict[str, Any] = field(default_factory=lambda: {"candidates": None, "reason": "Nothing is kept."})
    closed: bool = False

    def race(self, form: Form, run_id: str, visitor: Visitor) -> Generator[list[RaceEvent], None, None]:  # noqa: ARG002
        self.forms.append(form)
        self.pages.append(visitor.session)
        if self.refuse:
            raise self.refuse
        return self._played()

    def _played(self) -> Generator[list[RaceEvent], None, None]:
        try:
            for i, batch in enumerate(self.batches):
                if i == self.break_after:
                    raise RuntimeError("secret detail")
                yield batch
        finally:
            self.closed = True

    def measure(self, form: Form, run_id: str, visitor: Visitor) -> Generator[dict[str, Any], None, None]:  # noqa: ARG002
        self.forms.append(form)
        if self.refuse:
            raise self.refuse
        return self._told(run_id)

    def _told(self, run_id: str) -> Generator[dict[str, Any], None, None]:
        try:
            for i, state in enumerate(self.states):
                if i == self.break_after:
                    raise RuntimeError("secret detail")
                if state["document"]:
                    self.kept[run_id] = state["document"] | {"run_id": run_id}
                yield state | {"document": self.kept.get(run_id)}
        finally:
            self.closed = True

    def inside(self, form: Form, run_id: str, visitor: Visitor) -> Generator[dict[str, Any], None, None]:  # noqa: ARG002
        self.forms.append(form)
        if self.refuse:
            raise self.refuse
        return self._looked(dict(form), run_id)

    def _looked(self, form: dict[str, Any], run_id: str) -> Generator[dict[str, Any], None, None]:
        try:
            yield {"text": "Waiting for the device", "fraction": None, "document": None}
            if self.break_after is not None:
                raise RuntimeError("secret detail")
            made = inside_document.document(form, **self.shown)
            if self.part:
                yield {"text": "Decoding", "fraction": None, "document": made | {"panels": self.part}}
            while not self.gate.wait(0.05):
                if run_id in self.stopped:
                    made |= {"status": "stopped", "panels": {}}
                    break
            yield {"text": "", "fraction": None, "document": made}
        finally:
            self.closed = True

    def stop(self, run_id: str) -> None:
        self.stopped.append(run_id)

    def forget(self, page: str) -> None:
        self.forgotten.append(page)

    def candidates(self, run_id: str, lane: int, token: int) -> dict[str, Any]:
        self.asked.append((run_id, lane, token))
        return self.chosen_from

    def measured(self, run_id: str) -> dict[str, Any] | None:
        return self.kept.get(run_id)

    def paced(self, visitor: Visitor) -> AbstractContextManager[bool]:  # noqa: ARG002
        return nullcontext(True)

    def status(self) -> dict[str, Any]:
        return self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]

    def fit(self, form: Form, visitor: Visitor) -> dict[str, Any] | None:  # noqa: ARG002
        if isinstance(self.fits, Exception):
            raise self.fits
        return self.fits

    def gpu_cost(self, form: Form) -> str | None:
        return self.lent and self.lent.format(**form)

    def panel_gpu_cost(self, form: Form) -> str | None:
        return self.lent and f"Each panel: {self.gpu_cost(form)}"

    def estimate(self, form: Form, visitor: Visitor) -> str:  # noqa: ARG002
        self.forms.append(form)
        if isinstance(self.effort, Exception):
            raise self.effort
        return self.effort

    def plan(self, form: Form, visitor: Visitor) -> dict[str, Any]:  # noqa: ARG002
        return {}

    def compare(self, a: str | None, b: str | None, visitor: Visitor) -> dict[str, Any]:  # noqa: ARG002
        return {}

    def free_names(self) -> dict[str, bool]:
        return {"hub": True, "folders": True}

    def models(self) -> list[dict[str, Any]]:
        return [
            {"id": "org/model", "label": "Model", "chat": True, "gated": False},
            {"id": "Short", "label": "Short", "hub_id": "org/Short", "chat": True, "gated": False},
        ]

    def strategies(self) -> list[dict[str, Any]]:
        return self.offered

    def samplers(self) -> list[dict[str, Any]]:
        return self.rules

    def presets(self) -> list[dict[str, Any]]:
        return PRESETS

    def default_form(self) -> dict[str, Any]:
        return dict(FORM)

    def document_csv(self, document: Mapping[str, Any]) -> str:  # noqa: ARG002
        return "a,b\n1,2\n"

    def measure_csv(self, document: Mapping[str, Any]) -> str:  # noqa: ARG002
        return "a,b\n1,2\n"

    def measure_markdown(self, document: Mapping[str, Any]) -> str:  # noqa: ARG002
        return "| a |\n|---|\n"
