"""A second prompt on the first one's cache: the same tokens as afresh, and exactly the common beginning reused; of
whoever has no right to it, nothing."""

import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import LlamaConfig, LlamaForCausalLM

from kvdemo.caches import legacy_format
from kvdemo.caches.prefix_store import PrefixEntry, PrefixRun, PrefixSlot, PrefixStore, SessionPrefixes
from kvdemo.core.events import TokensCommitted
from kvdemo.core.settings.measure import MeasureRequest
from kvdemo.core.settings.race import RaceRequest
from kvdemo.core.types import Step, TimedStep
from kvdemo.measure import measurement
from kvdemo.models.loaded import LoadedModel
from kvdemo.race import session
from kvdemo.strategies.chooser import record
from kvdemo.strategies.kv_cache import dynamic_cache
from kvdemo.strategies.kv_cache.prefix_cache import PrefixCached
from tests.strategies.conftest import WORDS, generated, word_tokenizer
from tests.strategies.draft.test_prompt_lookup import job_of
from tests.strategies.layered import FULL, SLIDING, STATES, model_of
from tests.tiny_models import loaded

NEW = 8
texts = st.lists(st.integers(3, WORDS - 1), min_size=1, max_size=12)


def text_of(ids: list[int]) -> str:
    return " ".join(f"w{i}" for i in ids)


def ran(
    model: LoadedModel, text: str, found: PrefixEntry | None = None, temperature: float = 0
) -> tuple[list[Step], PrefixEntry]:
    """The steps of a run that finds something kept, and what it leaves."""
    handover = PrefixSlot(found)
    job = replace(job_of(model, text, NEW, temperature), handover=handover)
    steps = list(islice(map(record, PrefixCached().decode(job)), NEW))
    assert handover.cache is not None
    return steps, PrefixEntry(
        tuple(handover.ids), legacy_format.to_legacy(handover.cache), PrefixRun(1.5, len(text.split()))
    )


def tokens(steps: list[Step]) -> list[int]:
    return [token for step in steps for token in step.tokens]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["llama", "gpt2"])
@settings(max_examples=40, deadline=None)
@given(beginning=texts, first=texts, second=texts, whole=st.booleans())
def test_a_resumed_run_writes_the_text_of_a_fresh_one_and_reuses_the_common_prefix(
    name: str, word_models: Mapping[str, LoadedModel], beginning: list[int], first: list[int], second: list[int],
    whole: bool,
) -> None:  # fmt: skip
    model = word_models[name]
    ids = beginning if whole else beginning + second  # whole: all of it was kept, and more
    _, kept = ran(model, text_of(beginning + first))
    steps, left = ran(model, text_of(ids), kept)
    assert tokens(steps) == generated(model, text_of(ids), NEW)
    common = max(n for n in range(len(ids) + 1) if list(kept.ids[:n]) == ids[:n])
    assert steps[0].details["reused"] == min(common, len(ids) - 1)
    assert steps[0].positions == len(ids) - steps[0].details["reused"]
    assert [step.positions for step in steps[1:]] == [1] * (NEW - 1)
    assert list(left.ids) == ids + tokens(steps)[:-1]


@pytest.mark.parametrize("name", FULL)
def test_every_model_of_plain_layers_can_resume_from_a_prefix(name: str) -> None:
    model = model_of(name)
    _, kept = ran(model, "w3 w4 w5 w6 w7 w8")
    steps, _ = ran(model, "w3 w4 w5 w9", kept)
    assert tokens(steps) == generated(model, "w3 w4 w5 w9", NEW)
    assert steps[0].positions == 1


@pytest.fixture
def llama(word_models: Mapping[str, LoadedModel]) -> LoadedModel:
    return word_models["llama"]


def test_a_resumed_sampled_run_draws_the_same_tokens(llama: LoadedModel) -> None:
    _, kept = ran(llama, "w3 w4 w5")
    afresh, _ = ran(llama, "w3 w4 w5 w6", temperature=1.0)
    again, _ = ran(llama, "w3 w4 w5 w6", kept, temperature=1.0)
    assert tokens(again) == tokens(afresh) != generated(llama, "w3 w4 w5 w6", NEW)


