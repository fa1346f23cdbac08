"""The README tells the truth: its commands are run, its document compared, its file is the real file."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import gradio
import pytest
import yaml

ROOT = Path(__file__).parent.parent
LANES = ("dynamic_cache", "compiled_cache")
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", README, flags=re.DOTALL | re.MULTILINE)
COMMANDS = [
    line.removeprefix("$ ")
    for language, block in BLOCKS
    if language == "console"
    for line in block.splitlines()
    if line.startswith("$ python -m kvdemo")
]


def runs_commands(test: Any) -> Any:
    """Mark a test that runs what the README shows, as it stands there: on the default model."""
    return pytest.mark.slow(pytest.mark.model(test))


def block(language: str, containing: str = "") -> str:
    return next(text for kind, text in BLOCKS if kind == language and containing in text)


def run(command: str) -> str:
    arguments = [sys.executable, *shlex.split(command)[1:]]
    return subprocess.run(arguments, cwd=ROOT, check=True, capture_output=True, text=True, timeout=300).stdout


def assert_alike(shown: Any, real: Any, where: str = "document") -> None:
    """Equal, except that measured figures, versions and machines only have to be of the same kind."""
    if isinstance(shown, dict):
        assert shown.keys() == real.keys(), where
        for key, value in shown.items():
            if key not in ("environment", "speedup", "verdict", "source", "revision"):
                assert_alike(value, real[key], f"{where}.{key}")
    elif isinstance(shown, list):
        assert len(shown) == len(real), where
        for n, pair in enumerate(zip(shown, real, strict=True)):
            assert_alike(*pair, f"{where}[{n}]")
    elif isinstance(shown, float):
        assert isinstance(real, float), where
    else:
        assert shown == real, where


def test_the_readme_has_commands() -> None:
    assert len(COMMANDS) >= 3


@runs_commands
@pytest.mark.parametrize("command", [c for c in COMMANDS if "--json" not in c])
def test_the_readmes_commands_work_as_written(command: str) -> None:
    assert run(command).strip()


@runs_commands
def test_the_document_shown_is_what_its_command_prints() -> None:
    command = next(c for c in COMMANDS if "--json" in c)
    printed = json.loads(run(command))
    first = printed["lanes"][0]  # where it is said what else this machine did meanwhile
    first["remarks"] = [
        said for said in first["remarks"] if not said.startswith("Other work used this machine's cores")
    ]
    assert_alike(json.loads(block("json")), printed)


def test_the_strategy_shown_is_the_real_file() -> None:
    assert block("python", "class DynamicCached") == (ROOT / "kvdemo/strategies/kv_cache/dynamic_cache.py").read_text(
        "utf-8"
    )


def test_the_sampler_shown_is_the_real_file() -> None:
    assert block("python", "class MinP") == (ROOT / "kvdemo/samplers/min_p.py").read_text("utf-8")


def test_the_api_example_works_on_a_running_app(tiny_app: str, capsys: pytest.CaptureFixture[str]) -> None:
    example = block("python", "gradio_client").replace("http://127.0.0.1:7860/", tiny_app)
    exec(compile(example, "README.md", "exec"), {})  # noqa: S102 - it is our own
    assert re.search(r"\d tokens in [\d.]+ m?s against", capsys.readouterr().out)


def test_the_space_runs_the_versions_of_the_requirements() -> None:
    front = yaml.safe_load(README.split("---")[1])
    requirements = (ROOT / "requirements.txt").read_text("utf-8")
    assert f"gradio=={front['sdk_version']}\n" in requirements
    assert front["sdk_version"] == gradio.__version__
    assert front["python_version"] == "3.12"
    assert "torch==2.13.0\n" in requirements  # one that ZeroGPU accepts
    assert (ROOT / front["app_file"]).exists()


def test_every_file_that_is_linked_exists() -> None:
    for target in re.findall(r"\]\((?!http)([^)]+)\)", README):
        assert (ROOT / target).exists(), target


def settings(text: str) -> set[str]:
    """The variables in a text. Limits count as one here: tests/server/test_limits.py compares their table."""
    return set(re.findall(r"KVDEMO_MAX_|KVDEMO_[A-Z_]+", text))


def test_every_documented_environment_variable_is_read_and_every_one_read_is_on_the_page_about_deployment() -> None:
    sources = "".join(p.read_text("utf-8") for p in [ROOT / "app.py", *ROOT.glob("kvdemo/**/*.py")])
    deploy = (ROOT / "docs/deploy.md").read_text("utf-8")
    assert settings(deploy) == settings(sources)
    assert settings(README) <= settings(sources)


def test_the_figures_for_a_gpu_are_those_of_its_file() -> None:
    """Each number of the table, in the order in which it stands there."""
    path = re.search(r"\[the file\]\((benchmarks/results/[^)]+)\)", README)
    assert path
    document = json.loads((ROOT / path[1]).read_text(encoding="utf-8"))
    values = {(figure["shape"], figure["name"]): figure["value"] for figure in document["figures"]}
    again = "step at a new length / the same length again, cuDNN"
    on = "on, for reference"
    wanted = [
        *(values[shape, f"{again} {how}"] for shape in ("gemma-3-1b", "qwen3-0.6b") for how in ("off", on)),
        *(values["qwen3-0.6b", f"compiling, {n} process"] for n in ("first", "second")),
    ]
    for place in ("480", "2,400"):
        wanted += [values["llama-2-7b", f"{lane}: step at {place} positions"] for lane in LANES]
        wanted.append(values["llama-2-7b", f"compiled_cache: bandwidth floor / step at {place} positions"])
    table = README[path.end() :].partition("\nSince then")[0]
    shown = re.findall(r"([\d.]+) (?:×|s|ms|% of)", table)
    assert [float(number) for number in shown] == [
        round(value, len(number.partition(".")[2])) for value, number in zip(wanted, shown, strict=True)
    ]
