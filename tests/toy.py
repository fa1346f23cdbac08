"""A strategy as somebody would add it: one file, here in a package of its own, in place of kvdemo/strategies/."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kvdemo import strategies
from kvdemo.strategies import StrategyInfo

REFRESH = '''
"""Refresh: a cache that is thrown away every few tokens."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from transformers import DynamicCache

from kvdemo.core.types import Step
from kvdemo.models.network.forward import cache_bytes, next_token_logits
from kvdemo.strategies.base import Job, Strategy, option


class Refresh(Strategy):
    """Reads the whole text again every few tokens, with an empty cache.

    Nobody needs that. It costs as little as a cache where it is told to do it seldom, and as much as none where often.
    """

    id = "refresh"
    name = "Refresh"
    summary = "Throws its cache away every few tokens."
    lossless = True

    every: int = option(4, "Every", "Tokens that are written before all is read again.", low=1, high=64)
    between: str = option("cache", "Between", "What is read for the others.", choices=("cache", "all"))

    @torch.inference_mode()
    def decode(self, job: Job) -> Iterator[Step]:
        ids = job.encode("")
        while True:
            cache = DynamicCache(config=job.model.network.config)
            new_ids = list(ids)
            for _ in range(self.every if self.between == "cache" else 1):
                choice = job.choose(next_token_logits(job.model, new_ids, cache))
                yield Step((choice,), positions=len(new_ids), cache_bytes=cache_bytes(cache))
                ids.append(choice.token)
                new_ids = [choice.token]
'''


@contextmanager
def package(folder: Path, **files: str) -> Iterator[None]:
    """An importable package of these files, each by its name; it is forgotten at the end."""
    (folder / "toys").mkdir()
    for name, source in {"__init__": "", **files}.items():
        (folder / "toys" / f"{name}.py").write_text(source, encoding="utf-8")
    sys.path.insert(0, str(folder))
    try:
        importlib.import_module("toys")
        yield
    finally:
        sys.path.remove(str(folder))
        for name in [name for name in sys.modules if name.split(".")[0] == "toys"]:
            del sys.modules[name]


@contextmanager
def added(folder: Path, monkeypatch: pytest.MonkeyPatch, source: str = REFRESH) -> Iterator[StrategyInfo]:
    """The strategy of one file, known to all that look for strategies."""
    known = strategies.introductions()
    with package(folder, added=source):
        (introduction,) = strategies.discover("toys").values()
        monkeypatch.setattr(strategies, "introductions", lambda: known | {introduction.id: introduction})
        yield introduction