def storage(tensor: torch.Tensor) -> int:
    return tensor.untyped_storage().nbytes()


def test_a_kept_prefix_is_never_changed_and_takes_the_stated_memory(llama: LoadedModel) -> None:
    """Nothing is copied when it is kept, so the runs after it must neither write into it nor hold all of it alive."""
    _, kept = ran(llama, "w3 w4 w5 w6 w7 w8")
    before = [[tensor.clone() for tensor in pair] for pair in kept.pairs]
    steps, left = ran(llama, "w3 w4 w9", kept)
    for pair, old in zip(kept.pairs, before, strict=True):
        assert all(map(torch.equal, pair, old))
    for one in (kept, left):
        assert sum(storage(tensor) for pair in one.pairs for tensor in pair) == one.bytes
    assert left.bytes == steps[-1].cache_bytes
    theirs = {tensor.untyped_storage().data_ptr() for pair in kept.pairs for tensor in pair}
    assert not theirs & {tensor.untyped_storage().data_ptr() for pair in left.pairs for tensor in pair}


def raced(model: LoadedModel, prompt: str, store: PrefixStore | None, **form: Any) -> dict[str, Any]:
    """The document of a race of `prefix_cache`."""
    asked = {"prompt": prompt, "chat": False, "strategies": "prefix_cache", "max_new_tokens": NEW, "ignore_eos": True}
    request = RaceRequest.parse(asked | form)
    return dict(session.run(request, model, lambda _: None, threading.Event(), store).document)


def reused(document: Mapping[str, Any], lane: int = 0) -> float:
    return document["lanes"][lane]["steps"][0]["details"]["reused"]


def test_the_remarks_state_what_was_kept_and_reused(llama: LoadedModel) -> None:
    store = SessionPrefixes().for_session("page")
    first = raced(llama, "w3 w4 w5 w6", store)
    assert reused(first) == 0
    assert first["lanes"][0]["remarks"] == [
        "Prefix cache found nothing kept, so it ran all 4 prompt tokens.",
        "Its 11 positions (2.82 kB) are kept for the next race of this page: a prompt that begins the same skips them.",
    ]
    second = raced(llama, "w3 w4 w5 w7 w8", store)
    said = second["lanes"][0]["remarks"][0]
    assert said.startswith("Prefix cache reused 3 of 5 prompt tokens and ran 2: its first token came after ")
    assert said.endswith(" in the run before, which ran all 4 of its prompt tokens.")
    third = raced(llama, "w3 w4 w5 w7", store)
    assert third["lanes"][0]["remarks"][0].endswith("in the run before, which ran 2 of its 5 prompt tokens.")
    assert second["lanes"][0]["steps"][0]["details"]["ttft_before"] == first["lanes"][0]["metrics"]["ttft_s"]
    assert all(sentence in second["verdict"]["sentences"] for sentence in second["lanes"][0]["remarks"])
    other = raced(llama, "w9", store)
    assert other["lanes"][0]["remarks"][0] == (
        "Prefix cache found 11 positions kept of a text that begins otherwise, so it ran the prompt's one token."
    )


def test_a_warm_up_or_a_second_lane_reuses_no_prefix(llama: LoadedModel) -> None:
    store = SessionPrefixes().for_session("page")
    first = raced(llama, "w3 w4 w5 w6", store, strategies="prefix_cache,prefix_cache")
    assert [reused(first, lane) for lane in (0, 1)] == [0, 0]
    assert [lane["steps"][0]["details"]["kept"] for lane in first["lanes"]] == [0, 0]
    assert [len(lane["remarks"]) for lane in first["lanes"]] == [2, 1]  # one is kept, and says so
    both = raced(llama, "w3 w4 w5 w6", store, strategies="prefix_cache,prefix_cache", schedule="simultaneous")
    assert [reused(both, lane) for lane in (0, 1)] == [3, 3]


