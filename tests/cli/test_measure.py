"""`measure` and `compare` as a user meets them."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kvdemo.cli import main

pytestmark = pytest.mark.usefixtures("quick_limits")

MEASURE = ["measure", "--prompt", "What is KV caching?", "--no-chat"]


def measured(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert main([*MEASURE, *arguments, "--json"]) == 0
    made: dict[str, Any] = json.loads(capsys.readouterr().out)
    return made


@pytest.mark.slow  # a model of GPT-2's size
def test_json_is_one_document_that_states_random_weights(capsys: pytest.CaptureFixture[str]) -> None:
    made = measured(
        capsys, "--model", "random:gpt2", "--max-new-tokens", "4", "--repeats", "2", "--strategies",
        "no_cache,dynamic_cache",
    )  # fmt: skip
    assert made["model"]["random_weights"] is True
    assert made["model"]["source"]["kind"] == "random weights"
    assert made["model"]["parameters"] == 124_439_808
    assert made["memory"]["bytes_per_token"] == 2 * 36_864  # float32 here, and 36,864 in a 16-bit format
    assert [lane["statistics"]["e2e_s"]["n"] for lane in made["lanes"]] == [2, 2]
    assert made["published"][0]["device"] == "Tesla T4"
    assert {row["basis"] for row in made["published"]} == {"published"}


@pytest.mark.slow
def test_the_table_and_the_sweep_are_printed(tiny_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(
        [*MEASURE, "--model", str(tiny_folder), "--max-new-tokens", "4", "--repeats", "2", "--sweep-prompt", "4,8",
         "--sweep-tokens", "2,4"]
    )  # fmt: skip
    out, err = capsys.readouterr()
    assert code == 0
    assert "| DynamicCache |" in out and "Published (not measured here)" in out
    assert "8 prompt tokens" in err
    assert "bound by" in out  # the reason of each cell


@pytest.mark.slow
def test_two_files_can_be_compared(tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in "ab":
        made = measured(capsys, "--model", str(tiny_folder), "--max-new-tokens", "4", "--repeats", "3")
        (tmp_path / f"{name}.json").write_text(json.dumps(made), "utf-8")
    files = [str(tmp_path / "a.json"), str(tmp_path / "b.json")]
    assert main(["compare", *files]) == 0
    assert "Both ran the same work" in capsys.readouterr().out
    assert main(["compare", *files, "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert {lane["metrics"]["e2e_s"]["a"]["n"] for lane in made["lanes"]} == {3}


@pytest.mark.slow
def test_an_interrupt_keeps_the_finished_repeats(tiny_folder: Path) -> None:
    arguments = [*MEASURE, "--model", str(tiny_folder), "--max-new-tokens", "400", "--repeats", "100", "--json"]
    with subprocess.Popen(
        [sys.executable, "-m", "kvdemo", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as ran:
        assert ran.stdout is not None and ran.stderr is not None
        while "Repeat 2 of 100" not in ran.stderr.readline():
            pass
        ran.send_signal(signal.SIGINT)
        made = json.loads(ran.communicate(timeout=120)[0])
    assert made["status"] == "stopped"
    assert all(1 <= len(lane["runs"]) < 100 for lane in made["lanes"])
    assert ran.returncode == 0


BAD: list[tuple[list[str], str]] = [
    ([*MEASURE, "--repeats", "0"], "number of repeats"),
    ([*MEASURE, "--warmup", "x"], "number of warm-up runs"),
    ([*MEASURE, "--sweep-prompt", "8"], "needs both"),
    ([*MEASURE, "--sweep-prompt", "8,no", "--sweep-tokens", "4"], "sweep's prompt lengths"),
    ([*MEASURE, "--strategies", "turbo"], "There is no strategy 'turbo'"),
    ([*MEASURE, "--model", "random:gpt9"], "random:gpt2"),
    (["measure"], "one of the arguments --prompt --prompt-file is required"),
    (["compare", "/no/such/a.json", "/no/such/b.json"], "cannot be read"),
    (["compare", "a.json"], "the following arguments are required: b.json"),
]


@pytest.mark.parametrize(("arguments", "says"), BAD, ids=[" ".join(a[3:])[:50] or a[0] for a, _ in BAD])
def test_bad_input_exits_2_with_one_line(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert says in err


def test_a_file_that_is_no_document_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "holiday.json"
    file.write_text("{}")
    assert main(["compare", str(file), str(file)]) == 2
    assert "holiday.json: The file names no schema" in capsys.readouterr().err
