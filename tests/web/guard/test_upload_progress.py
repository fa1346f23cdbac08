"""Uploads are not counted: nothing of them is kept, and nobody keeps the server looking."""

from __future__ import annotations

import gc

from gradio.route_utils import FileUploadProgress

from tests.web.guard.test_protection import client


def _names_kept() -> int:
    counters = [one for one in gc.get_objects() if type(one) is FileUploadProgress]
    return sum(len(value) for one in counters for value in vars(one).values())


def test_uploads_and_questions_about_them_leave_nothing_behind() -> None:
    with client() as visitor:
        before = _names_kept()
        for number in range(5):
            files = {"files": ("a.json", b"{}", "application/json")}
            assert visitor.post(f"/gradio_api/upload?upload_id=a{number}", files=files).status_code == 200
            answer = visitor.get(f"/gradio_api/upload_progress?upload_id=b{number}")
            assert answer.text == 'data: {"msg": "done"}\n\n'
            assert answer.headers["content-type"].startswith("text/event-stream")
        assert _names_kept() == before
