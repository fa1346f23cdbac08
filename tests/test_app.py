"""How the app is started: flags set Gradio's variables, and what opens it to others closes folders."""

from __future__ import annotations

import os
import sys

import pytest

from kvdemo import __main__ as command
from kvdemo import app


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    switches = ["GRADIO_SHARE", "KVDEMO_LOG", "SPACE_ID", "KVDEMO_METRICS", "KVDEMO_MCP"]
    names = [*(name for name, _, _ in app.FLAGS.values()), *switches]
    for name in names:
        monkeypatch.setenv(name, "")  # put back after the test
        del os.environ[name]


def test_flags_come_before_the_environment_and_the_rest_stays(monkeypatch: pytest.MonkeyPatch) -> None:
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
def test_a_server_for_others_is_known_as_one(flags: list[str], public: bool) -> None:
    app.read_flags(flags)
    assert app.is_public() is public


def test_a_limit_that_is_none_ends_the_start_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KVDEMO_MAX_TOKENS", "many")
    with pytest.raises(SystemExit, match="kvdemo: KVDEMO_MAX_TOKENS must be a whole number"):
        app.main([])


def test_no_command_opens_the_page_and_a_command_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[list[str]] = []
    monkeypatch.setattr(app, "main", opened.append)
    assert command.main([]) == command.main(["--port", "8000"]) == 0
    assert opened == [[], ["--port", "8000"]]
    assert command.main(["race"]) == 2
    assert len(opened) == 2


def test_metrics_without_their_package_end_the_start_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    monkeypatch.delitem(sys.modules, "kvdemo.server.observing.metrics", raising=False)
    with pytest.raises(SystemExit, match="kvdemo: --metrics needs prometheus-client"):
        app.main(["--metrics"])


def test_a_switch_that_is_neither_on_nor_off_ends_the_start_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KVDEMO_METRICS", "yes")
    with pytest.raises(SystemExit, match="kvdemo: KVDEMO_METRICS must be 1 or 0, not 'yes'"):
        app.main([])


def test_tools_without_their_package_end_the_start_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(SystemExit, match="kvdemo: --mcp needs the package mcp"):
        app.main(["--mcp"])
