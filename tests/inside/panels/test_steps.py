"""The counts of each step are those of a model that is run with a cache and without, and add up to the closed forms."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import CONFIG_MAPPING, AutoModelForCausalLM, DynamicCache

from kvdemo.core.events import PanelsShown
from kvdemo.core.settings.inside import InsideRequest
from kvdemo.costs.architecture import LayerCache
from kvdemo.documents import schema
from kvdemo.inside import session
from kvdemo.inside.decoding import decoded
from kvdemo.inside.decoding import given as of_given_tokens
from kvdemo.inside.panels.steps import totals
from kvdemo.models.loaded import LoadedModel
from kvdemo.models.network.forward import cache_bytes, next_token_logits
from tests.inside.shown import shown
from tests.inside.tiny_models import TOKENIZER, model
from tests.models.tiny_configs import GROUPED, NO_SPECIAL, TINY
from tests.models.wrappers import CHUNKED
from tests.tiny_models import loaded

TEXT = "The quick brown fox jumps over the lazy"
WRITTEN = tuple(range(40, 52))  # past the tiny windows, by single tokens


def request(**given: Any) -> InsideRequest:
    return InsideRequest.parse({"prompt": TEXT, "panels": "steps"} | given)


@torch.inference_mode()
def greedy(on: LoadedModel, new: int) -> tuple[list[int], list[int]]:
    """The tokens of an independent loop with a cache, and the cache's bytes after each step."""
    ids = on.encode_text(TEXT, special=True)
    cache, fed, tokens, held = DynamicCache(config=on.network.config), ids, [], []
    while len(tokens) < new:
        tokens.append(int(next_token_logits(on, fed, cache).argmax()))
        held.append(cache_bytes(cache))
        fed = tokens[-1:]
    return tokens, held


def test_three_steps_from_one_token_compute_six_products_with_a_cache_and_ten_without(tiny_llama: LoadedModel) -> None:
    panel = shown(tiny_llama, "steps", prompt="T", max_new_tokens=3)
    assert panel["prompt_tokens"] == 1
    third = panel["steps"][2]
    assert (third["products_all"], third["products"]) == (6, 3)
    assert (third["products_all_so_far"], third["products_so_far"]) == (10, 6)
    assert panel["totals"] == {"products": 6, "products_all": 10, "positions": 3, "positions_all": 6}


def test_tokens_and_bytes_are_those_of_a_loop_with_a_cache(tiny_model: LoadedModel) -> None:
    panel = shown(tiny_model, "steps", max_new_tokens=9, prompt=TEXT)
    tokens, held = greedy(tiny_model, len(panel["steps"]))
    assert panel["tokens"][panel["prompt_tokens"] :] == tokens
    assert [step["cache_bytes"] for step in panel["steps"]] == held
    assert [step["formula_bytes"] for step in panel["steps"]] == held
    groups = panel["caches"]
    assert [sum(len(group["layers"]) * group["bytes"][n] for group in groups) for n in range(len(held))] == held


@pytest.mark.parametrize("name", TINY)
def test_every_model_shows_its_steps_or_says_why_not(name: str) -> None:
    panel = shown(model(name), "steps", continuation=list(WRITTEN), prompt=TEXT)
    if "cannot" in panel:
        assert panel["cannot"].endswith(".")
        assert "Error" not in panel["cannot"]
        return
    steps = panel["steps"]
    assert [step["token"] for step in steps] == list(WRITTEN)
    for count in ("products", "products_all", "positions", "positions_all"):
        assert sum(step[count] for step in steps) == panel["totals"][count]
    assert [step["cache_bytes"] for step in steps] == [step["formula_bytes"] for step in steps]
    assert sorted(n for group in panel["caches"] for n in group["layers"]) == list(range(len(model(name).layers or ())))
    assert (panel["note"] is None) == panel["attends"]
    if not panel["attends"]:
        assert any(word in panel["note"] for word in ("window", "choose", "keep no keys"))


@pytest.mark.parametrize("name", TINY)
def test_the_figures_from_one_pass_equal_those_of_decoding_step_by_step(name: str) -> None:
    if "cannot" in shown(model(name), "steps", continuation=[40], prompt=TEXT):
        pytest.skip("this model has no steps with a cache")
    about = session.subject(request(continuation=list(WRITTEN)), model(name), threading.Event())
    from_one_pass, step_by_step = list(of_given_tokens(about)), list(decoded(about, WRITTEN))
    assert len(from_one_pass) == len(step_by_step) == len(WRITTEN)
    for one, other in zip(from_one_pass, step_by_step, strict=True):
        assert (one.token, one.positions, one.length) == (other.token, other.positions, other.length)
        assert [(layer.positions, layer.bytes) for layer in one.layers] == [
            (layer.positions, layer.bytes) for layer in other.layers
        ]
    assert from_one_pass[-1] == step_by_step[-1]


