"""The wheel holds what the page and the command line need, and the command is there."""

from __future__ import annotations

import email
import importlib.metadata
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from kvdemo import __version__
from kvdemo.models.names.catalog import DEFAULT
from kvdemo.web import assets
from tests.serving import ROOT, free_port, wait_for

#: https://huggingface.co/docs/hub/spaces-config-reference
SPACE_KEYS = {
    "title", "emoji", "colorFrom", "colorTo", "sdk", "python_version", "sdk_version", "suggested_hardware",
    "suggested_storage", "app_file", "app_build_command", "app_port", "base_path", "fullWidth", "header",
    "short_description", "models", "datasets", "tags", "thumbnail", "pinned", "hf_oauth", "hf_oauth_scopes",
    "hf_oauth_expiration_minutes", "hf_oauth_authorized_org", "disable_embedding", "startup_duration_timeout",
    "custom_headers", "preload_from_hub", "license",
}  # fmt: skip

COLORS = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}
HARDWARE = {
    "cpu-basic", "cpu-upgrade", "t4-small", "t4-medium", "l4x1", "l4x4", "a10g-small", "a10g-large", "a10g-largex2",
    "a10g-largex4", "a100-large", "v5e-1x1", "v5e-2x2", "v5e-2x4",
}  # fmt: skip


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    files = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")
    for name in filter(None, files):
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    left = source / "build" / "lib" / "kvdemo" / "samplers" / "gone.py"  # of a build before it was removed
    left.parent.mkdir(parents=True)
    left.touch()
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", str(folder)]
    subprocess.run([*command, str(source)], check=True)
    return next(folder.glob("kvdemo-*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the wheel; its requirements are those of the environment that tests."""
    folder = tmp_path_factory.mktemp("venv")
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python = folder / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", str(wheel)], check=True)
    packages = next(folder.glob("lib/python*/site-packages"))
    beside = importlib.metadata.distribution("gradio").locate_file("")
    (packages / "beside.pth").write_text(str(beside))
    return folder / "bin"


@pytest.mark.slow
def test_every_static_file_is_in_the_wheel(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {f"kvdemo/web/frontend/{path.as_posix()}" for path in assets.files()} <= names
    assert not any(name.startswith(("tests/", "benchmarks/", "docs/")) for name in names)


@pytest.mark.slow
def test_the_wheel_says_what_it_is(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as packed:
        (name,) = (name for name in packed.namelist() if name.endswith(".dist-info/METADATA"))
        said = email.message_from_bytes(packed.read(name))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert said["Summary"] == project["description"]
    assert set(said.get_all("Classifier", [])) == set(project["classifiers"])
    assert said["License-Expression"] == project["license"]
    wanted = (line.split("#")[0].strip() for line in (ROOT / "requirements.txt").read_text("utf-8").splitlines())
    needs = {Requirement(one).name for one in said.get_all("Requires-Dist", []) if "extra ==" not in one}
    assert needs == {Requirement(one).name for one in wanted if one}


@pytest.mark.slow
def test_what_an_earlier_build_left_is_not_in_the_wheel(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert "kvdemo/samplers/top_p.py" in names
    assert "kvdemo/samplers/gone.py" not in names


@pytest.mark.slow
def test_the_command_runs_away_from_the_sources(installed: Path, tmp_path: Path) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [installed / "kvdemo", *arguments]
        return subprocess.run(command, check=False, cwd=tmp_path, capture_output=True, text=True)

    assert "dynamic_cache" in run("race", "--help").stdout
    assert DEFAULT.partition("/")[2] in run("models").stdout
    assert run("race").returncode == 2
    assert "--host" in run("--help").stdout
    assert run("--version").stdout == f"kvdemo {__version__}\n"


@pytest.mark.slow
def test_the_command_alone_opens_the_page_with_its_scripts(installed: Path, tmp_path: Path, tiny_folder: Path) -> None:
    port = free_port()
    environment = os.environ | {"KVDEMO_MODEL": str(tiny_folder), "GRADIO_ANALYTICS_ENABLED": "False"}
    command = [installed / "kvdemo", "--port", str(port)]
    app = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL)
    try:
        for path in ("healthz", f"{assets.address()}/main.js", f"{assets.address()}/styles/main.css"):
            wait_for(f"http://127.0.0.1:{port}/{path}", app)
    finally:
        app.terminate()
        app.wait()


def test_the_front_matter_has_keys_of_spaces_and_the_versions_of_the_requirements() -> None:
    front = yaml.safe_load((ROOT / "README.md").read_text("utf-8").split("---\n")[1])
    assert front.keys() <= SPACE_KEYS
    assert (front["sdk"], front["license"]) == ("gradio", "mit")
    assert {front["colorFrom"], front["colorTo"]} <= COLORS
    assert front["suggested_hardware"] in HARDWARE
    assert all(ord(character) > 0x2000 for character in front["emoji"])
    assert f"python:{front['python_version']}-slim\n" in (ROOT / "Dockerfile").read_text("utf-8")
    requirements = (ROOT / "requirements.txt").read_text("utf-8")
    assert f"gradio=={front['sdk_version']}\n" in requirements
    assert (ROOT / front["app_file"]).is_file()
    assert front["preload_from_hub"] == front["models"] == [DEFAULT]
    assert len(front["short_description"]) <= 60
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    low, high = (tuple(map(int, part.split("."))) for part in re.findall(r"[\d.]+", project["requires-python"]))
    assert low <= tuple(map(int, front["python_version"].split("."))) < high


def test_every_test_that_the_threat_model_names_exists() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)`", (ROOT / "SECURITY.md").read_text("utf-8"))
    assert len(named) > 8
    assert [path for path in named if not (ROOT / path).is_file()] == []


def test_each_line_of_the_threat_model_names_what_holds_it() -> None:
    lines = [line for line in (ROOT / "SECURITY.md").read_text("utf-8").splitlines() if line.startswith("| ")]
    heads = [line for line in lines if line.startswith("| threat |")]
    assert len(heads) == 1 and len(lines) > 30
    assert [line for line in lines if line not in heads and not re.search(r"`(tests|benchmarks)[/ ]", line)] == []


def test_the_space_is_pushed_to_only_with_a_name_and_a_token() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/space.yml").read_text("utf-8"))
    job = workflow["jobs"]["push"]
    assert job["if"] == "vars.SPACE != ''"
    assert job["steps"][-1]["if"] == "env.HF_TOKEN != ''"


def test_the_container_runs_as_an_unprivileged_user_with_a_health_check() -> None:
    lines = (ROOT / "Dockerfile").read_text("utf-8").splitlines()
    assert lines.index("USER 1000") < lines.index('CMD ["kvdemo"]')
    assert any(line.startswith("HEALTHCHECK") for line in lines)
    assert "/healthz" in "".join(lines)
