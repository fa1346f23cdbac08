"""What a Space is sent: the committed files, with an address for its picture, and nothing that lies about."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.serving import ROOT

pytestmark = pytest.mark.slow

SCRIPT = Path("scripts/to_space.sh")
#: What lies in the Space from before: Hugging Face's own file, one that is still there, and one that is not.
BEFORE = (".gitattributes", "README.md", "old.py")


class Hub:
    """Stands in for the Hub: takes one commit to a Space."""

    def __init__(self) -> None:
        self.token = ""
        self.files: dict[str, bytes] = {}
        self.deleted: list[str] = []
        self.said = ""

    def answer(self, path: str, body: bytes) -> Any:
        if path.endswith("/repos/create"):
            return {"url": "https://huggingface.co/spaces/owner/name", "id": "owner/name", "name": "owner/name"}
        if "/preupload/" in path:
            asked = json.loads(body)["files"]
            return {"files": [{"path": one["path"], "uploadMode": "regular", "shouldIgnore": False} for one in asked]}
        if "/tree/" in path or "/revision/" in path or path.endswith("/spaces/owner/name"):
            listed = [{"type": "file", "path": name, "rfilename": name, "oid": "0", "size": 1} for name in BEFORE]
            return listed if "/tree/" in path else {"id": "owner/name", "sha": "0" * 40, "siblings": listed}
        if "/commit/" in path:
            self._commit([json.loads(line) for line in body.splitlines()])
            url = "https://huggingface.co/spaces/owner/name/commit/1"
            return {"success": True, "commitOid": "1" * 40, "commitUrl": url}
        return {}

    def _commit(self, lines: list[dict[str, Any]]) -> None:
        for line in lines:
            value = line["value"]
            match line["key"]:
                case "header":
                    self.said = value["summary"]
                case "file":
                    self.files[value["path"]] = base64.b64decode(value["content"])
                case "deletedFile":
                    self.deleted.append(value["path"])


@pytest.fixture
def hub() -> Iterator[tuple[Hub, str]]:
    found = Hub()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            if "/commit/" in self.path:
                found.token = self.headers.get("Authorization", "")
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            content = json.dumps(found.answer(self.path.partition("?")[0], body)).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        def do_GET(self) -> None:
            self.do_POST()

        def do_HEAD(self) -> None:
            self.do_POST()

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield found, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A repository like this one, with a file that nobody has committed."""
    folder = tmp_path / "clone"
    for name in (str(SCRIPT), "README.md", "app.py", ".github/thumbnail.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes((ROOT / name).read_bytes())
    (folder / SCRIPT).chmod(0o755)
    who = ["-c", "user.name=somebody", "-c", "user.email=somebody@example.org"]
    for command in (["init", "-q"], ["add", "."], [*who, "commit", "-q", "-m", 'Say it\'s "new"']):
        subprocess.run(["git", *command], cwd=folder, check=True)
    (folder / "secrets.env").write_text("HF_TOKEN=1")
    return folder


def test_the_workflow_pushes_the_committed_files_to_the_space(
    hub: tuple[Hub, str], clone: Path, tmp_path: Path
) -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/space.yml").read_text("utf-8"))
    settings = {
        "HF_TOKEN": "hf_write", "SPACE": "owner/name", "HF_ENDPOINT": hub[1], "HF_HUB_DISABLE_XET": "1",
        "HOME": str(tmp_path), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }  # fmt: skip
    push = workflow["jobs"]["push"]["steps"][-1]["run"]
    done = subprocess.run(
        ["bash", "-e", "-c", push], cwd=clone, env=os.environ | settings, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    sent = hub[0]
    assert sent.token == f"Bearer {settings['HF_TOKEN']}"
    assert sent.files.keys() == {str(SCRIPT), "README.md", "app.py", ".github/thumbnail.png"}
    assert sent.deleted == ["old.py"]
    assert sent.said == 'Say it\'s "new"'
    front = yaml.safe_load(sent.files["README.md"].decode().split("---\n")[1])
    assert front.pop("thumbnail") == "https://huggingface.co/spaces/owner/name/resolve/main/.github/thumbnail.png"
    assert front == yaml.safe_load((ROOT / "README.md").read_text("utf-8").split("---\n")[1])


def test_the_push_script_refuses_to_run_without_a_space_name() -> None:
    done = subprocess.run(["bash", SCRIPT], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "name the Space" in done.stderr


def test_the_link_preview_picture_has_the_right_format_and_size() -> None:
    picture = (ROOT / ".github/thumbnail.png").read_bytes()
    assert len(picture) < 200_000
    assert picture[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = (int.from_bytes(picture[at : at + 4], "big") for at in (16, 20))
    assert width >= 1200
    assert 1.8 < width / height < 2  # as cards of links are: 1200 by 648 or 630
