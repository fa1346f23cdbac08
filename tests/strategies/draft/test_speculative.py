"""A draft model must change how many tokens a step writes, and never which."""

import copy
import gc
import random
import time
import weakref
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import islice
from pathlib import Path
from threading import Event
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from kvdemo.core.errors import BadInput
from kvdemo.core.figures import units
from kvdemo.core.settings.race import RaceRequest
from kvdemo.core.types import Choice, Step, TimedStep
from kvdemo.models.facts import architecture
from kvdemo.models.loaded import LoadedModel
from kvdemo.models.sources.hub import hub_cache
from kvdemo.race import session
from kvdemo.strategies.draft import draft_model
from kvdemo.strategies.draft.speculative import Speculative
from kvdemo.strategies.kv_cache.dynamic_cache import DynamicCached
from tests.models.tiny_configs import tiny
from tests.strategies.conftest import WORDS, generated, similar, steps_of, tokens_of, word_tokenizer
from tests.strategies.draft.test_prompt_lookup import steps_until
from tests.strategies.layered import STATES, model_of
from tests.strategies.references import random_prompt
from tests.tiny_models import loaded, save, tiny_gpt2_network, tiny_llama_network

NEW = 24


@pytest.fixture
def drafted_by(monkeypatch: pytest.MonkeyPatch):
    """Give every model this draft model."""

    def set_draft(draft: LoadedModel) -> None:
        monkeypatch.setattr(draft_model, "load_draft", lambda _model, _asked: draft)

    return set_draft


def accepted(steps: list[Step]) -> float:
    return sum(s.details["accepted"] for s in steps) / sum(s.details["drafted"] for s in steps)


#: The kinds that the contract runs on in the quick part, and further ones of the whole suite.
DRAFTED = ["llama", "gpt2", *(pytest.param(name, marks=pytest.mark.slow) for name in ("qwen3", "mistral", "gemma3"))]


@pytest.mark.parametrize("name", DRAFTED)
def test_the_contracts_draft_model_is_often_right_and_often_wrong(
    name: str, word_models: Mapping[str, LoadedModel], drafted_by
) -> None:
    """With it the contract compares texts: that proves something only while both kinds of guesses are in them."""
    model, rng = word_models.get(name) or model_of(name), random.Random(name)
    drafted_by(similar(model, 0.02))
    texts = [random_prompt(rng) for _ in range(6)]
    rates = [accepted(steps_until(steps_of(Speculative(), model, text, tokens=NEW), NEW)) for text in texts]
    assert 0.2 < sum(rates) / len(rates) < 0.98


@pytest.mark.parametrize("name", ["llama", "mistral"])
def test_a_draft_by_the_model_itself_is_accepted_completely(
    name: str, word_models: Mapping[str, LoadedModel], drafted_by
) -> None:
    """If the draft's own cache kept a trace of what was cut, or missed a token, some draft would be wrong."""
    model = word_models.get(name) or model_of(name)
    drafted_by(model)
    for draft_tokens in (1, 4, 7):
        strategy = Speculative(draft_tokens=draft_tokens)
        assert accepted(list(islice(steps_of(strategy, model, "w3 w4 w5", tokens=400), 12))) == 1


@pytest.mark.slow
@pytest.mark.parametrize("name", ["llama", "gpt2"])
@pytest.mark.parametrize("temperature", [0.3, 1.0])
def test_sampled_tokens_are_those_of_a_lane_without_a_draft(
    name: str, temperature: float, word_models: Mapping[str, LoadedModel], drafted_by
) -> None:
    """Token for token with the same seed, so its distribution is the model's: one draw from it for each token."""
    model, rng, rates = word_models[name], random.Random(3), []
    drafted_by(similar(model, 0.01))
    for seed in range(12):
        text = random_prompt(rng)
        steps = steps_until(steps_of(Speculative(), model, text, temperature=temperature, seed=seed, tokens=NEW), NEW)
        expected = tokens_of(DynamicCached(), model, text, NEW, temperature=temperature, seed=seed)
        assert [token for step in steps for token in step.tokens] == expected
        rates.append(accepted(steps))
    assert 0 < sum(rates) / len(rates) < 1


def test_steps_count_the_work_and_the_memory_of_both(word_models: Mapping[str, LoadedModel], drafted_by) -> None:
    model = word_models["llama"]
    drafted_by(loaded("draft", copy.deepcopy(model.network), model.tokenizer))
    steps = list(islice(steps_of(Speculative(), model, "w3 w4 w5", tokens=400), 3))
    assert [step.positions for step in steps] == [3, 5, 5]
    # The draft reads prompt and first token, then three of its own; later the two that it has not read, and three.
    assert [step.details["draft_positions"] for step in steps] == [0, 4 + 3, 2 + 3]
    assert steps[0].details["draft_price"] == 1
    a_position = steps[0].cache_bytes // 3
    assert [step.cache_bytes for step in steps] == [3 * a_position, (8 + 7) * a_position, (13 + 12) * a_position]


