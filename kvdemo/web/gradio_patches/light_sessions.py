"""Let Gradio keep no description of the page for each session.

With a session's first event Gradio describes each component of the page anew, and with each state that an event sends
the components that it writes to. Only links to a page's state (deep links) read that, which this page does not offer.
That would hold up everybody's requests for 30 ms, and keep a third of a megabyte, for each session and call of the API.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from gradio.state_holder import SessionState

_begin: Any = SessionState.__init__


def _begin_light(session: Any, blocks: Any) -> None:
    _begin(session, SimpleNamespace(default_config=blocks.default_config, blocks=()))
    session.blocks_config.config_for_block = _described


def _described(*_: Any) -> dict[str, Any]:
    return {}


def lighten_sessions() -> None:
    """Begin all sessions of this process so. Called again it changes nothing."""
    SessionState.__init__ = _begin_light  # type: ignore[method-assign, assignment]
