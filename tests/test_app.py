"""How the app is started: flags set Gradio's variables, and what opens it to others closes folders."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import httpx
import pytest
import uvicorn
from starlette.requests import Request

from kvdemo import __main__ as command
from kvdemo import app, space
from kvdemo.core.visitor import Visitor
from kvdemo.web.run_streams import visitor_of
from tests.server.downloads.test_runs import wait_until
from tests.serving import ROOT, served
from tests.web.loops import in_a_loop


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    switches = ["GRADIO_SHARE", "KVDEMO_LOG", "SPACE_ID", "KVDEMO_METRICS", "KVDEMO_MCP"]
    names = [*(name for name, _, _ in app.FLAGS.values()), *switches]
    for name in names:
        monkeypatch.setenv(name, "")  # put back after the test
        del os.environ[name]


def test_flags_override_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADIO_SERVER_PORT", "1")
    app.read_flags([])
    assert os.environ["GRADIO_SERVER_PORT"] == "1"
    app.read_flags(["--port", "7999", "--host", "0.0.0.0", "--root-path", "/kvdemo"])  # noqa: S104 - a flag
    app.read_flags(["--log-json"])
    assert os.environ["KVDEMO_LOG"] == "json"
    values = [os.environ[name] for name, _, _ in app.FLAGS.values()]
    assert values == ["0.0.0.0", "7999", "/kvdemo"]  # noqa: S104


@pytest.mark.parametrize(
    ("flags", "public"),
    [([], False), (["--host", "127.0.0.1"], False), (["--host", "0.0.0.0"], True), (["--share"], True),  # noqa: S104
     (["--root-path", "/kvdemo"], True)],
)  # fmt: skip
def test_a_server_that_others_can_reach_is_public(flags: list[str], public: bool) -> None:
    app.read_flags(flags)
    assert app.is_public() is public


@pytest.mark.parametrize("flags", [[], ["--share"]])
@pytest.mark.parametrize("link", [None, "https://a.example"])
def test_a_public_link_that_could_not_be_made_is_told(
    flags: list[str], link: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    """Gradio takes back that one was asked for, where it makes none."""
    app.read_flags(flags)
    launched: Any = SimpleNamespace(launch=lambda **_: None, share_url=link, share=bool(link), local_url="http://here")
    app.launch(launched, {})
    missing = bool(flags) and link is None
    assert capsys.readouterr().out == ("There is no public link. " if missing else "") + "The page is at http://here\n"


def test_an_invalid_limit_ends_the_start_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KVDEMO_MAX_TOKENS", "many")
    with pytest.raises(SystemExit, match="kvdemo: KVDEMO_MAX_TOKENS must be a whole number"):
        app.main([])


def test_the_script_of_a_space_takes_the_flags_of_the_command() -> None:
    command = [sys.executable, "app.py", "--prot", "1"]
    refused = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    assert refused.returncode == 2
    assert "unrecognized arguments: --prot 1" in refused.stderr


def test_the_start_says_where_the_page_is(tmp_path: Path) -> None:
    with served({"KVDEMO_MODEL": str(tmp_path)}, log=tmp_path / "log") as url:
        wait_until(lambda: f"The page is at {url}" in (tmp_path / "log").read_text())


def test_kvdemo_without_a_command_opens_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[list[str]] = []
    monkeypatch.setattr(app, "main", opened.append)
    assert command.main([]) == command.main(["--port", "8000"]) == 0
    assert opened == [[], ["--port", "8000"]]
    assert command.main(["race"]) == 2
    assert len(opened) == 2


def test_metrics_without_prometheus_client_end_the_start_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    monkeypatch.delitem(sys.modules, "kvdemo.server.observing.metrics", raising=False)
    with pytest.raises(SystemExit, match="kvdemo: --metrics needs prometheus-client"):
        app.main(["--metrics"])


def test_an_invalid_switch_ends_the_start_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KVDEMO_METRICS", "yes")
    with pytest.raises(SystemExit, match="kvdemo: KVDEMO_METRICS must be 1 or 0, not 'yes'"):
        app.main([])


def test_mcp_tools_without_their_package_end_the_start_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(SystemExit, match="kvdemo: --mcp needs the package mcp"):
        app.main(["--mcp"])


@pytest.mark.parametrize("named", ["", "of/the operator"])
def test_visitors_files_are_kept_in_a_folder_that_is_closed_to_other_users(
    named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / named) if named else "")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    folder = app.keep_files_apart()
    assert folder
    assert os.environ["GRADIO_TEMP_DIR"] == str(folder.path)
    assert folder.path.parent == tmp_path / named
    assert folder.path.stat().st_mode & 0o077 == 0
    folder.close()
    assert list((tmp_path / named).iterdir()) == []


def test_the_server_removes_within_the_hour_what_gradio_left_of_uploads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What another program wrote into a folder that the operator names stays."""
    (tmp_path / "another").write_text("")
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    folder = app.keep_files_apart()
    assert folder
    left = folder.path / "tmpa"
    left.write_text("")
    slept = [0.0]

    def sleep(seconds: float) -> None:
        slept.append(slept[-1] + seconds)
        if slept[-1] > 3600:
            raise KeyboardInterrupt

    monkeypatch.setattr(app.time, "sleep", sleep)
    monkeypatch.setattr("kvdemo.core.system.temporary.time.monotonic", lambda: slept[-1])
    with pytest.raises(KeyboardInterrupt):
        app.tidy(folder)
    assert not left.exists()
    folder.close()
    assert [path.name for path in tmp_path.iterdir()] == ["another"]


