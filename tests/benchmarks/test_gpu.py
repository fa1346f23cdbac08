"""The GPU benchmark on small shapes, without page and network: it runs to its end, and its file is whole."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.gpu.parts import COUNT, PARTS
from tests.serving import ROOT

# What a machine with a GPU need not have.
MISSING = ("gradio", "scipy", "openai", "gguf", "platformdirs", "plotly", "playwright", "spaces", "hypothesis")
RUN = f"""
import sys
for name in {MISSING!r}:
    sys.modules[name] = None
import benchmarks.__main__
sys.exit(benchmarks.__main__.main())
"""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    out = tmp_path_factory.mktemp("gpu") / "result.json"
    command = [sys.executable, "-c", RUN, "gpu", "--tiny", "--out", str(out)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return ran, json.loads(out.read_text("utf-8")) if Path(out).exists() else {}


def test_the_gpu_benchmark_ends_without_a_warning(
    result: tuple[subprocess.CompletedProcess[str], dict[str, Any]],
) -> None:
    ran, document = result
    assert ran.stderr == ""
    assert ran.returncode == 0, ran.stdout
    assert [part["status"] for part in document["parts"]] == ["done"] * len(PARTS)


def test_the_result_names_the_machine_and_each_claim_with_its_target(
    result: tuple[subprocess.CompletedProcess[str], dict[str, Any]],
) -> None:
    document = result[1]
    assert document["device"]
    assert document["tiny"] is True
    assert {"torch", "transformers", "attention_line", "float32_matmul"} <= document["environment"].keys()
    assert {(figure["part"], figure["shape"]) for figure in document["figures"]} == {
        *((part.name, part.shape) for part in PARTS),
        ("all parts", ""),
    }
    claims = " ".join(figure["name"] for figure in document["figures"] if figure["target"] is not None)
    for claim in (
        *(
            "new length",
            "in a race / in a measurement",
            "recorded behind the clock",
            "two compiled lanes",
            "graphs compiled",
        ),
        *("bandwidth floor", "second process", "lines on stderr", "rounding does not explain"),
    ):
        assert claim in claims


def test_small_shapes_are_judged_by_counts_and_not_by_times(
    result: tuple[subprocess.CompletedProcess[str], dict[str, Any]],
) -> None:
    for figure in result[1]["figures"]:
        assert figure["judged"] is (figure["unit"] == COUNT)
        assert figure["held"] is (True if figure["unit"] == COUNT else None)
