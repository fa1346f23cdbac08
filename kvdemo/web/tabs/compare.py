"""Lay out the Compare tab: two JSON files, and what they say of each other.

The files come from outside. Their size is looked at before they are read, what cannot be used gets one sentence
under its input, and the other file stays. Nothing of a file becomes markup: frontend/compare/view.js writes text only.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from kvdemo.core.errors import BadInput
from kvdemo.core.figures.units import count
from kvdemo.web.backend import Backend
from kvdemo.web.components.element import drawn
from kvdemo.web.components.follow import PRIVATE
from kvdemo.web.words.figures import DEFINITIONS

log = logging.getLogger(__name__)

#: A race of some thousand tokens is one megabyte of JSON. Two files of this size are compared within 5 s on two cores.
MOST_BYTES = 8_000_000
LIMIT = f"{MOST_BYTES // 10**6} MB"
ACCIDENT = "Something went wrong on the server, and this could not be compared: drop the file again."
NOTHING = {"comparison": None, "waiting": ["A", "B"], "error": None}
TERMS = {
    "e2e_s": DEFINITIONS["e2e"],
    "ttft_s": DEFINITIONS["ttft"],
    "tpot_s": DEFINITIONS["tpot"],
    "level_s": DEFINITIONS["level"],
    "mean": {
        "name": "mean ± std",
        "long": "Mean and spread",
        "text": "The arithmetic mean over the runs, and after ± their sample standard deviation (divided by n − 1). "
        "A single run has no spread.",
        "also": "",
    },
    "n": {
        "name": "n",
        "long": "Runs",
        "text": "How many complete runs of the lane each file holds, A / B. A race is one run.",
        "also": "repeats",
    },
    "ratio": {
        "name": "Speed-up, B over A",
        "long": "How many times as fast B is",
        "text": "A's mean time divided by B's: above 1 B is faster, below 1 slower. In brackets the 95 % interval, "
        "the ratios that these runs are compatible with (Welch's t-test on the logarithms of the times).",
        "also": "",
    },
    "claim": {
        "name": "What can be claimed",
        "long": "Significance",
        "text": "A difference is claimed only where the 95 % interval leaves out 1, both files did the same work, and "
        "there were enough runs to tell.",
        "also": "",
    },
}


def read(path: str) -> str:
    """Read a file's text. Raises BadInput for one that is too large, gone, or not UTF-8."""
    try:
        size = Path(path).stat().st_size
        if size > MOST_BYTES:
            raise BadInput(f"The file has {size / 1e6:,.1f} MB, and {LIMIT} is the most: choose a smaller one.")
        return Path(path).read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BadInput("The file is not UTF-8 text: choose a JSON file that kvdemo exported.") from None
    except OSError:
        raise BadInput("The file did not arrive: drop it again.") from None


@dataclass(frozen=True)
class Side:
    """One of the two inputs: its text once it can be used, and the sentence under it."""

    text: str | None = None
    said: str = ""
    bad: bool = False

    def note(self) -> dict[str, Any]:
        """Make what the element under the input draws."""
        return {"text": self.said, "bad": self.bad}


def side(backend: Backend, path: str | None) -> Side:
    """Look at one file alone. Comparing it with itself tells whether it can be compared, and what it holds."""
    if not path:
        return Side()
    try:
        text = read(path)
        return Side(text, _held(backend.compare(text, text)))
    except BadInput as error:
        return Side(said=str(error), bad=True)
    except Exception:
        log.exception("a file could not be looked at")
        return Side(said=ACCIDENT, bad=True)


def _held(with_itself: Mapping[str, Any]) -> str:
    """Describe a file in a few words: its lanes, and how often they ran."""
    lanes = with_itself["lanes"]
    runs = sorted({lane["metrics"]["e2e_s"]["a"]["n"] if "e2e_s" in lane["metrics"] else 0 for lane in lanes})
    return f"{', '.join(lane['name'] for lane in lanes)} · {_count(runs)}{' each' if len(lanes) > 1 else ''}"


def _count(runs: list[int]) -> str:
    return count(runs[0], "run") if len(runs) == 1 else f"{runs[0]:,} to {count(runs[-1], 'run')}"


def compared(backend: Backend, a: Side, b: Side) -> dict[str, Any]:
    """Make what the tab draws: {"comparison": dict or None, "waiting": which inputs still want a file, "error"}."""
    waiting = [name for name, given in (("A", a), ("B", b)) if given.text is None]
    if a.text is None or b.text is None:
        return {"comparison": None, "waiting": waiting, "error": None}
    try:
        return {"comparison": backend.compare(a.text, b.text), "waiting": [], "error": None}
    except BadInput as error:
        return {"comparison": None, "waiting": [], "error": str(error)}
    except Exception:
        log.exception("two files could not be compared")
        return {"comparison": None, "waiting": [], "error": ACCIDENT}


def add_compare_tab(backend: Backend) -> None:
    """Add the tab's content to the Blocks that is being built."""
    with gr.Column(elem_id="kv-compare"):
        with gr.Row(elem_id="kv-files"):
            (file_a, note_a), (file_b, note_b) = _input("A", "the reference"), _input("B", "against A")
        drawing = drawn("compare", value=NOTHING, elem_id="kv-comparison", facts=TERMS)

    def on_change(path_a: str | None, path_b: str | None) -> list[dict[str, Any]]:
        a, b = side(backend, path_a), side(backend, path_b)
        return [a.note(), b.note(), compared(backend, a, b)]

    gr.on(
        [file_a.change, file_b.change], on_change, inputs=[file_a, file_b], outputs=[note_a, note_b, drawing],
        trigger_mode="always_last", concurrency_limit=2, **PRIVATE,
    )  # fmt: skip


def _input(name: str, role: str) -> tuple[gr.File, gr.HTML]:
    """Make a place to drop a file, and the sentence under it."""
    with gr.Column(min_width=260, elem_classes="kv-file"):
        # No `file_types`: Gradio would answer with a message that goes away, and nothing under the input.
        file = gr.File(label=f"{name} · {role} (JSON, up to {LIMIT})", height=56, elem_id=f"kv-file-{name.lower()}")
        return file, drawn("fileNote", value=Side().note(), elem_id=f"kv-note-{name.lower()}")