@pytest.mark.slow
def test_a_server_that_is_ended_while_it_starts_leaves_no_file_behind(tiny_folder: Path, tmp_path: Path) -> None:
    settings = {"KVDEMO_MODEL": str(tiny_folder), "TMPDIR": str(tmp_path), "GRADIO_TEMP_DIR": ""}
    program = subprocess.Popen([sys.executable, "app.py"], cwd=ROOT, env=os.environ | settings)
    wait_until(lambda: any(tmp_path.glob("kvdemo-temporary-*/*")))
    time.sleep(0.2)  # it has begun to build the page
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM):  # an impatient operator
        program.send_signal(number)
        time.sleep(0.1)
    assert program.wait(60) == 0
    assert list(tmp_path.glob("kvdemo-temporary-*")) == []


@pytest.mark.slow
def test_a_port_that_is_taken_is_not_exchanged_for_another(tiny_folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        environment = os.environ | {"KVDEMO_MODEL": str(tiny_folder)}
        ended = subprocess.run(
            [sys.executable, "-m", "kvdemo", "--port", port], cwd=ROOT, env=environment, check=False, timeout=60,
            capture_output=True, text=True,
        )  # fmt: skip
    assert ended.returncode == 1
    assert f"kvdemo: It cannot listen on port {port}: end what listens there" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.slow
def test_another_users_folder_of_gradio_stops_no_upload_and_nothing_is_left_behind(
    tiny_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "gradio").write_text("where this program may make nothing")
    settings = {"KVDEMO_MODEL": str(tiny_folder), "TMPDIR": str(tmp_path), "GRADIO_TEMP_DIR": ""}
    with served(settings) as url:
        answer = httpx.post(f"{url}gradio_api/upload", files={"files": ("a.json", b"{}", "application/json")})
        assert answer.status_code == 200, answer.text
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("kvdemo-")] == []


@pytest.mark.parametrize(
    ("id_of_space", "peer", "forwarded", "address"),
    [
        ("owner/name", "10.16.3.80", "203.0.113.7", "203.0.113.7"),
        # What the visitor's browser claims stands before what the proxies add.
        ("owner/name", "10.16.3.80", "198.51.100.1, 203.0.113.7, 10.20.1.2", "203.0.113.7"),
        ("owner/name", "203.0.113.9", "198.51.100.1", "203.0.113.9"),
        ("", "10.16.3.80", "198.51.100.1", "10.16.3.80"),
        ("", "192.168.1.5", "198.51.100.1", "192.168.1.5"),
    ],
)
def test_visitor_addresses_are_taken_from_the_proxy_of_a_space_and_cannot_be_forged(
    monkeypatch: pytest.MonkeyPatch, id_of_space: str, peer: str, forwarded: str, address: str
) -> None:
    for name in ("FORWARDED_ALLOW_IPS", "SPACE_ID"):
        monkeypatch.setenv(name, "")  # put back after the test
        del os.environ[name]
    if id_of_space:
        monkeypatch.setenv("SPACE_ID", id_of_space)
    space.trust_proxy()
    assert _address_seen(peer, forwarded) == address


def test_only_proxies_named_by_the_operator_are_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPACE_ID", "owner/name")
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "192.0.2.1")
    space.trust_proxy()
    assert _address_seen("10.16.3.80", "203.0.113.7") == "10.16.3.80"
    assert _address_seen("192.0.2.1", "203.0.113.7") == "203.0.113.7"


def _address_seen(peer: str, forwarded: str) -> str:
    """Whom the page takes for the visitor, in uvicorn as Gradio starts it: with nothing said of proxies."""
    seen: list[Visitor] = []

    async def page(scope: Any, receive: Any, send: Any) -> None:  # noqa: ARG001
        seen.append(visitor_of(gr.Request(Request(scope))))

    config = uvicorn.Config(page)
    config.load()
    scope = {"type": "http", "client": (peer, 4242), "headers": [(b"x-forwarded-for", forwarded.encode())]}
    in_a_loop(config.loaded_app(scope, None, None))
    return seen[0].address
