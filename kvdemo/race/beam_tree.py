"""Convert the texts that a search kept, level by level, to the document's form."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from kvdemo.core.types import TimedStep
from kvdemo.models.text.detokenizer import TextStream


def to_document(steps: Sequence[TimedStep], answer: TextStream) -> list[list[dict[str, Any]]]:
    """List a level for each token of the search, best text first; [] for a lane that does not search.

    Each entry has `parent`, the place in the level before (0 in the first: the prompt), `token`, `text`, `logprob`, and
    `score`, the sum of log-probabilities from the prompt on. `answer` is a stream in which nothing was written yet.
    """
    streams = [answer]
    found: list[list[dict[str, Any]]] = []
    for level in (level for timed in steps for level in timed.step.levels):
        branches = [streams[node.parent].branch() for node in level]
        texts = [branch.push(node.token) for branch, node in zip(branches, level, strict=True)]
        _end(streams, found, {node.parent for node in level})
        streams = branches
        found.append(
            [
                {"parent": node.parent, "token": node.token, "text": text, "logprob": node.logprob, "score": node.score}
                for node, text in zip(level, texts, strict=True)
            ]
        )
    _end(streams, found)
    return found


def _end(streams: Sequence[TextStream], found: list[list[dict[str, Any]]], parents: Collection[int] = ()) -> None:
    """Write out what the texts of the last level were waiting for, but for those that go on."""
    for place, stream in enumerate(streams if found else ()):
        if place not in parents:
            found[-1][place]["text"] += stream.flush()
