"""The whole page on a backend that a test has written down: what the page does, without an engine's time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from kvdemo.web.page import build, launch_options
from tests.web.scripted_backend import ScriptedBackend


@contextmanager
def scripted_page(script: ScriptedBackend) -> Iterator[str]:
    """The address of the page."""
    blocks = build(script)
    _, url, _ = blocks.launch(prevent_thread_lock=True, quiet=True, **launch_options())
    try:
        yield url
    finally:
        blocks.close()
