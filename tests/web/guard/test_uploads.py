"""What may be uploaded in an hour, by all visitors and by one."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from kvdemo.web.gradio_patches.few_files import MOST_FILES
from kvdemo.web.guard import uploads
from tests.web.guard.test_protection import client, upload


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    return tmp_path


def test_all_visitors_share_an_upload_quota() -> None:
    with client(uploaded_bytes=3000) as visitor:
        codes = [upload(visitor, 1000).status_code for _ in range(6)]
    assert codes[0] == 200
    assert codes[-1] == 429
    assert codes == sorted(codes)


def test_one_address_leaves_room_for_the_uploads_of_others() -> None:
    with client(uploaded_bytes=8000) as visitor:
        one, other = (TestClient(visitor.app, client=(f"203.0.113.{number}", 5)) for number in (1, 2))
        assert [upload(one, 1000).status_code for _ in range(4)] == [200, 200, 429, 429]
        assert upload(other, 1000).status_code == 200


def test_an_upload_that_is_announced_and_does_not_come_takes_no_room() -> None:
    announced = {"content-type": "multipart/form-data; boundary=b", "content-length": "9000"}
    with client(uploaded_bytes=5000) as visitor:
        visitor.post("/gradio_api/upload", content=b"--b", headers=announced)
        assert upload(visitor, 1000).status_code == 200


def test_the_upload_quota_is_per_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.monotonic()
    with client(uploaded_bytes=1000) as visitor:
        assert [upload(visitor, 1000).status_code for _ in range(2)] == [200, 429]
        monkeypatch.setattr(uploads.time, "monotonic", lambda: now + 3700)
        assert upload(visitor, 1000).status_code == 200


def test_many_files_in_one_upload_are_refused_and_none_is_left(own_folder: Path) -> None:
    with client() as visitor:
        assert upload(visitor, 1, MOST_FILES).status_code == 200
        kept = set(own_folder.rglob("*"))
        refused = upload(visitor, 1, MOST_FILES + 1)
        assert (refused.status_code, str(MOST_FILES) in refused.text) == (400, True)
        assert set(own_folder.rglob("*")) == kept


def test_many_small_uploads_fill_the_hour_as_a_large_one_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "MOST_UPLOADS", 8)
    with client() as visitor:
        one, other = (TestClient(visitor.app, client=(f"203.0.113.{number}", 5)) for number in (1, 2))
        assert [upload(one, 1).status_code for _ in range(4)] == [200, 200, 429, 429]
        assert upload(other, 1).status_code == 200
        assert [upload(visitor, 1).status_code for _ in range(6)] == [200] * 5 + [429]