def test_a_race_without_the_lane_keeps_the_stored_prefix(llama: LoadedModel) -> None:
    store = SessionPrefixes().for_session("page")
    raced(llama, "w3 w4 w5", store)
    raced(llama, "w6 w7 w8", store, strategies="dynamic_cache")
    assert reused(raced(llama, "w3 w4 w5 w6", store)) == 3


def test_visitors_and_models_share_no_prefix(word_models: Mapping[str, LoadedModel]) -> None:
    prefixes, (llama, gpt2) = SessionPrefixes(), word_models.values()
    raced(llama, "w3 w4 w5 w6", prefixes.for_session("one"))
    stranger = raced(llama, "w3 w4 w5 w6", prefixes.for_session("two"))
    assert (reused(stranger), stranger["lanes"][0]["steps"][0]["details"]["kept"]) == (0, 0)
    assert reused(raced(gpt2, "w3 w4 w5 w6", prefixes.for_session("one"))) == 0


def test_a_failed_lane_keeps_no_prefix_and_a_stopped_one_keeps_its_text(
    llama: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, stop = SessionPrefixes().for_session("page"), threading.Event()
    request = RaceRequest.parse({"prompt": "w3 w4", "chat": False, "strategies": "prefix_cache", "max_new_tokens": 99})
    session.run(request, llama, lambda e: stop.set() if isinstance(e, TokensCommitted) else None, stop, store)
    found = store.find(llama)
    assert found is not None and len(found.ids) == 2

    decode = PrefixCached.decode

    def failing(self: PrefixCached, job: Any) -> Iterator[Step]:
        yield from islice(decode(self, job), 3)
        raise RuntimeError("broken on purpose")

    monkeypatch.setattr(PrefixCached, "decode", failing)
    broken = raced(llama, "w3 w4 w5 w6", store)
    assert broken["lanes"][0]["status"] == "failed"
    assert store.find(llama) is found


@pytest.mark.slow
@pytest.mark.usefixtures("quick_limits")
def test_without_a_store_it_decodes_as_dynamic_cache_and_says_so(llama: LoadedModel) -> None:
    request = MeasureRequest.parse(
        {"prompt": "w3 w4 w5", "chat": False, "strategies": "dynamic_cache,prefix_cache", "max_new_tokens": 4,
         "repeats": 2}
    )  # fmt: skip
    document = measurement.run(request, llama, "id", lambda _: None, threading.Event())
    lane = document["lanes"][1]
    assert lane["status"] == "done"
    assert lane["remarks"][0].startswith("Prefix cache ran all 3 prompt tokens, as DynamicCache does: nothing is kept")
    assert raced(llama, "w3 w4 w5", None)["lanes"][0]["remarks"] == lane["remarks"]


def test_a_first_step_without_a_prefix_slot_makes_no_remark(llama: LoadedModel) -> None:
    steps = list(islice(map(record, PrefixCached().decode(job_of(llama, "w3 w4", NEW))), 3))
    assert [step.details for step in steps] == [{}, {}, {}]
    plain = list(islice(map(record, dynamic_cache.DynamicCached().decode(job_of(llama, "w3 w4", NEW))), 3))
    assert [(s.choices, s.positions, s.cache_bytes) for s in steps] == [
        (s.choices, s.positions, s.cache_bytes) for s in plain
    ]


def test_a_prefix_without_times_is_not_compared_by_time() -> None:
    step = Step((), 2, details={"kept": 9, "reused": 3})
    assert PrefixCached().remarks([TimedStep(step, 0.1)]) == ["Prefix cache reused 3 of 5 prompt tokens and ran 2."]


@pytest.mark.slow
@pytest.mark.parametrize("name", SLIDING)
@settings(max_examples=25, deadline=None)
@given(beginning=texts, first=texts, second=texts)
def test_layers_with_a_window_are_cut_at_any_position(
    name: str, beginning: list[int], first: list[int], second: list[int]
) -> None:
    """Windows of 8 positions, texts of up to 31: what is reused ends before, in and behind a window."""
    model = model_of(name)
    assert PrefixCached().unavailable_reason(model) is None
    _, kept = ran(model, text_of(beginning + first))
    steps, left = ran(model, text_of(beginning + second), kept)
    assert tokens(steps) == generated(model, text_of(beginning + second), NEW)
    assert steps[0].details["reused"] >= min(len(beginning), len(beginning + second) - 1)
    third, _ = ran(model, text_of(beginning), left)  # what was left after a reuse can be reused again
    assert tokens(third) == generated(model, text_of(beginning), NEW)


def test_bytes_that_windowed_layers_hold_beyond_the_window_are_counted_and_stated() -> None:
    model, text = model_of("mistral"), "w3 w4 w5 w6 w7 w8 w9 w10 w11 w12"
    steps, _ = ran(model, text)
    plain = list(islice(map(record, dynamic_cache.DynamicCached().decode(job_of(model, text, NEW))), NEW))
    beyond = [step.cache_bytes - theirs.cache_bytes for step, theirs in zip(steps, plain, strict=True)]
    assert [step.details.get("beyond_windows_bytes", 0) for step in steps] == beyond
    assert beyond[-1] == (10 + NEW - 1 - 7) * plain[-1].cache_bytes // 7
    remark = PrefixCached().remarks([TimedStep(step, 1.0) for step in steps])[1]
    assert remark.startswith("Prefix cache kept all positions of layers with a window too, so that a beginning can be ")
    assert len(PrefixCached().remarks([TimedStep(step, 1.0) for step in ran(model, "w3")[0][:2]])) == 1
    # Nobody keeps: there is nothing to cut.
    unkept = list(islice(map(record, PrefixCached().decode(job_of(model, text, NEW))), NEW))
    assert [step.cache_bytes for step in unkept] == [step.cache_bytes for step in plain]


@pytest.mark.parametrize("name", STATES)
def test_models_that_keep_more_than_keys_and_values_are_refused(name: str) -> None:
    assert PrefixCached().unavailable_reason(model_of(name))


def stretching(**kind: Any) -> LoadedModel:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=WORDS, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        rope_parameters=kind | {"rope_theta": 10000.0}, initializer_range=0.2, max_position_embeddings=64,
    )  # fmt: skip
    return loaded("stretching", LlamaForCausalLM(config).eval(), word_tokenizer())


