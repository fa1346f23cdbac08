"""A real app under hundreds of hostile requests to all that it answers: each gets a sentence, and the app goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.hostile.accepted import PATIENCE
from tests.hostile.answers import hit
from tests.hostile.attacks import attacks
from tests.programs import Program
from tests.serving import served
from tests.web.loops import in_a_loop

pytestmark = pytest.mark.slow

#: Of all attacks, one in so many is sent here; `python -m benchmarks hostile` sends more.
ONE_IN = 31
HONEST: dict[str, Any] = {"prompt": "The fox", "max_new_tokens": 8, "strategies": ["no_cache", "dynamic_cache"],
                          "chat": False, "ignore_eos": True}  # fmt: skip


async def raced(url: str) -> list[list[int]]:
    """The tokens of each lane of an honest race."""
    async with httpx.AsyncClient(timeout=PATIENCE) as client:
        last = await Program(client, url, "honest").last("race", **HONEST)
    assert last["success"], last
    return [lane["tokens"] for lane in last["output"]["data"][0]["lanes"]]


def test_hostile_requests_get_a_sentence_and_the_next_race_is_unchanged(tiny_folder: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    settings = {
        "KVDEMO_MODEL": str(tiny_folder), "KVDEMO_DEVICE": "cpu", "GRADIO_TEMP_DIR": str(tmp_path / "files"),
        "HF_ENDPOINT": "http://127.0.0.1:9", "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }  # fmt: skip
    with served(settings, log=log) as url:
        before = in_a_loop(raced(url))
        every = attacks(url)
        aims = {attack.name.split(":")[0].removeprefix("POST ").removeprefix("GET ") for attack in every}
        assert {"race", "measure", "inside", "plan", "/healthz", "/gradio_api/upload", "/config"} <= aims
        chosen = every[::ONE_IN] + [attack for attack in every if attack.name.startswith("join: session_hash")]
        assert len(chosen) > 300
        wrong = [f"{name}: {fault}" for name, found in in_a_loop(hit(url, chosen)).items() for fault in found]
        assert not wrong, f"{len(wrong)} of {len(chosen)} answers are not for visitors:\n" + "\n".join(wrong[:40])
        assert in_a_loop(raced(url)) == before
        assert httpx.get(f"{url}healthz", timeout=PATIENCE).json()["runs"] == 0
    logged = log.read_text("utf-8", "replace")
    at = logged.find("Traceback")
    assert at < 0, logged[max(0, at - 500) : at + 3000]
