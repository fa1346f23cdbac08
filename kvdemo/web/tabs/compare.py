"""Lay out the Compare tab: two JSON files, and what they say of each other.

The files come from outside. Their size is looked at before they are read, what cannot be used gets one sentence
under its input, and the other file stays. Nothing of a file becomes markup: frontend/compare/view.js writes text only.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import gradio as gr

from kvdemo.core.errors import BadInput
from kvdemo.core.visitor import NOBODY, Visitor
from kvdemo.web.backend import Backend
from kvdemo.web.components.element import drawn
from kvdemo.web.components.follow import IN_LINE, PRIVATE
from kvdemo.web.run_streams import visitor_of
from kvdemo.web.words.figures import DEFINITIONS

log = logging.getLogger(__name__)

#: A race of some thousand tokens is one megabyte of JSON. Two files of this size are compared within 5 s on two cores.
MOST_BYTES = 8_000_000
LIMIT = f"{MOST_BYTES // 10**6} MB"
ACCIDENT = "Something went wrong on the server, and this could not be compared: drop the file again."
NO_FILE = {"text": "", "bad": False}
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


def look(backend: Backend, path_a: str | None, path_b: str | None, visitor: Visitor = NOBODY) -> list[dict[str, Any]]:
    """Say what each file holds, or what is wrong with it, and compare them.

    Returns what is drawn under A, under B and below both: {"comparison", "waiting": which inputs want a file, "error"}.
    """
    notes: dict[str, dict[str, Any]] = {}
    texts: dict[str, str | None] = {}
    for name, path in (("A", path_a), ("B", path_b)):
        notes[name], texts[name] = NO_FILE, None
        if path:
            try:
                texts[name] = read(path)
            except BadInput as error:
                notes[name] = _note(str(error), bad=True)
    here = [name for name, text in texts.items() if text is not None]
    found, fault = _compared(backend, texts["A"], texts["B"], visitor) if here else (None, "")
    for name in here:
        if found:
            said = found[name.lower()]
            notes[name] = _note(said["fault"] or said["holds"], bad=bool(said["fault"]))
        elif len(here) == 1:
            notes[name] = _note(fault, bad=True)
    both = len(here) == 2
    waiting = [name for name in notes if name not in here or notes[name]["bad"]]
    comparison = found["comparison"] if found else None
    drawn = {"comparison": comparison, "waiting": waiting, "error": fault if both and fault else None}
    return [notes["A"], notes["B"], drawn]


def _compared(backend: Backend, a: str | None, b: str | None, visitor: Visitor) -> tuple[dict[str, Any] | None, str]:
    """Return what the backend found, or why it found nothing."""
    try:
        return backend.compare(a, b, visitor), ""
    except BadInput as error:
        return None, str(error)
    except Exception:
        log.exception("files could not be compared")
        return None, ACCIDENT


def _note(text: str, *, bad: bool) -> dict[str, Any]:
    """Make what the element under an input draws."""
    return {"text": text, "bad": bad}


def add_compare_tab(backend: Backend) -> None:
    """Add the tab's content to the Blocks that is being built."""
    with gr.Column(elem_id="kv-compare"):
        with gr.Row(elem_id="kv-files"):
            (file_a, note_a), (file_b, note_b) = _input("A", "the reference"), _input("B", "against A")
        drawing = drawn("compare", value=NOTHING, elem_id="kv-comparison", facts=TERMS)

    def on_change(path_a: str | None, path_b: str | None, request: gr.Request) -> list[dict[str, Any]]:
        return look(backend, path_a, path_b, visitor_of(request))

    gr.on(
        [file_a.change, file_b.change], on_change, inputs=[file_a, file_b], outputs=[note_a, note_b, drawing],
        trigger_mode="always_last", concurrency_limit=IN_LINE, **PRIVATE,
    )  # fmt: skip


def _input(name: str, role: str) -> tuple[gr.File, gr.HTML]:
    """Make a place to drop a file, and the sentence under it."""
    with gr.Column(min_width=260, elem_classes="kv-file"):
        # No `file_types`: Gradio would answer with a message that goes away, and nothing under the input.
        file = gr.File(label=f"{name} · {role} (JSON, up to {LIMIT})", height=56, elem_id=f"kv-file-{name.lower()}")
        return file, drawn("fileNote", value=NO_FILE, elem_id=f"kv-note-{name.lower()}")
