"""Write the files to download: the JSON document, and the same as tables, and offer them with buttons."""

from __future__ import annotations

import json
import logging
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.components import Component

log = logging.getLogger(__name__)

#: A longer document comes in one line: only Python's slow writer indents, with no turn for anybody else's answer.
INDENTED_CHARACTERS = 1_000_000
NOT_WRITTEN = "The server's disk takes no files now, so there is nothing to download. What the page shows is whole."


def offer(
    buttons: Mapping[str, gr.DownloadButton], document: Mapping[str, Any], tables: Mapping[str, str]
) -> dict[Component, Any]:
    """Return the buttons, by their files' suffix, as they offer the document; none, and a word, on a full disk."""
    try:
        with tempfile.TemporaryDirectory() as folder:
            paths = write(document, tables, Path(folder))
            # Gradio would copy them after the event, when a failure could no longer be reported.
            kept = {suffix: button.move_resource_to_block_cache(paths[suffix]) for suffix, button in buttons.items()}
    except OSError as error:
        log.warning("the files to download could not be written: %s", error)
        gr.Warning(NOT_WRITTEN)
        return {}
    return {button: gr.DownloadButton(value=kept[suffix], visible=True) for suffix, button in buttons.items()}


def write(document: Mapping[str, Any], tables: Mapping[str, str], folder: Path) -> dict[str, Path]:
    """Write the document and its tables into `folder`, named after the model that ran.

    `tables` has each text by its file's suffix; the answer has each path, and the document's as "json".
    """
    model = str((document.get("model") or {}).get("id", "model")).rstrip("/").rsplit("/", 1)[-1]
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", model).strip("-.")[:60] or "model"
    stem = f"kvdemo-{'measure-' if document.get('kind') == 'measure' else ''}{name}"
    text = json.dumps(document, ensure_ascii=False, default=str)
    if len(text) < INDENTED_CHARACTERS:
        text = json.dumps(document, ensure_ascii=False, indent=1, default=str)
    texts = {"json": text, **tables}
    paths = {suffix: folder / f"{stem}.{suffix}" for suffix in texts}
    for suffix, text in texts.items():
        paths[suffix].write_text(text, encoding="utf-8", errors="replace", newline="")
    return paths