@settings(max_examples=60)
@given(
    st.integers(1, 40), st.lists(st.booleans(), min_size=1, max_size=30), st.none() | st.integers(1, 50), st.booleans()
)
def test_closed_forms_are_the_sums_over_the_rows(
    prompt: int, again: list[bool], window: int | None, chunked: bool
) -> None:
    layer = LayerCache("full" if window is None else "sliding", 1, 8, window=window, chunked=chunked)
    lengths = [prompt + number for number in range(len(again))]
    ran = [length if whole or not number else 1 for number, (length, whole) in enumerate(zip(lengths, again))]  # noqa: B905

    def seen(row: int) -> int:
        if window is None:
            return row
        return (row - 1) % (window + 1) + 1 if chunked else min(row, window + 1)

    def rows(first: int, last: int) -> int:
        return sum(seen(row) for row in range(first, last + 1))

    assert totals(prompt, ran, layer) == {
        "products": sum(rows(length - new + 1, length) for length, new in zip(lengths, ran, strict=True)),
        "products_all": sum(rows(1, length) for length in lengths),
        "positions": sum(ran),
        "positions_all": sum(lengths),
    }


def test_chunks_are_not_called_windows() -> None:
    config = CONFIG_MAPPING["llama4_text"](**GROUPED | CHUNKED | NO_SPECIAL | {"vocab_size": len(TOKENIZER)})
    chunked = loaded("chunked", AutoModelForCausalLM.from_config(config).eval(), TOKENIZER)
    assert [layer.chunked for layer in chunked.layers or ()] == [True, False]
    note = shown(chunked, "steps", prompt=TEXT, max_new_tokens=2)["note"]
    assert "1 look at their own chunk of 8 positions" in note
    assert "window" not in note


def test_an_end_of_text_ends_the_run_and_is_named(tiny_llama: LoadedModel) -> None:
    first = greedy(tiny_llama, 1)[0][0]
    network = tiny_llama.network
    ends = LoadedModel(tiny_llama.id, network, tiny_llama.tokenizer, tiny_llama.source)
    ends.__dict__["eos_ids"] = frozenset({first})
    panel = shown(ends, "steps", prompt=TEXT, max_new_tokens=9)
    assert (len(panel["steps"]), panel["ended"]) == (1, "eos")
    assert shown(tiny_llama, "steps", prompt=TEXT, max_new_tokens=2)["ended"] == "length"
    assert shown(ends, "steps", prompt=TEXT, continuation=[first, 5, 6])["ended"] == "given"


def test_a_run_beyond_the_context_is_refused_with_the_largest_count_that_fits(tiny_gpt2: LoadedModel) -> None:
    tokens = len(tiny_gpt2.encode_text(TEXT, special=True))
    most = 512 - tokens + 1
    panel = shown(tiny_gpt2, "steps", prompt=TEXT, max_new_tokens=most + 1)
    assert f"ask for at most {most} new tokens" in panel["cannot"]


def test_a_text_as_long_as_the_context_has_one_step(tiny_gpt2: LoadedModel) -> None:
    text = "T" * 512
    assert len(tiny_gpt2.encode_text(text, special=True)) == 512
    panel = shown(tiny_gpt2, "steps", prompt=text, max_new_tokens=1)
    assert [step["length"] for step in panel["steps"]] == [512]
    assert panel["totals"]["products"] == panel["totals"]["products_all"] == 512 * 513 // 2


def test_a_split_character_is_shown_at_the_token_that_completes_it(tiny_llama: LoadedModel) -> None:
    text = "coffee 😀"
    ids = tiny_llama.encode_text(" 😀é", special=False)
    panel = shown(tiny_llama, "steps", prompt=text, continuation=ids)
    assert len(panel["pieces"]) == len(panel["tokens"])
    assert "" in panel["pieces"]
    assert "".join(panel["pieces"]) == text + " 😀é"
    half = shown(tiny_llama, "steps", prompt=text, continuation=ids[:2])
    assert half["pieces"][-1].endswith("\ufffd")


@pytest.mark.parametrize(
    ("continuation", "says"),
    [([10**6], "knows the ids 0 to"), ([5] * 600, "send at most"), ([-1], "must be a whole number from 0")],
)
def test_tokens_that_a_model_cannot_take_are_refused(
    tiny_gpt2: LoadedModel, continuation: list[int], says: str
) -> None:
    from kvdemo.core.errors import BadInput  # noqa: PLC0415

    with pytest.raises(BadInput, match=says):
        shown(tiny_gpt2, "steps", prompt=TEXT, continuation=continuation)


def test_the_document_grows_while_the_model_writes_and_stops_before_the_next_pass(tiny_llama: LoadedModel) -> None:
    stop, grown = threading.Event(), []

    def emit(event: object) -> None:
        if isinstance(event, PanelsShown) and "steps" in event.document["panels"]:
            grown.append(event.document)
            if len(grown) == 2:
                stop.set()

    about = request(max_new_tokens=64)
    document = session.run(about, tiny_llama, emit, stop)
    counts = [len(panel["panels"]["steps"]["steps"]) for panel in grown]
    assert counts[0] == 1
    assert 1 < counts[1] < 64
    assert document["status"] == "stopped"
    assert len(document["panels"]["steps"]["steps"]) == counts[1]
    assert document["panels"]["steps"]["ended"] is None
    for panel in grown:
        schema.check(panel)


def test_the_document_of_256_tokens_is_small(tiny_llama: LoadedModel) -> None:
    ids = [n % 300 for n in range(256)]
    document = session.run(request(continuation=ids), tiny_llama, lambda _: None, threading.Event())
    assert len(document["panels"]["steps"]["steps"]) == 256
    assert len(json.dumps(document, ensure_ascii=False).encode()) < 300_000
