"""The page behind a real nginx, with the configuration that docs/deploy.md shows, under a path of its own."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from kvdemo.server.engine_process.backend import KEPT_SECONDS
from kvdemo.web.tabs.compare import MOST_BYTES
from tests.serving import ROOT, free_port, served, wait_for

from .actions import race
from .conftest import Visit

NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(NGINX is None, reason="no nginx")]

#: Long enough that it still runs when its first event has come.
LONG = {"prompt": "Hi", "max_new_tokens": 1500, "strategies": ["no_cache"], "chat": False, "ignore_eos": True}
MEASURED = {"prompt": "Hi", "max_new_tokens": 300, "strategies": ["no_cache"], "chat": False, "repeats": 5, "warmup": 1}
#: What a server needs around the location, so that it runs for anybody and writes to one folder only.
AROUND = """
daemon off;
pid {folder}/pid;
error_log stderr;
{user}
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        {location}
    }}
}}
"""


@dataclass(frozen=True)
class Site:
    """The addresses of the app and of what nginx makes of it."""

    app: str
    proxied: str


def documented(language: str) -> str:
    """The block of a language on the page about deployment."""
    (block,) = re.findall(rf"```{language}\n(.*?)```", (ROOT / "docs/deploy.md").read_text("utf-8"), re.S)
    return str(block)


@pytest.fixture(scope="module")
def site(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    command = re.search(r"Start the app with `kvdemo (.*?)`", (ROOT / "docs/deploy.md").read_text("utf-8"))
    assert command
    program = ("-m", "kvdemo", *command[1].split())
    settings = {"KVDEMO_MODEL": str(tiny_folder), "KVDEMO_DEVICE": "cpu", "KVDEMO_METRICS": "1"}
    with served(settings, program) as app:
        location = documented("nginx")
        assert "http://127.0.0.1:7860/" in location
        folder, port = tmp_path_factory.mktemp("nginx"), free_port()
        user = "user root;" if os.geteuid() == 0 else ""
        text = AROUND.format(
            folder=folder, port=port, user=user, location=location.replace("http://127.0.0.1:7860/", app)
        )
        (folder / "nginx.conf").write_text(text)
        assert NGINX
        nginx = subprocess.Popen([NGINX, "-p", folder, "-c", folder / "nginx.conf", "-e", "stderr"])
        try:
            proxied = f"http://127.0.0.1:{port}/kvdemo/"
            wait_for(proxied, nginx)
            wait_for(f"{app}healthz", nginx)  # 503 while the engine's process starts
            yield Site(app, proxied)
        finally:
            nginx.terminate()
            nginx.wait()


def asked(url: str, body: bytes | None = None, kind: str = "application/json") -> Any:
    """An answer as JSON."""
    question = urllib.request.Request(url, body, {"Content-Type": kind})  # noqa: S310 - loopback
    with urllib.request.urlopen(question, timeout=60) as answer:  # noqa: S310
        return json.load(answer)


def test_the_page_loads_completely_behind_nginx_and_races(site: Site, visit: Visit) -> None:
    """`visit` fails for whatever cannot be loaded, and for a question to another address."""
    page = visit(site.proxied, prompt="Hi", tokens=8)
    race(page)
    expect(page.locator(".js-plotly-plot .scatterlayer .trace").first).to_be_attached()
    page.click("#kv-tabbutton-plan")
    expect(page.locator(".kv-tab:visible :is(input, textarea)").first).to_be_visible()
    outside = page.evaluate("() => performance.getEntriesByType('resource').map((one) => new URL(one.name).pathname)")
    assert outside
    assert all(path.startswith("/kvdemo/") for path in outside)


def test_the_address_without_its_trailing_slash_redirects_to_the_page(site: Site) -> None:
    with urllib.request.urlopen(site.proxied.rstrip("/"), timeout=30) as answer:  # noqa: S310 - loopback
        assert answer.url == site.proxied


@pytest.mark.parametrize(("name", "state"), [("race", b'"racing"'), ("measure", b'"measuring"')])
def test_the_proxy_passes_the_first_events_of_a_run_while_it_runs(site: Site, name: str, state: bytes) -> None:
    """Its first events come while it runs, as the app itself says; those of a measurement are few and short."""
    while asked(f"{site.app}healthz")["runs"]:
        time.sleep(0.1)  # what an earlier test left
    form = LONG if name == "race" else MEASURED
    run = asked(f"{site.proxied}gradio_api/call/v2/{name}", json.dumps(form).encode())["event_id"]
    with urllib.request.urlopen(f"{site.proxied}gradio_api/call/{name}/{run}", timeout=60) as stream:  # noqa: S310
        assert any(state in line for line in stream)
        time.sleep(2 * KEPT_SECONDS)  # the server may say what it was asked before the run
        assert asked(f"{site.app}healthz")["runs"] == 1


def upload(url: str, size: int) -> Any:
    """Send a file of so many bytes as the page's Compare does."""
    head = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.json"\r\n\r\n'
    form = head + b"1" * size + b"\r\n--x--\r\n"
    return asked(f"{url}gradio_api/upload", form, "multipart/form-data; boundary=x")


def test_the_proxy_accepts_the_largest_document_and_refuses_a_larger_one(site: Site) -> None:
    assert upload(site.proxied, MOST_BYTES - 1)
    with pytest.raises(urllib.error.HTTPError, match="413"):
        upload(site.proxied, 2 * MOST_BYTES)


def test_the_proxy_keeps_the_metrics_from_visitors(site: Site) -> None:
    with urllib.request.urlopen(f"{site.app}metrics", timeout=30) as answer:  # noqa: S310 - loopback
        assert b"kvdemo_runs_waiting" in answer.read()
    for path in ("metrics", "metrics/", "kvdemo/metrics", "kvdemo//metrics", "%6detrics"):
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"{site.proxied}{path}", timeout=30)  # noqa: S310


def test_visitors_behind_the_proxy_are_strangers(site: Site) -> None:
    with urllib.request.urlopen(f"{site.proxied}gradio_api/info", timeout=30) as answer:  # noqa: S310 - loopback
        assert "/race" in json.load(answer)["named_endpoints"]
    run = asked(f"{site.proxied}gradio_api/call/v2/race", json.dumps(LONG | {"model": "/etc"}).encode())["event_id"]
    with urllib.request.urlopen(f"{site.proxied}gradio_api/call/race/{run}", timeout=60) as stream:  # noqa: S310
        assert b"event: error" in stream.read()
