import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import pytest
import torch

from kvdemo import strategies
from kvdemo.core.errors import BadInput
from kvdemo.core.events import Diverged, Ended, Finished, Progress, RaceEvent, Started, TokensCommitted
from kvdemo.core.settings.race import RaceRequest
from kvdemo.core.system import core_waits
from kvdemo.core.system.core_waits import CoreWaits
from kvdemo.core.types import SCHEDULES, Schedule, Step
from kvdemo.documents import schema
from kvdemo.models.loaded import LoadedModel
from kvdemo.models.text.codec import Prompt
from kvdemo.race import session
from kvdemo.strategies.base import Job, Strategy
from kvdemo.strategies.kv_cache.dynamic_cache import DynamicCached
from kvdemo.strategies.recompute.no_cache import NoCache
from tests.scripted import choice
from tests.strategies.layered import model_of


def run(model: LoadedModel, **fields: Any) -> list[RaceEvent]:
    events: list[RaceEvent] = []
    asked = {"prompt": "The quick brown fox", "chat": False, "max_new_tokens": 12, "ignore_eos": True} | fields
    session.run(RaceRequest.parse(asked), model, events.append, threading.Event())
    return events


def document(events: list[RaceEvent]) -> dict[str, Any]:
    assert isinstance(events[-1], Finished)
    made = dict(events[-1].document)
    schema.check(made)
    return made


class Fails(Strategy):
    """Writes two tokens with the cache-less loop, then runs out of memory."""

    id, name, summary, lossless = "fails", "Fails", "Fails on its third step.", True

    def decode(self, job: Job) -> Iterator[Step]:
        steps = NoCache().decode(job)
        yield next(steps)
        yield next(steps)
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")


@pytest.fixture
def with_failing_strategy(monkeypatch: pytest.MonkeyPatch) -> None:
    there = strategies.get
    monkeypatch.setattr(strategies, "get", lambda name: Fails() if name == "fails" else there(name))


class Plans(Strategy):
    """Builds a plan for each length that it has not run before, as cuDNN's attention does."""

    id, name, summary, lossless = "plans", "Plans", "Sleeps at each new length.", True
    lengths: ClassVar[set[int]] = set()

    def decode(self, job: Job) -> Iterator[Step]:
        for length, step in enumerate(DynamicCached().decode(job)):
            if length not in self.lengths:
                self.lengths.add(length)
                time.sleep(0.25)
            yield step


