"""Models that keep no keys, texts at the ends of what is allowed, settings at and beyond their bounds."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from kvdemo.core.errors import BadInput
from kvdemo.core.settings.declaration import declared
from kvdemo.core.settings.inside import PANELS, InsideRequest, Panel
from kvdemo.inside import session, summary
from kvdemo.models.loaded import LoadedModel
from tests.inside.shown import shown, state
from tests.inside.tiny_models import TOKENIZER, model
from tests.strategies.layered import model_of

#: A kind of model, and the panels that it cannot show with layer 0; the others it can.
KINDS: dict[str, set[Panel]] = {
    "mistral": set(),
    "deepseek_v3": {"roles"},  # keeps a latent vector in place of keys and values
    "mamba": {"steps", "attention", "roles", "formulas", "legacy"},
    "qwen3_next": {"roles", "attention", "legacy"},  # its layer 0 has no attention
    "falcon_h1": {"legacy"},
    "bert": {"steps", "attention", "legacy"},  # reads both ways, so it cannot go on from a cache
}
WORDS = "w10 w11 w12 w13 w14 w15 w16 w17 w18 w19"
CONTEXT = 24
NUMBERS = [name for name, one in declared(InsideRequest).items() if one.kind == "whole"]


def says_one_sentence(found: dict[str, Any]) -> bool:
    """Tell whether a panel says why it cannot be shown; it must do so in one sentence, without an error of Python."""
    if "cannot" not in found:
        return False
    said = found["cannot"]
    assert said.endswith(".") and ". " not in said and "Error" not in said and "\n" not in said
    return True


@pytest.mark.parametrize("name", KINDS)
def test_every_panel_is_shown_or_says_in_one_sentence_why_not(name: str) -> None:
    found = {panel: shown(model_of(name), panel, WORDS, append=" w20", max_new_tokens=2) for panel in PANELS}
    assert {panel for panel, one in found.items() if says_one_sentence(one)} == KINDS[name]


#: Texts at the ends of what is allowed, and what is asked of them.
ENDS: dict[str, dict[str, Any]] = {
    "one token": {"prompt": "T"},
    "as long as the context": {"prompt": "T" * CONTEXT, "max_new_tokens": 1},
    "half a character read": {"prompt": "coffee \ufffd", "append": " \ufffd"},
    "half a character written": {"prompt": "coffee", "continuation": TOKENIZER.encode("👩")[:1]},
}


@pytest.mark.slow  # the next tests look at these texts with two kinds of models
@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("name", KINDS)
def test_the_shortest_and_longest_texts_are_shown_by_every_model_that_shows_others(name: str, end: str) -> None:
    own = model(name, context=CONTEXT)
    found = {panel: shown(own, panel, **{"append": " dog", "max_new_tokens": 2} | ENDS[end]) for panel in PANELS}
    cannot = {panel for panel, one in found.items() if says_one_sentence(one)}
    if name == "bert":  # its weights can be told where a text is so short that looking ahead changes nothing
        assert {"steps", "legacy"} <= cannot
    else:
        assert cannot == KINDS[name]


@pytest.mark.parametrize("panel", PANELS)
def test_inside_leaves_the_model_unchanged(tiny_model: LoadedModel, panel: Panel) -> None:
    before = state(tiny_model)
    shown(tiny_model, panel)
    assert state(tiny_model) == before


@pytest.mark.parametrize("panel", PANELS)
def test_a_text_of_one_token_is_shown(tiny_model: LoadedModel, panel: Panel) -> None:
    assert "cannot" not in shown(tiny_model, panel, "T", max_new_tokens=2)


@pytest.mark.parametrize("panel", PANELS)
def test_a_text_as_long_as_the_context_is_shown(tiny_gpt2: LoadedModel, panel: Panel) -> None:
    text = "T" * 512
    assert len(tiny_gpt2.encode_text(text, special=True)) == tiny_gpt2.context_length == 512
    assert "cannot" not in shown(tiny_gpt2, panel, text, max_new_tokens=1)


@pytest.mark.parametrize("panel", PANELS)
def test_half_a_character_at_the_end_of_a_text_is_shown(tiny_llama: LoadedModel, panel: Panel) -> None:
    half = tiny_llama.encode_text("é", special=False)[:1]
    assert "cannot" not in shown(tiny_llama, panel, "coffee", continuation=half)
    assert "cannot" not in shown(tiny_llama, panel, "coffee \ufffd", append="\ufffd")


@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_that_is_not_whole_or_out_of_bounds_is_refused_in_one_sentence(name: str) -> None:
    called = declared(InsideRequest)[name].called
    for bad in (math.nan, math.inf, -math.inf, "nan", "1e400", -1, 10**30, 1.5, True, [], {}):
        with pytest.raises(BadInput, match=rf"^The {called} must be a whole number from [^\n]*\.$"):
            InsideRequest.parse({"prompt": "T", name: bad})


@pytest.mark.parametrize("panel", ["past", "roles"])
def test_an_appended_text_of_100_000_characters_is_refused(tiny_llama: LoadedModel, panel: Panel) -> None:
    assert "leave no room" in shown(tiny_llama, panel, append="dog " * 25_000)["cannot"]


@pytest.mark.parametrize("panel", ["past", "roles"])
def test_an_empty_appended_text_takes_the_default_and_states_it(tiny_llama: LoadedModel, panel: Panel) -> None:
    assert shown(tiny_llama, panel, append="")["appended"] == " dog"


@pytest.mark.parametrize(("dim", "heads", "positions"), [(1, 1, 1), (64, 64, 256), (1024, 1, 256), (1024, 64, 256)])
def test_the_attention_from_scratch_holds_at_the_ends_of_its_sizes(
    tiny_llama: LoadedModel, dim: int, heads: int, positions: int
) -> None:
    found = shown(tiny_llama, "scratch", dim=dim, heads=heads, positions=positions)
    assert found["buffer_shape"] == [1, positions, heads, dim // heads]
    assert found["holds"]


def test_formulas_of_a_batch_that_no_memory_holds_are_finite_numbers(tiny_llama: LoadedModel) -> None:
    found = shown(tiny_llama, "formulas", batch=1_000_000, length=10**9)["formulas"]
    json.dumps(found, allow_nan=False)
    (memory,) = (one["value"] for one in found if one["name"] == "Memory of the cache")
    one_of_each = shown(tiny_llama, "formulas", batch=1, length=1)["formulas"]
    assert memory == 10**15 * next(one["value"] for one in one_of_each if one["name"] == "Memory of the cache")


def test_every_panel_that_can_be_asked_for_is_computed_and_said_in_sentences() -> None:
    assert set(session.SHOW) == set(summary.SAY) == set(PANELS)
