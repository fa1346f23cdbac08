"""Time the start: until the page is there, and until a race can begin.

The limit of the page is Gradio's own import, which is most of it; torch is imported behind the page, and Gradio
without its type stubs (`kvdemo.web.gradio_patches.without_stubs`). The limit of loading is reading the weights once.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from statistics import median

from benchmarks.figure import Figure
from tests.serving import ROOT, served

ROUNDS = 3
LOAD = """
import time
from kvdemo.models.loading import load
from kvdemo.models.names import catalog
from kvdemo.models.sources import find
import transformers.models.llama.modeling_llama, transformers.modeling_utils
find(catalog.DEFAULT, lambda _: None)
start = time.perf_counter()
load(catalog.DEFAULT, device="cpu")
print(time.perf_counter() - start)
"""


def python(code: str) -> tuple[float, str]:
    """Run `code` in a fresh Python; return its seconds and what it printed."""
    start = time.perf_counter()
    out = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return time.perf_counter() - start, out


def page_up() -> float:
    """Measure the seconds from `python app.py` to the page's first answer."""
    start = time.perf_counter()
    with served():
        return time.perf_counter() - start


def run() -> Iterator[Figure]:
    """Return medians of fresh processes; the first one, which may compile bytecode, is not counted."""
    python("import kvdemo")
    imports = [python("import kvdemo")[0] - python("pass")[0] for _ in range(ROUNDS)]
    yield Figure("import kvdemo, beyond Python's own start", median(imports), "s", 0.3)
    page_up()
    yield Figure("python app.py to the page's first answer", median(page_up() for _ in range(ROUNDS)), "s", 5)
    gradio = [python("import gradio")[0] for _ in range(ROUNDS)]
    yield Figure("(for reference) import gradio, as it comes", median(gradio), "s")
    loads = [float(python(LOAD)[1]) for _ in range(ROUNDS)]
    yield Figure("converted default model to memory, libraries imported", median(loads), "s", 3)
