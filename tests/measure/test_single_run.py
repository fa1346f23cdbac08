import gc
import threading

import torch

from kvdemo import strategies
from kvdemo.core.settings.race import RaceRequest
from kvdemo.core.types import TimedStep
from kvdemo.engine.lane import Lane
from kvdemo.engine.start_lane import start_lane
from kvdemo.measure.single_run import Trial, no_garbage_collection, take
from kvdemo.models.loaded import LoadedModel
from tests.scripted import step, time_steps


def test_a_trial_has_its_steps_and_metrics(tiny_llama: LoadedModel) -> None:
    trial = take(Lane(time_steps([0.5, 0.1, 0.2]), 3), tiny_llama, threading.Event())
    assert trial.reason == "length"
    assert trial.tokens == [10, 11, 12]
    assert (trial.metrics.ttft_s, round(trial.seconds, 6)) == (0.5, 0.8)
    assert trial.peak_bytes is None  # a CPU has no counter for it


def test_garbage_collection_is_off_during_the_steps_and_on_afterwards(tiny_llama: LoadedModel) -> None:
    seen = []
    take(Lane(time_steps([0.1] * 3), 3), tiny_llama, threading.Event(), lambda: seen.append(gc.isenabled()))
    assert seen == [False] * 3
    assert gc.isenabled()


def test_garbage_collection_that_was_off_stays_off() -> None:
    gc.disable()
    try:
        with no_garbage_collection():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_a_stop_is_seen_before_the_next_step(tiny_llama: LoadedModel) -> None:
    stop = threading.Event()
    trial = take(Lane(time_steps([0.1] * 9), 9), tiny_llama, stop, stop.set)
    assert (trial.reason, len(trial.steps)) == ("stopped", 1)


def test_a_lane_that_fails_says_why(tiny_llama: LoadedModel) -> None:
    def failing():  # type: ignore[no-untyped-def]
        yield TimedStep(step(1), 0.1)
        raise torch.OutOfMemoryError("CUDA out of memory")

    trial = take(Lane(failing(), 5), tiny_llama, threading.Event())
    assert trial.reason == "error"
    assert "ran out of memory" in (trial.error or "")


def test_a_real_lane_runs_to_its_token_count_past_the_end_of_text(tiny_llama: LoadedModel) -> None:
    request = RaceRequest("The fox", ignore_eos=True, chat=False)
    lane = start_lane(
        strategies.get("dynamic_cache"), request, tiny_llama, tiny_llama.prompt("The fox", chat=False), 40
    )
    assert len(take(lane, tiny_llama, threading.Event()).tokens) == 40


def test_the_text_of_a_trial_is_the_strategys_own_or_that_of_its_tokens(tiny_llama: LoadedModel) -> None:
    ids = tiny_llama.tokenizer.encode("ok 語", add_special_tokens=False)[:-1]
    by_ids = Trial([TimedStep(step(*ids[:2]), 0.1), TimedStep(step(*ids[2:]), 0.1)], "length")
    assert by_ids.text(tiny_llama) == "ok \ufffd"
    own = Trial([TimedStep(step(token, texts=("\ufffd",)), 0.1) for token in ids], "length")
    assert own.text(tiny_llama) == "\ufffd" * len(ids)
    assert Trial([], "stopped").text(tiny_llama) == ""
