"""A model that is built while another is loaded has its embedding once, as it has at any other time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM
from transformers.initialization import no_tie_weights

from kvdemo.models.facts import architecture
from kvdemo.models.network import tied
from kvdemo.models.sources import random_weights, weights


def test_a_model_that_is_built_while_another_is_loaded_is_counted_right(tiny_folder: Path) -> None:
    config = random_weights.config("gpt2")
    with no_tie_weights():  # as transformers does for all threads while it loads a model
        planned = architecture.from_config(config)
        shape = random_weights.shape("random:gpt2", torch.float32)
        of_files = weights.shape("tiny", tiny_folder, torch.float32)
    assert planned.parameters == shape.num_parameters() == 124_439_808
    assert of_files.num_parameters() == weights.shape("tiny", tiny_folder, torch.float32).num_parameters()


def test_transformers_loads_one_model_at_a_time(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two at once, the later one would leave `tie_weights` as it is while the first one is loaded."""
    load, alone = AutoModelForCausalLM.from_pretrained, []

    def noted(*given: Any, **named: Any) -> Any:
        alone.append(tied.LOADING.locked())
        return load(*given, **named)

    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", noted)
    weights.network("tiny", tiny_folder, torch.float32, torch.device("cpu"))
    assert alone == [True]
