"""A session keeps no description of the page, and knows what events wrote to its components as before."""

from __future__ import annotations

import gradio as gr
from gradio.state_holder import SessionState

from kvdemo.web.gradio_patches.light_sessions import lighten_sessions


def test_a_session_knows_its_components_and_describes_none() -> None:
    lighten_sessions()
    with gr.Blocks(analytics_enabled=False) as blocks:
        written, other = gr.Slider(0, 1), gr.Slider(0, 2)
    session = SessionState(blocks)
    session[written._id] = gr.Slider(0, 3)
    session._update_config(other._id)  # with each state that an event sends
    session._update_value_in_config(other._id, "a whole race")
    assert (session[written._id].maximum, session[other._id]) == (3, other)
    assert not list(session.components)
