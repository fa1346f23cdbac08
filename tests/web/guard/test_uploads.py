"""What may be uploaded in an hour, by all visitors and by one."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from kvdemo.web.gradio_patches.few_files import MOST_FILES
from kvdemo.web.guard import uploads
from tests.web.guard.test_protection import client, upload
from tests.web.loops import in_a_loop


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


def test_addresses_that_upload_all_they_may_leave_room_for_the_next_one() -> None:
    with client(uploaded_bytes=40_000) as visitor:
        for number in range(5):
            one = TestClient(visitor.app, client=(f"203.0.113.{number}", 5))
            assert upload(one, 100).status_code == 200
            while upload(one, 1000).status_code == 200:
                pass
        assert upload(TestClient(visitor.app, client=("203.0.113.9", 5)), 1000).status_code == 200


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


def test_uploads_without_a_length_end_where_the_quota_does_though_all_began_before(own_folder: Path) -> None:
    parts = [b'--b\r\nContent-Disposition: form-data; name="files"; filename="a.json"\r\n\r\n', *[b"x" * 1000] * 5]

    async def sent(app: Any, all_began: asyncio.Barrier) -> int:
        body = iter([*parts, b"\r\n--b--\r\n"])
        codes: list[Any] = []

        async def receive() -> dict[str, Any]:
            part = next(body)
            if part is parts[0]:
                await all_began.wait()
            return {"type": "http.request", "body": part, "more_body": part != b"\r\n--b--\r\n"}

        async def send(message: dict[str, Any]) -> None:
            codes.append(message.get("status"))

        headers = [(b"host", b"127.0.0.1"), (b"content-type", b"multipart/form-data; boundary=b")]
        asked = {"type": "http", "method": "POST", "path": "/gradio_api/upload", "query_string": b"", "scheme": "http"}
        await app({**asked, "root_path": "", "headers": headers, "client": ("127.0.0.1", 5)}, receive, send)
        return int(codes[0])

    async def all_sent(app: Any) -> list[int]:
        all_began = asyncio.Barrier(10)
        return await asyncio.gather(*(sent(app, all_began) for _ in range(10)))

    with client(uploaded_bytes=10_000) as visitor:
        codes = in_a_loop(all_sent(visitor.app))
        assert 429 in codes
        assert set(codes) <= {200, 429}
    assert sum(path.stat().st_size for path in own_folder.rglob("*") if path.is_file()) <= 10_000


def test_an_ipv6_visitor_has_one_share_whichever_of_his_addresses_he_uses() -> None:
    with client(uploaded_bytes=8000) as visitor:
        own = [TestClient(visitor.app, client=(f"2001:db8:1:{number}::1", 5)) for number in range(3)]
        assert [upload(one, 1000).status_code for one in own] == [200, 200, 429]
        assert upload(TestClient(visitor.app, client=("2001:db8:2::1", 5)), 1000).status_code == 200
