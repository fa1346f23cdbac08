"""Stop Gradio from polling while there is nothing to do, and from counting what nobody reads.

Decoding shares the processor, and Python's one interpreter lock, with the server. By default the server looks for new
events a thousand times a second. On two cores that alone makes a step of decoding 9 % slower, whether a page is open or
not. The page has a loop of its own, which frontend/shell/idle.js ends.

With each event that ends, Gradio makes a table of the latest ten thousand, for a summary that this server shows nobody.
It takes 20 ms.
"""

from __future__ import annotations

import gradio as gr

#: Between two looks for a new event: Gradio's own interval on Windows. A click may wait as long.
LOOK_SECONDS = 0.05
#: Between two looks for progress bars, of which this page has none.
PROGRESS_SECONDS = 0.5


def quieten(blocks: gr.Blocks) -> gr.Blocks:
    """Let the server of `blocks`, whose queue is configured, sleep while there is nothing to do, and list no events."""
    # Gradio has no public setting for it; tests/web/gradio_patches/test_quiet.py counts what it brings.
    queue = blocks._queue
    queue.sleep_when_free = LOOK_SECONDS
    queue.progress_update_sleep_when_free = PROGRESS_SECONDS
    queue.ANALYTICS_MAX_EVENTS = 0
    return blocks
