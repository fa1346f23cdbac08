"""docs/deploy.md can be followed to the letter: its flags and variables are read, its unit starts the app."""

from __future__ import annotations

import configparser
import os
import re
import shlex
from pathlib import Path

import pytest

from kvdemo import app
from kvdemo.core.system import environment
from kvdemo.models.names import offered
from kvdemo.server.limits import Limits

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^ *```(\w+)\n(.*?)^ *```", PAGE, flags=re.DOTALL | re.MULTILINE)
SHELL = [
    line.strip().removeprefix("$ ")
    for language, block in BLOCKS
    if language == "console"
    for line in block.replace("\\\n", "").splitlines()
    if line.strip().startswith("$ ")
]
#: The flags of each start of the page.
FLAGS = [line.partition("#")[0].split()[1:] for line in SHELL if line.split()[0] == "kvdemo"]


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("KVDEMO_", "GRADIO_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(os, "environ", dict(os.environ))


def unit() -> configparser.ConfigParser:
    """The unit of systemd; `Environment` stands in it several times."""
    (text,) = [block for language, block in BLOCKS if language == "ini"]
    found = configparser.ConfigParser(strict=False, interpolation=None)
    found.optionxform = str  # type: ignore[assignment,method-assign]
    found.read_string(text)
    return found


def test_there_are_commands_on_the_page() -> None:
    assert len(FLAGS) > 3
    assert [] in FLAGS


@pytest.mark.parametrize("flags", FLAGS, ids=" ".join)
def test_each_flag_of_the_page_is_one_of_the_command(flags: list[str]) -> None:
    app.read_flags(flags)


def test_the_commands_of_the_unit_and_of_docker_are_the_apps() -> None:
    folder, command = "/opt/kvdemo", shlex.split(unit()["Service"]["ExecStart"])
    assert command[0] == f"{folder}/.venv/bin/kvdemo"
    assert f"sudo git clone ADDRESS_OF_THE_REPOSITORY {folder}" in SHELL
    app.read_flags(command[1:])
    assert not environment.switch("KVDEMO_METRICS")
    (container,) = [line for line in SHELL if line.startswith("docker run -d")]
    app.read_flags(container.rpartition(" kvdemo ")[2].split())


def test_the_unit_runs_as_a_user_of_its_own_that_may_write_where_it_has_to() -> None:
    service = unit()["Service"]
    assert f"sudo useradd --system {service['User']}" in SHELL
    folder = f"/var/cache/{service['CacheDirectory']}"
    assert service["WorkingDirectory"] == folder
    (text,) = [block for language, block in BLOCKS if language == "ini"]
    variables = dict(re.findall(r"^Environment=(\w+)=(.+)$", text, re.MULTILINE))
    assert variables.keys() == {"HOME", "KVDEMO_CACHE_DIR", "HF_HOME"}
    assert all(value == folder or value.startswith(f"{folder}/") for value in variables.values())


def test_the_example_of_limits_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    exported = dict(re.findall(r"(KVDEMO_\w+)=(\S+)", " ".join(line for line in SHELL if line.startswith("export"))))
    assert Limits.of(exported).tokens == int(exported["KVDEMO_MAX_TOKENS"])
    monkeypatch.setenv("KVDEMO_MODELS", exported["KVDEMO_MODELS"])
    assert len(offered.listed() or ()) == 2


def test_each_place_that_is_linked_on_the_page_exists() -> None:
    headings = [heading.lower().replace(" ", "-") for heading in re.findall(r"^## (.+)$", PAGE, re.MULTILINE)]
    linked = re.findall(r"\]\(#([^)]+)\)", PAGE)
    assert set(headings) == set(linked)
    for target in re.findall(r"\]\((?!http|#)([^)]+)\)", PAGE):
        assert (ROOT / "docs" / target.partition("#")[0]).exists(), target


def test_nothing_says_to_install_kvdemo_by_its_name() -> None:
    """It is installed from a clone: whatever has its name in an index is somebody else's."""
    files = [ROOT / "README.md", *ROOT.glob("docs/*.md"), *ROOT.glob("kvdemo/**/*.py")]
    texts = [path.read_text("utf-8") for path in files]
    assert not [text for text in texts if re.search(r"pip install [^\n`]*\bkvdemo\b", text)]
