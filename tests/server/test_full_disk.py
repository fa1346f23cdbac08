"""The disk is full while the app runs: what needs no file works, the rest is a sentence, and all is well afterwards."""

from __future__ import annotations

import asyncio
import itertools
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.programs import Program
from tests.serving import running
from tests.web.loops import in_a_loop
from tests.web.test_flood import runs

resource = pytest.importorskip("resource")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="only Linux sets limits of another process"),
]

SHORT: dict[str, Any] = {"prompt": "The fox", "max_new_tokens": 4, "chat": False}
LONG = SHORT | {"max_new_tokens": 1500, "ignore_eos": True, "strategies": ["no_cache", "reencode"]}


@contextmanager
def full(app: subprocess.Popen[bytes]) -> Iterator[None]:
    """No process of the app can write a byte to any file."""
    processes = [psutil.Process(app.pid), *psutil.Process(app.pid).children(recursive=True)]
    before = {one.pid: resource.prlimit(one.pid, resource.RLIMIT_FSIZE) for one in processes}
    for pid, (_, hard) in before.items():
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        for pid, limits in before.items():
            resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)


@contextmanager
def full_from_the_start() -> Iterator[None]:
    """No program that is started inside can write a byte to any file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_on_a_full_disk_the_app_starts_and_its_engine_is_started_again(tiny_folder: Path, tmp_path: Path) -> None:
    settings = {
        "KVDEMO_MODEL": str(tiny_folder), "KVDEMO_DEVICE": "cpu", "KVDEMO_CACHE_DIR": str(tmp_path / "cache"),
        "GRADIO_TEMP_DIR": str(tmp_path / "gradio"), "TMPDIR": str(tmp_path),
    }  # fmt: skip

    async def visit(url: str, app: subprocess.Popen[bytes]) -> None:
        async with httpx.AsyncClient(timeout=httpx.Timeout(120)) as client:
            assert (await Program(client, url, "first").last("race", **SHORT))["success"]
            (engine,) = (
                one
                for one in psutil.Process(app.pid).children()
                if "kvdemo.server.engine_process" in " ".join(one.cmdline())
            )
            engine.kill()
            while (await client.get(f"{url}healthz")).json()["ok"]:
                await asyncio.sleep(0.02)
            assert (await Program(client, url, "second").last("race", **SHORT))["success"]

    with ExitStack() as disk:
        disk.enter_context(full_from_the_start())
        with running(settings) as (url, app):
            disk.close()
            in_a_loop(visit(url, app))


def test_everything_that_needs_no_file_works_on_a_full_disk(tiny_folder: Path, tmp_path: Path) -> None:
    settings = {
        "KVDEMO_MODEL": str(tiny_folder), "KVDEMO_DEVICE": "cpu", "KVDEMO_CACHE_DIR": str(tmp_path / "cache"),
        "GRADIO_TEMP_DIR": str(tmp_path / "gradio"), "TMPDIR": str(tmp_path), "KVDEMO_LOG": "json",
    }  # fmt: skip

    async def visit(url: str, app: subprocess.Popen[bytes]) -> None:
        async with httpx.AsyncClient(timeout=httpx.Timeout(120)) as client:

            async def ask(endpoint: str, **given: Any) -> dict[str, Any]:
                return await Program(client, url, f"session-{next(sessions)}").last(endpoint, **given)

            sessions = itertools.count()

            assert (await ask("race", **SHORT))["success"]
            with full(app):
                raced = await ask("race", **SHORT)
                assert raced["success"], raced
                measured = await ask("measure", **SHORT, repeats=1, warmup=1, strategies=["no_cache"])
                assert measured["output"]["data"][0]["status"] == "done"
                panels = (await ask("inside", prompt="The fox", panels=["legacy", "steps"]))["output"]["data"][0][
                    "panels"
                ]
                assert panels["legacy"] == {"cannot": "This panel needs a file, and none can be written here."}
                assert "cannot" not in panels["steps"]
                assert (await ask("plan", memory_gb=24, bandwidth_gb_s=600))["success"]
                file = {"files": ("a.json", b"{}", "application/json")}
                assert (await client.post(f"{url}gradio_api/upload", files=file)).status_code == 507
                leaves = asyncio.create_task(ask("race", **LONG))
                while not await runs(url):
                    await asyncio.sleep(0.05)
                leaves.cancel()
                await asyncio.wait({leaves})
                while await runs(url):
                    await asyncio.sleep(0.05)
            assert (await ask("race", **SHORT))["success"]
            assert (await client.post(f"{url}gradio_api/upload", files=file)).status_code == 200

    with running(settings) as (url, app):
        in_a_loop(visit(url, app))
