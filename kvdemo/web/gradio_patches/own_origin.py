"""Let no page of another website read what the server answers.

Gradio lets all of them, unless the server is asked under a local name. What they may ask for is another matter
(`guard/other_sites.py`): an answer to what changes nothing tells of the server, too.
"""

from __future__ import annotations

import gradio as gr
from gradio.route_utils import CustomCORSMiddleware


def for_its_own_origin(blocks: gr.Blocks) -> gr.Blocks:
    """Have the server of `blocks` name no website to browsers as one whose pages may read its answers."""
    # Gradio has no setting for it; tests/web/guard/test_other_sites.py holds it.
    CustomCORSMiddleware.is_valid_origin = lambda *_: False  # type: ignore[method-assign]
    return blocks
