"""Compare the contents of two files, and say of each what it holds, or why it cannot be compared.

Each is read once, because reading is most of the work.
"""

from __future__ import annotations

from typing import Any

from kvdemo.compare.comparison import compare, lanes_and_runs
from kvdemo.compare.validation import Document, load
from kvdemo.core.errors import BadInput
from kvdemo.core.figures.units import count


def compare_files(a: str | None, b: str | None) -> dict[str, Any]:
    """Look at two files, given as JSON text, or at one where the other is None.

    Returns {"a", "b": {"holds", "fault"} or None, "comparison": of both, or None where there are no two documents}.
    """
    documents: list[Document | None] = []
    said: list[dict[str, str] | None] = []
    for text in (a, b):
        document, note = (None, None) if text is None else _look(text)
        documents.append(document)
        said.append(note)
    of_a, of_b = documents
    comparison = None if of_a is None or of_b is None else compare(of_a, of_b)
    return {"a": said[0], "b": said[1], "comparison": comparison}


def _look(text: str) -> tuple[Document | None, dict[str, str]]:
    try:
        document = load(text)
    except BadInput as error:
        return None, {"holds": "", "fault": str(error)}
    return document, {"holds": _holds(document), "fault": ""}


def _holds(document: Document) -> str:
    """Describe a document in a few words: its lanes, and how often they ran."""
    names, sizes = zip(*lanes_and_runs(document), strict=True)
    least, most = min(sizes), max(sizes)
    runs = count(most, "run") if least == most else f"{least:,} to {count(most, 'run')}"
    return f"{', '.join(names)} · {runs}{' each' if len(names) > 1 else ''}"
