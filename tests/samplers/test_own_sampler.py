"""A sampler as a reader would add it: one file in the package, and nothing else. The package is copied for that."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow  # each question is a process of its own

ROOT = Path(__file__).parents[2]
OWN = '''
"""Second best: the likeliest token is cut."""

import torch
from transformers import LogitsProcessor

from kvdemo.core.types import option
from kvdemo.samplers.base import Sampler


class SecondBest(Sampler):
    """Cuts the likeliest tokens, so that greedy decoding takes the next one. Made up in 2026, for a test."""

    id = "second_best"
    name = "Second best"
    summary = "Cuts the likeliest tokens."
    place = 55
    greedy_too = True

    cut: int = option(0, "Cut", "How many of the likeliest tokens are cut; 0 is off.", high=5)

    def processor(self):
        return _Cut(self.cut)


class _Cut(LogitsProcessor):
    def __init__(self, cut):
        self.cut = cut

    def __call__(self, input_ids, scores):
        return scores.scatter(-1, scores.topk(self.cut).indices, -torch.inf)
'''


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package with a further file in its folder of samplers."""
    folder = tmp_path_factory.mktemp("copy")
    shutil.copytree(ROOT / "kvdemo", folder / "kvdemo", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "kvdemo/samplers/second_best.py").write_text(OWN)
    return folder


def run(copy: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], cwd=copy, env=os.environ | {"PYTHONPATH": str(copy)}, capture_output=True,
        text=True, check=False,
    )  # fmt: skip


def test_a_new_sampler_is_listed_in_the_order_of_application(copy: Path) -> None:
    listed = [row["id"] for row in json.loads(run(copy, "-m", "kvdemo", "samplers", "--json").stdout)]
    assert listed[listed.index("top_k") : listed.index("top_p") + 1] == ["top_k", "second_best", "top_p"]


def test_a_lane_with_a_new_sampler_writes_another_text(copy: Path) -> None:
    race = ["race", "--model", "random:gpt2", "--strategies", "dynamic_cache,dynamic_cache:cut=1", "--prompt", "Hi"]
    ran = run(copy, "-m", "kvdemo", *race, "--max-new-tokens", "2", "--json")
    assert ran.returncode == 0, ran.stderr
    plain, own = json.loads(ran.stdout)["lanes"]
    assert own["sampling"]["cut"] == 1
    assert plain["tokens"][0] != own["tokens"][0]


def test_a_value_out_of_bounds_is_refused_with_the_bound(copy: Path) -> None:
    ran = run(copy, "-m", "kvdemo", "race", "--strategies", "no_cache:cut=9", "--prompt", "Hi")
    assert ran.returncode == 2
    assert "no_cache" in ran.stderr
    assert "from 0 to 5" in ran.stderr
