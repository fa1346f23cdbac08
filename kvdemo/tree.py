"""The texts that a search kept, level by level, in the shape of the document."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kvdemo.core import TimedStep
from kvdemo.models.text import TextStream


def of(steps: Sequence[TimedStep], prompt: TextStream) -> list[list[dict[str, Any]]]:
    """A level for each token of the search, best text first; [] for a lane that does not search.

    Each entry has `parent`, the place in the level before (0 in the first: the prompt), `token`, `text`, `logprob`, and
    `score`, the sum of log-probabilities from the prompt on. `prompt` gives the text of the first token.
    """
    streams, found = [prompt], []
    for level in (level for timed in steps for level in timed.step.levels):
        streams = [streams[twig.parent].branch() for twig in level]
        found.append(
            [
                {
                    "parent": twig.parent,
                    "token": twig.token,
                    "text": stream.push(twig.token),
                    "logprob": twig.logprob,
                    "score": twig.score,
                }
                for stream, twig in zip(streams, level, strict=True)
            ]
        )
    return found
