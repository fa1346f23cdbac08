"""The panel shows the file that it ran, and what it ran agrees with attention over the whole text."""

from pathlib import Path

import pytest
import torch

from kvdemo.core.errors import BadInput
from kvdemo.core.settings.inside import InsideRequest
from kvdemo.models.loaded import LoadedModel
from tests.inside.shown import shown

ROOT = Path(__file__).parents[3]


def test_the_default_sizes_are_those_of_the_articles(tiny_llama: LoadedModel) -> None:
    panel = shown(tiny_llama, "scratch")
    assert panel["buffer_shape"] == [1, 8, 2, 8]
    assert [(step["start_pos"], step["positions"], step["buffer_used"]) for step in panel["steps"]] == [
        (at, 1, at + 1) for at in range(8)
    ]
    assert panel["holds"] and panel["largest_difference"] <= panel["tolerance"] == 1e-6
    assert panel["source"] == (ROOT / panel["path"]).read_text(encoding="utf-8")


def test_the_sizes_are_those_that_the_reader_chooses(tiny_llama: LoadedModel) -> None:
    panel = shown(tiny_llama, "scratch", dim=24, heads=3, positions=5, seed=7)
    assert panel["buffer_shape"] == [1, 5, 3, 8]
    assert len(panel["steps"]) == 5 and panel["holds"]


def test_a_fault_of_the_attention_is_shown(tiny_llama: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.Tensor, "masked_fill", lambda scores, *_: scores * 1.001)
    assert not shown(tiny_llama, "scratch")["holds"]


def test_a_width_that_the_heads_do_not_divide_is_refused() -> None:
    with pytest.raises(BadInput, match="16 cannot be shared equally by 3 heads"):
        InsideRequest.parse({"prompt": "The fox", "heads": 3})
