"""What a visitor sent is worked on with limits: it can neither hold the server nor fill its memory."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator

import pytest

from kvdemo.core.errors import BadInput
from kvdemo.server.limited_process import ShortLived
from kvdemo.server.service import Service
from kvdemo.web.tabs.compare import MOST_BYTES

pytestmark = pytest.mark.slow
HOSTILE = "tests.server.hostile"
MACHINE = {"memory_gb": 16, "bandwidth_gb_s": 320}


@pytest.fixture(scope="module")
def calls() -> Iterator[ShortLived]:
    return ShortLived(HOSTILE)


def call(calls: ShortLived, name: str, *arguments: int, seconds: float = 30) -> object:
    return calls.call("The file", f"{HOSTILE}:{name}", *arguments, seconds=seconds)


def test_a_call_returns_the_functions_value_whatever_it_prints(calls: ShortLived) -> None:
    assert [call(calls, "add", 1, n) for n in range(3)] == [1, 2, 3]


def test_an_endless_call_is_ended_and_the_next_call_works(calls: ShortLived) -> None:
    call(calls, "add", 0, 0)
    begun = time.monotonic()
    with pytest.raises(BadInput, match="The file takes more than 0.5 s"):
        call(calls, "endless", seconds=0.5)
    assert time.monotonic() - begun < 20
    assert call(calls, "add", 1, 1) == 2


@pytest.mark.parametrize("name", ["greedy", "die"])
def test_a_call_that_fills_the_memory_or_crashes_fails_alone(calls: ShortLived, name: str) -> None:
    with pytest.raises(BadInput, match="too much memory"):
        call(calls, name)
    assert call(calls, "add", 1, 1) == 2


def test_a_refusal_keeps_its_sentence_and_an_unexpected_error_becomes_one(calls: ShortLived) -> None:
    with pytest.raises(BadInput, match="It is not so: choose another"):
        call(calls, "refuse")
    with pytest.raises(RuntimeError, match="ValueError: broken"):
        call(calls, "fail")


def test_a_killed_process_is_started_again(calls: ShortLived) -> None:
    with pytest.raises((BadInput, RuntimeError)):
        call(calls, "kill_server")  # each time that it is tried
    assert call(calls, "add", 1, 1) == 2


def test_calls_run_at_a_lower_priority_than_the_steps_of_a_race(calls: ShortLived) -> None:
    assert call(calls, "niceness") == 19


@pytest.fixture(scope="module")
def service() -> Service:
    made = Service()
    made.plan(MACHINE | {"config": '{"model_type": "gpt2"}'})  # what is imported once
    return made


@pytest.mark.parametrize(
    "config",
    [
        '{"model_type": "nemotron_h", "hybrid_override_pattern": "' + "*" * 900_000 + '"}',
        '{"model_type": "jamba", "num_hidden_layers": 1000, "num_experts": 65536}',
        '{"model_type": "mixtral", "num_hidden_layers": 1000, "num_local_experts": 65536}',
        '{"model_type": "bamba", "num_hidden_layers": 1000}',
    ],
    ids=["pattern", "jamba", "mixtral", "bamba"],
)
def test_a_hostile_configuration_is_refused_or_answered_in_seconds(service: Service, config: str) -> None:
    begun = time.monotonic()
    try:
        assert service.plan(MACHINE | {"config": config})["model"]
    except BadInput as refused:
        assert "Traceback" not in str(refused)
    assert time.monotonic() - begun < 15  # 5 s on a machine with nothing else to do; it was more than 60


def test_a_pasted_configuration_gives_the_same_plan_as_in_the_process(service: Service) -> None:
    plan = service.plan(MACHINE | {"config": '{"model_type": "gpt2"}', "dtype": "float16"})
    assert plan["cache"]["bytes_per_token"] == 36_864
    with pytest.raises(BadInput, match="not valid JSON"):
        service.plan(MACHINE | {"config": "{oops"})


def test_two_files_of_the_largest_size_are_compared_or_refused_in_seconds() -> None:
    runs = [{"tokens": 8, "e2e_s": 1.1 + n % 7, "ttft_s": 0.1, "tpot_s": 0.2} for n in range(MOST_BYTES // 64)]
    document = {
        "schema": 1, "kind": "measure", "environment": {}, "model": {"id": "m"}, "settings": {},
        "prompt": {"text": "x", "tokens": [1]}, "lanes": [{"strategy": "no_cache", "name": "N", "runs": runs}],
    }  # fmt: skip
    text = json.dumps(document)
    assert len(text) > 0.9 * MOST_BYTES
    service = Service()
    begun = time.monotonic()
    with contextlib.suppress(BadInput):
        assert service.compare(text, text + " ")["lanes"]
    assert time.monotonic() - begun < 15  # 5 s on a machine with nothing else to do


def test_a_file_that_is_no_document_is_refused_in_one_sentence() -> None:
    with pytest.raises(BadInput, match="File A: The file is not JSON"):
        Service().compare("{oops", "{}")