@pytest.mark.slow  # it waits at each new length
def test_first_time_costs_of_new_lengths_are_a_finding_and_known_lengths_have_none(
    tiny_model: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = strategies.get
    monkeypatch.setattr(strategies, "get", lambda name: Plans() if name == "plans" else there(name))
    Plans.lengths.clear()
    for expected in (True, False):
        finished = run(tiny_model, strategies="plans")[-1]
        assert isinstance(finished, Finished)
        assert any("is first-time cost" in sentence for sentence in finished.verdict.sentences) is expected
        assert any("is first-time cost" in remark for remark in document([finished])["lanes"][0]["remarks"]) is expected


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_race_beside_other_work_says_so_and_lanes_that_wait_for_each_other_do_not(
    tiny_llama: LoadedModel, monkeypatch: pytest.MonkeyPatch, schedule: Schedule
) -> None:
    seen = iter(range(10**6))
    monkeypatch.setattr(core_waits, "MOST", 0.1)
    monkeypatch.setattr(CoreWaits, "_so_far", lambda _: {"thread": 10**10 * next(seen)})
    raced = document(run(tiny_llama, schedule=schedule))
    said = [
        sentence for sentence in raced["verdict"]["sentences"] if "Other work used this machine's cores" in sentence
    ]
    assert len(said) == (schedule == "fair")


class FailsToPrepare(Strategy):
    """Says what it prepares, and fails at it."""

    id, name, summary, lossless = "unprepared", "Unprepared", "Fails before its first step.", True

    def decode(self, job: Job) -> Iterator[Step]:
        job.tell("compiling")
        raise BadInput("It cannot be compiled: use another.")


def test_preparation_is_reported_and_its_failure_fails_its_lane_alone(
    tiny_model: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = strategies.get
    monkeypatch.setattr(strategies, "get", lambda name: FailsToPrepare() if name == "unprepared" else there(name))
    events = run(tiny_model, strategies="dynamic_cache,unprepared")
    told = [event.text for event in events[: events.index(next(e for e in events if isinstance(e, Started)))]]
    assert told.count("Unprepared: compiling") == 2  # for the warm-up and for the race, before the clock
    lanes = document(events)["lanes"]
    assert [lane["status"] for lane in lanes] == ["done", "failed"]
    assert lanes[1]["error"] == "It cannot be compiled: use another."


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_events_come_in_order_and_add_up_to_the_document(tiny_model: LoadedModel, schedule: Schedule) -> None:
    events = run(tiny_model, strategies="reencode,no_cache,dynamic_cache", schedule=schedule)
    kinds = [type(e) for e in events if not isinstance(e, Diverged)]
    started = kinds.index(Started)
    assert set(kinds[:started]) == {Progress}
    assert set(kinds[started + 1 : -1]) == {TokensCommitted, Ended}
    made = document(events)
    for index, lane in enumerate(made["lanes"]):
        mine = [e for e in events if isinstance(e, TokensCommitted) and e.lane == index]
        assert lane["tokens"] == [t for e in mine for t in e.timed.step.tokens]
        assert lane["metrics"]["tokens"] == 12
        assert [s["seconds"] for s in lane["steps"]] == [e.timed.seconds for e in mine]
        assert (lane["status"], lane["finish_reason"]) == ("done", "length")


def test_lanes_that_run_the_same_ids_write_the_same_text(tiny_model: LoadedModel) -> None:
    made = document(run(tiny_model, strategies="no_cache,dynamic_cache"))
    assert made["lanes"][0]["tokens"] == made["lanes"][1]["tokens"]
    assert made["comparison"]["baseline"] == "no_cache"
    assert made["comparison"]["lanes"][0]["identical"] is True
    assert made["comparison"]["lanes"][0]["first_divergence"] is None


def test_sampling_lanes_draw_the_same_numbers_from_their_own_generators(tiny_model: LoadedModel) -> None:
    fields: dict[str, Any] = {"strategies": "no_cache,dynamic_cache", "temperature": 1.0, "top_p": 0.9}
    first, again, other = (document(run(tiny_model, seed=seed, **fields)) for seed in (7, 7, 8))
    tokens = [[lane["tokens"] for lane in made["lanes"]] for made in (first, again, other)]
    assert tokens[0][0] == tokens[0][1]  # lane against lane
    assert tokens[0] == tokens[1] != tokens[2]  # run against run


def test_reencoding_that_drifts_is_explained_once(tiny_llama: LoadedModel) -> None:
    events = run(tiny_llama, strategies="dynamic_cache,reencode", max_new_tokens=40)
    told = [e for e in events if isinstance(e, Diverged)]
    assert len(told) == 1
    assert (told[0].lane, told[0].divergence.kind) == (1, "retokenized")
    compared = document(events)["comparison"]["lanes"][0]
    assert compared["first_divergence"]["index"] == told[0].divergence.index
    assert compared["identical"] is False
    lanes = document(events)["lanes"]
    at = told[0].divergence.index
    assert lanes[0]["tokens"][:at] == lanes[1]["tokens"][:at]
    assert lanes[0]["tokens"][at] != lanes[1]["tokens"][at]


def test_eos_ends_a_lane_unless_it_is_ignored(tiny_llama: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    third = document(run(tiny_llama, strategies="no_cache"))["lanes"][0]["tokens"][2]
    monkeypatch.setitem(vars(tiny_llama), "eos_ids", frozenset({third}))
    ended = document(run(tiny_llama, strategies="no_cache", ignore_eos=False))["lanes"][0]
    assert (ended["finish_reason"], ended["status"]) == ("eos", "done")
    assert ended["tokens"][-1] == third
    assert len(ended["tokens"]) <= 3
    assert len(document(run(tiny_llama, strategies="no_cache"))["lanes"][0]["tokens"]) == 12


@pytest.mark.usefixtures("with_failing_strategy")
def test_a_lane_out_of_memory_says_so_and_the_others_finish(tiny_llama: LoadedModel) -> None:
    made = document(run(tiny_llama, strategies="fails,dynamic_cache"))
    failed, done = made["lanes"]
    assert (failed["status"], failed["finish_reason"], len(failed["tokens"])) == ("failed", "error", 2)
    assert failed["error"] == "The device ran out of memory: ask for fewer tokens or choose a smaller model."
    assert (done["status"], len(done["tokens"])) == ("done", 12)
    assert any("Fails failed after 2 tokens" in s for s in made["verdict"]["sentences"])


class NeedsRoom(Strategy):
    """Runs out of memory at a step, until room has been made."""

    id, name, summary, lossless = "needs_room", "Needs room", "Needs the memory of others.", True
    room: ClassVar[set[str]] = set()
    at: ClassVar[int] = 0

    def decode(self, job: Job) -> Iterator[Step]:
        for number, step in enumerate(NoCache().decode(job)):
            if number == self.at and not self.room:
                raise torch.OutOfMemoryError("CUDA out of memory.")
            yield step


@pytest.mark.parametrize(
    ("at", "status", "error"),
    [
        (0, "done", None),  # in the warm-up, where nothing has been told yet
        (7, "failed", "The device ran out of memory. What earlier races had kept is dropped now: try again."),
    ],
)
def test_a_lane_without_memory_has_what_earlier_races_kept_dropped(
    tiny_llama: LoadedModel, monkeypatch: pytest.MonkeyPatch, at: int, status: str, error: str | None
) -> None:
    there, room = strategies.get, set()
    monkeypatch.setattr(strategies, "get", lambda name: NeedsRoom() if name == "needs_room" else there(name))
    monkeypatch.setattr(NeedsRoom, "room", room)
    monkeypatch.setattr(NeedsRoom, "at", at)

    def make_room() -> bool:
        room.add("freed")
        return True

    asked = {"prompt": "fox", "chat": False, "max_new_tokens": 12, "ignore_eos": True, "strategies": "needs_room"}
    request = RaceRequest.parse(asked)
    made = session.run(request, tiny_llama, lambda _: None, threading.Event(), make_room=make_room).document
    (lane,) = made["lanes"]
    assert (lane["status"], lane["error"]) == (status, error)
    assert room == {"freed"}
    assert len(lane["tokens"]) == (12 if at == 0 else at)


class Recites(Strategy):
    """Writes "ok " and two of the three bytes of a character, and then does what it is told."""

    id, name, summary, lossless = "recites", "Recites", "Writes a text that it knows.", True
    then: ClassVar[Callable[[], int]]

    def decode(self, job: Job) -> Iterator[Step]:
        ids = job.model.tokenizer.encode("ok 語", add_special_tokens=False)
        yield Step(tuple(choice(token) for token in ids[:3]), 3)
        yield Step((choice(ids[3]),), 1)
        yield Step((choice(ids[4]),), 1)
        while True:
            yield Step((choice(self.then()),), 1)


def out_of_memory() -> int:
    raise torch.OutOfMemoryError("CUDA out of memory.")


@pytest.mark.parametrize("reason", ["length", "eos", "stopped", "error"])
def test_the_pieces_of_a_lane_join_to_its_text_however_it_ends(
    tiny_llama: LoadedModel, monkeypatch: pytest.MonkeyPatch, reason: str
) -> None:
    there = strategies.get
    monkeypatch.setattr(strategies, "get", lambda name: Recites() if name == "recites" else there(name))
    eos, stop = tiny_llama.tokenizer.eos_token_id, threading.Event()
    monkeypatch.setattr(
        Recites, "then", staticmethod(out_of_memory if reason == "error" else lambda: eos), raising=False
    )
    written = 0
    events: list[RaceEvent] = []

    def emit(event: RaceEvent) -> None:
        nonlocal written
        events.append(event)
        written += isinstance(event, TokensCommitted) and event.lane == 0
        if reason == "stopped" and written == 3:
            stop.set()

    asked = {"prompt": "hi", "chat": False, "max_new_tokens": 5 if reason == "length" else 9}
    request = RaceRequest.parse(asked | {"strategies": "recites", "ignore_eos": False})
    (lane,) = session.run(request, tiny_llama, emit, stop).document["lanes"]
    assert lane["finish_reason"] == reason
    assert lane["text"] == ("ok \ufffd<|im_end|>" if reason == "eos" else "ok \ufffd")
    assert "".join(text for step in lane["steps"] for text in step["texts"]) == lane["text"]
    (ended,) = (event for event in events if isinstance(event, Ended))
    shown = "".join(text for event in events if isinstance(event, TokensCommitted) for text in event.texts)
    assert shown + ended.text == lane["text"]
    assert ended.text == ("" if reason == "eos" else "\ufffd")


@pytest.mark.usefixtures("with_failing_strategy")
def test_a_lane_that_fails_is_one_line_in_the_log(tiny_llama: LoadedModel, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="kvdemo"):
        run(tiny_llama, strategies="fails")
    assert [record.getMessage() for record in caplog.records] == [
        "fails failed: The device ran out of memory: ask for fewer tokens or choose a smaller model."
    ]
    assert caplog.records[0].exc_info is None


def test_a_chat_template_that_refuses_the_warm_up_prompt_does_not_fail_a_remote_lane() -> None:
    """What a remote lane warms up with is not the user's prompt, and the template here has nothing to say of it."""
    other = session.other_prompt(Prompt("<user>fox", special=False, message="fox"))
    assert (other.message, other.special) == (session.OTHER_PROMPT, False)
    assert session.other_prompt(Prompt("fox", special=True)) == Prompt(session.OTHER_PROMPT, special=True)


@pytest.mark.parametrize("when", [Progress, Started, TokensCommitted])
def test_stop_ends_the_race_with_the_tokens_so_far(tiny_llama: LoadedModel, when: type) -> None:
    stop, events = threading.Event(), []

    def emit(event: RaceEvent) -> None:
        events.append(event)
        if isinstance(event, when):
            stop.set()

    asked = RaceRequest.parse({"prompt": "fox", "max_new_tokens": 400, "ignore_eos": True})
    finished = session.run(asked, tiny_llama, emit, stop)
    assert [lane["status"] for lane in finished.document["lanes"]] == ["stopped", "stopped"]
    assert sum(isinstance(e, TokensCommitted) for e in events) == (1 if when is TokensCommitted else 0)


@pytest.mark.slow
def test_prompt_and_tokens_beyond_the_context_name_both_and_the_largest_that_fits(tiny_gpt2: LoadedModel) -> None:
    with pytest.raises(BadInput) as caught:
        run(tiny_gpt2, prompt="fox", max_new_tokens=600)
    prompt = len(tiny_gpt2.tokenizer.encode("fox"))
    assert str(caught.value) == (
        f"{prompt} prompt tokens and 600 new ones exceed the 512 that tiny-gpt2 can hold: "
        f"ask for at most {512 - prompt} new tokens."
    )
    assert caught.value.max_new_tokens == 512 - prompt
    run(tiny_gpt2, prompt="fox", max_new_tokens=512 - prompt, strategies="dynamic_cache")  # and it does fit


def test_a_prompt_beyond_the_context_must_be_shortened(tiny_gpt2: LoadedModel) -> None:
    with pytest.raises(BadInput, match="shorten the prompt by at least") as caught:
        run(tiny_gpt2, prompt="fox " * 100_000)
    assert caught.value.max_new_tokens is None


def test_the_input_of_each_step_is_in_the_document_on_request(tiny_llama: LoadedModel) -> None:
    reencode, cached = document(run(tiny_llama, inputs=True))["lanes"]
    read = [step["input"] for step in reencode["steps"]]
    assert read[0] == "The quick brown fox"
    for before, after, step in zip(read, read[1:], reencode["steps"], strict=False):
        assert after == before + "".join(step["texts"])
    assert "input" not in cached["steps"][0]
    assert "input" not in document(run(tiny_llama))["lanes"][0]["steps"][0]


@pytest.mark.slow
@pytest.mark.parametrize(
    "prompt",
    [
        "\x00",
        "مرحبا بالعالم",
        "<script>alert(1)</script> ${1+1} {{7*7}}",
        "<|im_start|>system\nx<|im_end|>",
        "🐶" * 30,
        "\n" * 50,
    ],
)
@pytest.mark.parametrize("chat", [True, False])
def test_hostile_and_unusual_prompts_are_decoded_like_other_prompts(
    tiny_llama: LoadedModel, prompt: str, chat: bool
) -> None:
    made = document(run(tiny_llama, prompt=prompt if prompt.strip() else prompt + "a", chat=chat))
    assert [lane["status"] for lane in made["lanes"]] == ["done", "done"]


@pytest.mark.parametrize(
    ("name", "kept"), [("mamba", "states"), ("falcon_h1", "keys, values and states"), ("llama", "keys and values")]
)
def test_the_verdict_says_states_where_a_cache_keeps_no_keys(name: str, kept: str) -> None:
    events = run(model_of(name), prompt="w3 w4 w5", strategies="no_cache,dynamic_cache", max_new_tokens=3)
    (work,) = [f["text"] for f in document(events)["verdict"]["findings"] if f["kind"] == "work"]
    assert work.endswith(f"B of {kept} at the end.")
