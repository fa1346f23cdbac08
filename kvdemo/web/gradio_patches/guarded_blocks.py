"""Refuse values that Gradio cannot read in one sentence, which by itself it does with a traceback and no word."""

from __future__ import annotations

import logging
from typing import Any

import gradio as gr
from gradio.block_function import BlockFunction
from gradio.state_holder import SessionState
from gradio_client.utils import is_http_url_like

from kvdemo.web.guard import unreadable

log = logging.getLogger(__name__)

#: Set in what a web server knows of a request (its scope) whose event was refused.
REFUSED = "kvdemo.refused"
UNREADABLE = "What was sent does not fit this event: reload the page. Programs see what it takes at gradio_api/info."
ACCIDENT = "Something went wrong on the server, and this could not be done: try again."


class GuardedBlocks(gr.Blocks):
    """Blocks whose events answer with a sentence whatever they are sent."""

    async def preprocess_data(
        self, block_fn: BlockFunction, inputs: list[Any], state: SessionState | None, explicit_call: bool = False
    ) -> list[Any]:
        """Read the values of an event. Raises `gr.Error` for those that cannot be read."""
        try:
            if _is_elsewhere(inputs):
                raise ValueError("a file of another server, which Gradio would fetch")
            return list(await super().preprocess_data(block_fn, inputs, state, explicit_call))
        except Exception as error:
            unreadable.note(f"what was sent to {block_fn.name}", error)
            raise gr.Error(UNREADABLE, print_exception=False) from error

    async def process_api(
        self,
        block_fn: BlockFunction | int,
        inputs: list[Any],
        state: Any = None,
        request: Any = None,
        *more: Any,
        **named: Any,
    ) -> dict[str, Any]:
        """Run an event for one request. Raises `gr.Error` and nothing else."""
        asking = request[0] if isinstance(request, list) else request  # a list is sent as one of a batch; there is none
        try:
            if isinstance(block_fn, BlockFunction) and block_fn.fn is None:
                raise gr.Error(UNREADABLE)  # the browser's alone
            return await super().process_api(block_fn, inputs, state, asking, *more, **named)
        except Exception as error:
            if asking is not None and asking.request is not None:
                asking.request.scope[REFUSED] = True
            if isinstance(error, gr.Error):
                error.print_exception = False
                raise
            log.exception("an event failed")
            raise gr.Error(ACCIDENT, print_exception=False) from error


def _is_elsewhere(value: Any) -> bool:
    """Tell whether a value holds a file, as Gradio writes one, whose place is an address."""
    if isinstance(value, list):
        return any(map(_is_elsewhere, value))
    if not isinstance(value, dict):
        return False
    return ("meta" in value and is_http_url_like(value.get("path"))) or any(map(_is_elsewhere, value.values()))
