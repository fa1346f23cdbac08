"""Files to download are offered where they can be written, and a full disk costs nothing but them."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import gradio as gr
import pytest

from kvdemo.web.components import downloads

DOCUMENT = {"model": {"id": "someone/a model"}, "lanes": []}


@pytest.fixture
def buttons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, gr.DownloadButton]:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    return {suffix: gr.DownloadButton(suffix) for suffix in ("json", "csv")}


def test_each_button_has_its_file_where_gradio_serves_it(buttons: dict[str, gr.DownloadButton], tmp_path: Path) -> None:
    offered = downloads.offer(buttons, DOCUMENT, {"csv": "a,b\n"})
    paths = {suffix: Path(offered[button].value["path"]) for suffix, button in buttons.items()}
    assert all(path.is_relative_to(tmp_path) for path in paths.values())
    assert paths["csv"].name == "kvdemo-a-model.csv"
    assert paths["csv"].read_text() == "a,b\n"


def test_on_a_full_disk_no_download_is_offered_and_a_notice_says_why(
    buttons: dict[str, gr.DownloadButton], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    said: list[str] = []
    monkeypatch.setattr(Path, "write_text", full)
    monkeypatch.setattr(gr, "Warning", said.append)
    assert downloads.offer(buttons, DOCUMENT, {"csv": "a,b\n"}) == {}
    assert said == [downloads.NOT_WRITTEN]
