"""Count the passes that panels take, and press Stop in one of them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch.nn.modules.module import register_module_forward_hook

from kvdemo.core.settings.inside import InsideRequest
from kvdemo.inside import session
from kvdemo.inside.cached_attention import CachedAttention
from kvdemo.models.loaded import LoadedModel


@contextmanager
def passes_of(model: LoadedModel, stop: threading.Event, at: int) -> Iterator[list[None]]:
    """Count the passes through the model, its copies and the attention from scratch; press Stop in one of them."""
    counted: list[None] = []

    def count(module: Any, *_: Any) -> None:
        if isinstance(module, (type(model.network), CachedAttention)):
            counted.append(None)
            if len(counted) == at:
                stop.set()

    hook = register_module_forward_hook(count)
    try:
        yield counted
    finally:
        hook.remove()


def run(model: LoadedModel, panels: str, *, stop_in: int = 0, **settings: Any) -> tuple[dict[str, Any], int]:
    """A document, and the passes that it took. Stop is pressed in one of them; in none where it is 0."""
    stop = threading.Event()
    request = InsideRequest.parse({"prompt": "The quick brown fox", "panels": panels, "max_new_tokens": 3} | settings)
    with passes_of(model, stop, stop_in) as passes:
        document = session.run(request, model, lambda _: None, stop)
    return document, len(passes)
