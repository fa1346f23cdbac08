"""The command line as a user meets it: real processes, their exit codes, and what each stream carries."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kvdemo.cli import main
from kvdemo.core.settings.race import MOST_LANES
from kvdemo.models import loading
from tests.cases import cases
from tests.mixed_race import LANES, check
from tests.tiny_models import tiny_llama_network

from ..strategies.conftest import DRAWS


def kvdemo(*arguments: str, stdin: bytes = b"", patience: float = 120) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "kvdemo", *arguments], input=stdin, capture_output=True, timeout=patience, check=False
    )


@pytest.mark.slow
def test_json_prints_one_document_and_nothing_else(tiny_folder: Path) -> None:
    ran = kvdemo(
        "race", "--prompt", "The fox", "--model", str(tiny_folder), "--max-new-tokens", "6", "--ignore-eos", "--json"
    )
    assert ran.returncode == 0
    made: dict[str, Any] = json.loads(ran.stdout)
    assert [lane["strategy"] for lane in made["lanes"]] == ["reencode", "dynamic_cache"]
    assert [len(lane["tokens"]) for lane in made["lanes"]] == [6, 6]
    assert b"Racing Re-encode, DynamicCache" in ran.stderr


@pytest.mark.slow
def test_without_json_the_output_is_text_for_people(tiny_folder: Path) -> None:
    ran = kvdemo(
        "race", "--prompt-file", "-", "--model", str(tiny_folder), "--max-new-tokens", "4", stdin="键值 🐶".encode()
    )
    assert ran.returncode == 0
    out = ran.stdout.decode()
    assert "── dynamic_cache: " in out
    assert "TTFT" in out and "TPOT" in out
    assert "DynamicCache" in out.splitlines()[-3:][0] or "Same text" in out


def test_a_race_that_other_machines_compute_loads_no_weights(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KVDEMO_REMOTE_URL", "http://127.0.0.1:9/v1")  # nobody answers there
    monkeypatch.setenv("KVDEMO_REMOTE_MODEL", "m")
    monkeypatch.setattr(loading, "read", lambda *_, **__: pytest.fail("weights were loaded"))
    asked = ["race", "--prompt", "The fox", "--model", str(tiny_folder), "--strategies", "remote"]
    assert main([*asked, "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["prompt"]["tokens"]
    assert "The remote server" in document["lanes"][0]["error"]
    assert main([*asked, "--device", "toaster"]) == 2
    assert "toaster" in capsys.readouterr().err


BAD: list[tuple[list[str], str]] = [
    (["race"], "one of the arguments --prompt --prompt-file is required"),
    (["race", "--prompt", ""], "The prompt is empty"),
    (["race", "--prompt", "x", "--max-new-tokens", "0"], "The token count must be"),
    (["race", "--prompt", "x", "--max-new-tokens", "many"], "The token count must be"),
    (["race", "--prompt", "x", "--temperature", "nan"], "The temperature must be"),
    (["race", "--prompt", "x", "--schedule", "slow"], "There is no schedule 'slow'"),
    (["race", "--prompt", "x", "--strategies", "turbo"], "There is no strategy 'turbo'"),
    (["race", "--prompt-file", "/no/such/file"], "cannot be read"),
    (["race", "--prompt", "x", "--colour", "red"], "unrecognized arguments: --colour red"),
    (["race", "--prompt", "x", "--device", "toaster"], "toaster"),
    (["race", "--prompt", "x", "--dtype", "int3"], "int3"),
    (["race", "--prompt", "x", "--model", "/no/such/folder"], "/no/such/folder"),
    (["dance"], "invalid choice: 'dance'"),
    ([], "race|measure|inside|compare"),
]


@pytest.mark.parametrize(("arguments", "says"), BAD, ids=[" ".join(a)[:50] for a, _ in BAD])
def test_bad_input_exits_2_with_one_line(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert says in err
    assert err.startswith("kvdemo: ") and err.count("\n") == 1


def without_tokens(folder: Path) -> None:
    """A tokenizer that leaves out all of a text."""
    file = folder / "tokenizer.json"
    kept = json.loads(file.read_text("utf-8"))
    nothing = {"type": "Replace", "pattern": {"Regex": "[\\s\\S]"}, "content": ""}
    file.write_text(json.dumps(kept | {"normalizer": nothing}), "utf-8")


def with_few_rows(folder: Path) -> None:
    """A network that knows 40 ids, behind a tokenizer of more."""
    tiny_llama_network(40).save_pretrained(folder)


def with_template(template: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        (folder / "chat_template.jinja").write_text(template, "utf-8")

    return write


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (with_template("{{ raise_exception('roles must alternate') }}"), "roles must alternate"),
        (with_template("{% for %}"), "chat template"),
        (with_template("{{ 1 // 0 }}"), "chat template"),
        (with_template("{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}"), "chat template"),
        (with_template("Hello"), "leaves the prompt out"),
        (without_tokens, "no token"),
        (with_few_rows, "knows the ids 0 to 39"),
    ],
    ids=["raises", "does not parse", "divides by 0", "recurs", "leaves the prompt out", "no token", "few rows"],
)
def test_a_model_that_cannot_take_a_prompt_is_refused_in_one_line(
    spoil: Callable[[Path], None], says: str, tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_folder, folder)
    spoil(folder)
    capsys.readouterr()  # what was said while it was made
    assert main(["race", "--prompt", "The quick fox", "--model", str(folder), "--max-new-tokens", "2"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    said = [line for line in err.splitlines() if line.startswith("kvdemo: ")]
    assert len(said) == 1 and says in said[0]
    assert "Traceback" not in err


@pytest.mark.parametrize("case", cases("lane_refusals"), ids=lambda case: case["lane"])
def test_a_lane_with_a_bad_setting_is_named_with_the_bound(
    case: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["race", "--prompt", "x", "--strategies", f"dynamic_cache,{case['lane']}"]) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"kvdemo: {case['says']}") and err.count("\n") == 1


@pytest.mark.slow
@pytest.mark.model
def test_lanes_with_different_strategies_and_samplers_race() -> None:
    ran = kvdemo("race", "--strategies", LANES, "--prompt", "The moon", "--max-new-tokens", "8", "--json", patience=600)
    assert ran.returncode == 0, ran.stderr.decode()
    check(json.loads(ran.stdout))


def test_a_prompt_file_that_is_not_utf_8_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "prompt"
    file.write_bytes(b"\xff\xfe\xd8")
    assert main(["race", "--prompt-file", str(file)]) == 2
    assert "not UTF-8" in capsys.readouterr().err


def test_a_failed_lane_exits_1(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from kvdemo.strategies.recompute import no_cache  # noqa: PLC0415

    def broken(*_: object) -> None:
        raise RuntimeError("broken on purpose")

    monkeypatch.setattr(no_cache, "next_token_logits", broken)
    code = main(
        ["race", "--prompt", "x", "--model", str(tiny_folder), "--strategies", "no_cache,dynamic_cache", "--json"]
    )
    assert code == 1
    made = json.loads(capsys.readouterr().out)
    assert [lane["status"] for lane in made["lanes"]] == ["failed", "done"]
    assert made["lanes"][0]["error"] == "RuntimeError: broken on purpose"


def listed(capsys: pytest.CaptureFixture[str], *command: str) -> tuple[list[dict], list[str]]:
    """A listing's rows as JSON, and the lines that people read."""
    assert main([*command, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert main([*command]) == 0
    return rows, capsys.readouterr().out.splitlines()


def test_the_catalogue_can_be_listed(capsys: pytest.CaptureFixture[str]) -> None:
    rows, lines = listed(capsys, "models")
    assert [row["id"] for row in rows] == [line.split()[0] for line in lines]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no file that is always full")
def test_an_output_that_cannot_be_written_is_reported_in_a_sentence() -> None:
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "kvdemo", "models"], check=False, stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert ended.returncode == 2
    assert ended.stderr == "kvdemo: The output cannot be written: No space left on device.\n"


def test_the_strategies_are_listed_with_the_reasons_of_unavailable_ones(
    tiny_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows, lines = listed(capsys, "strategies", "--model", str(tiny_folder), "--device", "cpu")
    assert [row["id"] for row in rows] == [line.split()[0] for line in lines if "Not here: " not in line]
    reasons = {row["id"]: row["reason"] for row in rows if not row["available"]}
    assert "CUDA" in reasons["offloaded_cache"]
    assert reasons.keys().isdisjoint({"reencode", "no_cache", "dynamic_cache"})
    assert [line.partition("Not here: ")[2] for line in lines if "Not here: " in line] == list(reasons.values())


@pytest.mark.slow
def test_every_strategy_that_can_run_here_races(tiny_folder: Path) -> None:
    """As many as may in one race, in one process: what one of them leaves behind must not break another.

    One of them compiles, which takes a minute.
    """
    rows = json.loads(kvdemo("strategies", "--model", str(tiny_folder), "--device", "cpu", "--json").stdout)
    able = [row["id"] for row in rows if row["available"]]
    assert {"reencode", "no_cache", "dynamic_cache", "static_cache", "quantized_cache", "prompt_lookup"} <= set(able)
    for first in range(0, len(able), MOST_LANES):
        ids = able[first : first + MOST_LANES]
        ran = kvdemo(
            "race", "--prompt", "The fox", "--model", str(tiny_folder), "--device", "cpu", "--max-new-tokens", "4",
            "--ignore-eos", "--strategies", ",".join(DRAWS.get(i, i) for i in ids), "--json", patience=600,
        )  # fmt: skip
        lanes = json.loads(ran.stdout)["lanes"]
        assert [(lane["strategy"], lane["status"], len(lane["tokens"])) for lane in lanes] == [
            (i, "done", 4) for i in ids
        ]