def test_a_draft_model_with_a_short_context_stops_drafting_there(
    word_models: Mapping[str, LoadedModel], drafted_by
) -> None:
    network = tiny_gpt2_network(WORDS)
    draft = loaded("short", network, word_tokenizer())
    drafted_by(draft)
    model, text = word_models["llama"], " ".join(["w3 w4 w5"] * 169)  # 507 of the draft's 512 positions
    steps = steps_until(steps_of(Speculative(), model, text, tokens=NEW), NEW)
    assert [token for step in steps for token in step.tokens] == generated(model, text, NEW)
    assert steps[1].details["drafted"] == 4 and steps[-1].details["drafted"] == 0


@pytest.fixture
def folder(word_models: Mapping[str, LoadedModel], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A draft model in a folder, named by the operator."""
    monkeypatch.setenv("KVDEMO_DRAFT_MODEL", str(tmp_path))
    return save(similar(word_models["llama"], 0.02), tmp_path)


@pytest.mark.usefixtures("folder")
def test_the_operators_draft_model_is_loaded_once_and_freed_with_the_model() -> None:
    model = loaded("large", tiny_llama_network(WORDS), word_tokenizer())
    assert Speculative().unavailable_reason(model) is None
    text = "w3 w4 w5"
    assert tokens_of(Speculative(), model, text, NEW) == generated(model, text, NEW)
    draft = draft_model.load_draft(model, "auto")
    assert draft is draft_model.load_draft(model, "auto") and draft.dtype == model.dtype
    assert not next(draft.network.parameters()).is_inference()
    gone = weakref.ref(draft.network)
    del draft, model
    gc.collect()
    assert gone() is None


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> tuple[LoadedModel, list[str]]:
    """A model with two drafts to choose from, and the names of those that are loaded."""
    model, loads = loaded("large", tiny_llama_network(WORDS), word_tokenizer()), list[str]()

    def load(name: str, **_: object) -> LoadedModel:
        loads.append(name)
        time.sleep(0.05)
        return similar(model, 0.02)

    monkeypatch.setattr(draft_model.loading, "load", load)
    return model, loads


def test_one_draft_model_is_kept_and_a_running_lane_keeps_its_own(large: tuple[LoadedModel, list[str]]) -> None:
    model, loads = large
    first, second = Speculative(draft="gpt2"), Speculative(draft="Qwen3-0.6B")
    for _ in range(2):  # a warm-up and a race: nothing is loaded in the second
        for strategy in (first, second):
            assert tokens_of(strategy, model, "w3 w4", NEW) == generated(model, "w3 w4", NEW)
    assert loads == ["gpt2", "Qwen3-0.6B"]
    gone = weakref.ref(draft_model.load_draft(model, "gpt2").network)
    draft_model.load_draft(model, "Qwen3-0.6B")
    assert gone() is not None
    del first, strategy
    gc.collect()
    assert gone() is None  # no lane has it any more, and another one is kept
    assert draft_model.load_draft(model, "Qwen3-0.6B") is draft_model.load_draft(model, "Qwen3-0.6B")
    assert loads == ["gpt2", "Qwen3-0.6B"]


def test_lanes_that_start_at_once_load_a_draft_once(large: tuple[LoadedModel, list[str]]) -> None:
    model, loads = large
    with ThreadPoolExecutor(4) as pool:
        drafts = list(pool.map(lambda _: draft_model.load_draft(model, "gpt2"), range(4)))
    assert loads == ["gpt2"]
    assert len(set(map(id, drafts))) == 1


def test_a_server_neither_downloads_nor_repairs_a_draft_while_a_lane_has_the_device(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[dict[str, object]] = []
    really = draft_model.loading.load

    def load(name: str, **how: object) -> LoadedModel:
        asked.append(how)
        return really(name, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(draft_model.loading, "load", load)
    monkeypatch.setattr(hub_cache, "snapshots", lambda _: [])
    model = replace(loaded("large", tiny_llama_network(WORDS), word_tokenizer()), downloads=False)
    with pytest.raises(BadInput, match="gpt2 is not on this server's disk"):
        draft_model.load_draft(model, "gpt2")
    assert [(how["download"], how["repair"]) for how in asked] == [(False, False)]


def test_a_draft_must_fit_into_memory_beside_the_model(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = loaded("large", tiny_llama_network(WORDS), word_tokenizer())
    size = model.weight_bytes
    monkeypatch.setattr(draft_model.loading.memory, "main_memory", lambda: int(1.5 * size))
    with pytest.raises(BadInput, match=r"another model .* choose a smaller model"):
        draft_model.load_draft(model, "auto")
    monkeypatch.setattr(draft_model.loading.memory, "main_memory", lambda: int(2.5 * size))
    assert draft_model.load_draft(model, "auto").source.folder == folder


@pytest.mark.usefixtures("folder")
def test_a_draft_model_with_other_tokens_is_refused(tiny_llama: LoadedModel) -> None:
    with pytest.raises(BadInput, match=r"does not have the tokens of tiny-llama: choose a draft model of its family"):
        next(steps_of(Speculative(), tiny_llama, "fox"))


def test_the_catalogue_has_a_draft_for_the_large_of_a_family() -> None:
    def asked(model_id: str, draft: str = "auto") -> str | None:
        model = loaded(model_id, tiny_llama_network(WORDS), word_tokenizer())
        return Speculative(draft=draft).unavailable_reason(model)

    assert asked("openai-community/gpt2-medium") is None
    assert asked("HuggingFaceTB/SmolLM2-1.7B-Instruct") is None
    assert "no smaller model of the family of Qwen/Qwen3-0.6B" in (asked("Qwen/Qwen3-0.6B") or "")
    assert asked("Qwen/Qwen3-1.7B", "Qwen3-0.6B") is None
    assert "nothing by guessing for itself" in (asked("openai-community/gpt2", "gpt2") or "")


@pytest.mark.parametrize("name", STATES)
def test_models_whose_state_cannot_be_rolled_back_neither_verify_nor_draft(name: str) -> None:
    assert "cannot be turned back" in (Speculative().unavailable_reason(model_of(name)) or "")
    with pytest.raises(BadInput, match="cannot draft"):
        draft_model.check_draft(model_of("llama"), model_of(name))


def test_the_remarks_state_the_acceptance_and_whether_drafting_pays() -> None:
    token = Choice(1, -1.0, 2, -2.0)

    def taken(drafted: int, right: int, run: int) -> TimedStep:
        details = {"drafted": drafted, "accepted": right, "draft_positions": run, "draft_price": 0.37}
        return TimedStep(Step((token,) * (right + 1), 1, details=details), 1.0)

    assert Speculative().remarks([taken(0, 0, 0), taken(4, 4, 9), taken(4, 2, 5)]) == [
        "Speculative: the model accepted 6 of 8 drafted tokens (75%) and wrote 4 tokens a step; the draft model ran "
        "14 positions for it.",
        "By the bytes of the weights that a token reads (formula), a drafted one costs 37% of a pass of the model: "
        "where more than 37% are accepted it pays, if a pass over a draft takes no longer than over one.",
    ]
    assert Speculative().remarks([taken(0, 0, 0)]) == []


def test_a_drafted_token_costs_what_the_experts_that_it_is_sent_to_cost(drafted_by) -> None:
    """A mixture holds all its experts and reads two of four."""
    torch.manual_seed(0)
    tokenizer = word_tokenizer()
    config = tiny("mixtral")
    config.vocab_size = WORDS
    model = loaded("mixture", AutoModelForCausalLM.from_config(config).eval(), tokenizer)
    draft = loaded("draft", tiny_llama_network(WORDS), tokenizer)
    drafted_by(draft)
    first = next(steps_of(Speculative(), model, "w3 w4 w5"))
    read = [4 * architecture.from_config(one.network.config).active_parameters for one in (draft, model)]
    assert first.details["draft_price"] == pytest.approx(read[0] / read[1])
    assert first.details["draft_price"] > 1.1 * draft.weight_bytes / model.weight_bytes


def test_drafts_behind_an_end_of_text_are_counted_nowhere(drafted_by) -> None:
    """A step that ends the text within its draft commits fewer tokens than the model would have accepted."""
    network, cut = tiny_llama_network(WORDS), 0
    drafted_by(similar(loaded("ends", network, word_tokenizer()), 0.01))
    asked = {"prompt": "w3 w4 w5", "strategies": "speculative:draft=gpt2", "max_new_tokens": 40, "chat": False}

    def raced(**more: bool) -> dict[str, Any]:
        model, request = loaded("ends", network, word_tokenizer()), RaceRequest.parse(asked | more)
        return dict(session.run(request, model, lambda _: None, Event()).document["lanes"][0])

    whole = raced(ignore_eos=True)["tokens"]
    for token in list(dict.fromkeys(whole))[:12]:
        network.generation_config.eos_token_id = token
        ran = raced()
        assert ran["finish_reason"] == "eos"
        steps = [(step["tokens"], step["details"]["drafted"], step["details"]["accepted"]) for step in ran["steps"]]
        assert all(tokens == accepted + 1 for tokens, _, accepted in steps[:-1])
        tokens, drafted, accepted = steps[-1]
        assert tokens == accepted + 1 or tokens == accepted == drafted
        cut += tokens == accepted
        drafted, accepted = sum(step[1] for step in steps), sum(step[2] for step in steps)
        if drafted:
            counted = f"accepted {accepted} of {units.count(drafted, 'drafted token')} ({accepted / drafted:.0%})"
            assert any(counted in said for said in ran["remarks"])
    assert cut
