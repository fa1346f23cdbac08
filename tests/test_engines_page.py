"""docs/engines.md says what there is: its variables are read, its lanes can be chosen, and what was run is marked."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from kvdemo import strategies
from kvdemo.strategies.remote import named_servers
from tests.strategies.serving import SERVE

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "engines.md").read_text(encoding="utf-8")
SCRIPT = ROOT / "scripts" / "try_vllm.sh"


@pytest.fixture(autouse=True)
def named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engines that the page names, all of them."""
    urls = dict(re.findall(r"\b([a-z]+)=(http://[^\s,`]+)", PAGE))
    monkeypatch.setenv("KVDEMO_REMOTE_URLS", ",".join(f"{name}={url}" for name, url in urls.items()))


def test_each_engine_of_the_page_can_be_named() -> None:
    assert {"vllm", "sglang", "tgi", "llama", "serve"} <= named_servers.known().keys()


@pytest.mark.parametrize("variable", sorted(set(re.findall(r"KVDEMO_REMOTE_(?:KEY|MODEL)_[A-Z]+", PAGE))))
def test_a_variable_of_the_page_belongs_to_an_engine_of_the_page(variable: str) -> None:
    read = {name for one in named_servers.known().values() for name in (one.key_variable, one.model_variable)}
    assert variable in read | {"KVDEMO_REMOTE_KEY_NAME", "KVDEMO_REMOTE_MODEL_NAME"}


@pytest.mark.parametrize("lane", sorted(set(re.findall(r"remote:[a-z=:0-9]+", PAGE + SCRIPT.read_text()))))
def test_a_lane_of_the_page_can_be_chosen(lane: str) -> None:
    assert strategies.get(lane).spec == lane


def test_the_page_states_for_each_engine_whether_it_was_run() -> None:
    table = PAGE.split("What was run, and what was not:")[1].split("###")[0]
    for engine in ("transformers serve", "vLLM on CPUs", "SGLang, TGI", "llama.cpp's server"):
        row = next(line for line in table.splitlines() if engine in line)
        assert ("**run**" in row) == (engine == "transformers serve")
        assert ("by hand" in row) == (engine == "llama.cpp's server")


def test_the_transformers_serve_command_is_that_of_the_test() -> None:
    assert " ".join(SERVE) in PAGE


def test_the_deployment_page_links_here() -> None:
    assert "(engines.md)" in (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")


def test_the_script_is_valid_bash() -> None:
    assert subprocess.run(["bash", "-n", SCRIPT], check=False).returncode == 0
