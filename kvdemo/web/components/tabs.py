"""Put the tabs on the page: the first at once, parts of it once a run can be started, each other one when it is opened.

Gradio mounts nothing of a column that is not visible: no element, no script. What an event writes to a control in it is
kept for when it is mounted. The browser says which tab is opened (frontend/shell/tabs.js), and makes its column visible
without asking the server. A page with one more tab is therefore ready as soon as before.
"""

from __future__ import annotations

import gradio as gr

from kvdemo.web.components.element import drawn
from kvdemo.web.components.follow import PRIVATE


class Tabs:
    """The columns of the tabs by name, in the Blocks that is being built."""

    def __init__(self) -> None:
        self._columns: dict[str, gr.Column] = {}

    def add(self, name: str) -> gr.Column:
        """Add a tab's column, to be used as `with tabs.add(name):`. The first one added is mounted at once."""
        first = not self._columns
        self._columns[name] = gr.Column(elem_id=f"kv-tab-{name}", elem_classes="kv-tab", visible=first)
        return self._columns[name]

    def add_late(self, name: str) -> gr.Column:
        """Add a part of the first tab that is mounted once a run can be started: `with tabs.add_late(name):`."""
        self._columns[name] = gr.Column(elem_id=f"kv-late-{name}", elem_classes="kv-late", visible=False)
        return self._columns[name]

    def wire(self) -> None:
        """Add what mounts the others, once all have been added."""
        names = list(self._columns)[1:]
        mounter = drawn("mounter", value="", elem_id="kv-mounter", event="mount", facts=names, classes=["kv-unseen"])
        mounter.mount(
            fn=None, js="() => kvdemo.tell('columnsToShow')", outputs=[self._columns[name] for name in names], **PRIVATE
        )  # fmt: skip