def test_models_whose_keys_depend_on_the_text_length_are_refused() -> None:
    factors = {"short_factor": [1.0] * 4, "long_factor": [2.0] * 4, "factor": 4.0}
    model = stretching(rope_type="longrope", original_max_position_embeddings=16, **factors)
    assert "(longrope) change with the text's length" in (PrefixCached().unavailable_reason(model) or "")


def test_models_whose_keys_change_only_beyond_the_context_are_accepted() -> None:
    model = stretching(rope_type="dynamic", factor=2.0)
    assert PrefixCached().unavailable_reason(model) is None
    beginning = " ".join(f"w{n}" for n in range(3, 40))
    _, kept = ran(model, beginning)
    text = f"{beginning} " + " ".join(f"w{n}" for n in range(60, 60 + 64 - 37 - NEW))  # to the context's end
    steps, _ = ran(model, text, kept)
    assert tokens(steps) == generated(model, text, NEW)
    assert steps[0].details["reused"] == 37


def test_on_zerogpu_no_prefix_is_kept(llama: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    assert PrefixCached().unavailable_reason(llama) is None
    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    assert "ZeroGPU" in (PrefixCached().unavailable_reason(llama) or "")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
@pytest.mark.parametrize("name", ["qwen3", "gemma3"])
def test_the_kept_prefix_of_a_gpu_is_in_main_memory(name: str) -> None:
    model, store = model_of(name), SessionPrefixes().for_session("page")
    model.network.to("cuda")
    try:
        raced(model, "w3 w4 w5 w6", store)
        found = store.find(model)
        assert found is not None
        assert {tensor.device.type for pair in found.pairs for tensor in pair} == {"cpu"}
        again = raced(model, "w3 w4 w5 w7", store)
        assert reused(again) == 3
        assert "from main memory to the GPU: its first token came after" in again["lanes"][0]["remarks"][0]
    finally:
        model.network.to("cpu")
