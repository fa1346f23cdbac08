"""Models that keep no keys, and texts at the ends of what is allowed: each panel is shown or says why it cannot be."""

from __future__ import annotations

import functools

import pytest
import torch
from transformers import MambaConfig, MambaForCausalLM

from kvdemo.core.inside_settings import PANELS
from kvdemo.inside import session, summary
from kvdemo.models.loaded import LoadedModel
from tests.inside.shown import shown
from tests.inside.tiny_models import TOKENIZER
from tests.tiny_models import loaded

COMPUTED = ("steps", "attention", "formulas")


@functools.cache
def mamba() -> LoadedModel:
    torch.manual_seed(0)
    config = MambaConfig(vocab_size=len(TOKENIZER), hidden_size=32, num_hidden_layers=2, state_size=8)
    return loaded("mamba", MambaForCausalLM(config).eval(), TOKENIZER)


@pytest.mark.parametrize("name", COMPUTED)
def test_a_model_of_states_alone_says_in_one_sentence_that_it_has_no_keys(name: str) -> None:
    says = shown(mamba(), name)["cannot"]
    assert says.endswith(".")
    assert says.count(". ") == 0
    assert "Error" not in says


@pytest.mark.parametrize("name", COMPUTED)
def test_half_a_character_at_the_end_of_a_text_is_refused_or_shown(tiny_llama: LoadedModel, name: str) -> None:
    ids = tiny_llama.encode_text("é", special=False)
    panel = shown(tiny_llama, name, prompt="coffee", continuation=ids[:1])
    assert "cannot" not in panel


def test_every_panel_that_can_be_asked_for_is_computed_and_said_in_sentences() -> None:
    assert set(session.SHOW) == set(summary.SAY) == set(PANELS)
