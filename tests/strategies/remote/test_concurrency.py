"""Equal requests at once: all are sent before one is answered, each is timed, and nothing of them is left behind."""

import threading
import time
from collections.abc import Iterable, Iterator

import pytest

from kvdemo.core.errors import BadInput
from kvdemo.core.types import Choice, Step
from kvdemo.models.loaded import LoadedModel
from kvdemo.strategies.remote.concurrent_requests import EqualRequests
from tests.strategies.remote.conftest import PROMPT, raced
from tests.strategies.serving import Between, between, changed, cut, transformers_serve

LANE = "remote:concurrency=3"


@pytest.fixture
def link(server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Between]:
    with between(server) as link:
        monkeypatch.setenv("KVDEMO_REMOTE_URL", link.url)
        yield link


@pytest.mark.slow
def test_transformers_serve_writes_what_the_default_model_writes_here(
    smollm2: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert smollm2.source.folder is not None
    with transformers_serve(smollm2.source.folder) as url:
        monkeypatch.setenv("KVDEMO_REMOTE_URLS", f"serve={url}")
        document = raced(smollm2, "no_cache", "remote:concurrency=2", chat=None, max_new_tokens=8)
    local, served = document["lanes"]
    assert served["status"] == "done"
    assert served["text"].strip() == local["text"].strip()
    assert served["requests"]["equal_texts"] == 2


def behind_the_warm_up(link: Between, prompt: str = PROMPT) -> int:
    """How many requests have been asked for the real prompt."""
    return sum(request["prompt"] == prompt for request in link.asked)


def test_the_document_has_each_request_and_their_totals(link: Between, tiny_llama: LoadedModel) -> None:
    document = raced(tiny_llama, "dynamic_cache", LANE)
    lane = document["lanes"][1]
    told = lane["requests"]
    assert behind_the_warm_up(link) == len(told["each"]) == 3
    assert {one["tokens"] for one in told["each"]} == {12}
    assert (told["tokens"], told["equal_texts"]) == (36, 3)
    assert told["tokens_per_s"] == told["tokens"] / told["seconds"]
    assert told["seconds"] >= max(one["e2e_s"] for one in told["each"])
    for one in told["each"]:
        assert one["e2e_s"] == pytest.approx(one["ttft_s"] + 11 * one["tpot_s"])
    assert lane["options"]["concurrency"] == 3
    sentences = " ".join(document["verdict"]["sentences"])
    assert "Remote (concurrency 3): 3 equal requests at once were answered with 36 tokens in" in sentences
    assert "The text shown is that of request 1; all 3 are equal." in sentences


def test_a_single_request_has_no_concurrency_figures(link: Between, tiny_llama: LoadedModel) -> None:
    document = raced(tiny_llama, "remote")
    assert "requests" not in document["lanes"][0]
    assert "at once" not in " ".join(document["lanes"][0]["remarks"])
    assert behind_the_warm_up(link) == 1


def test_all_requests_are_sent_before_the_first_is_answered(link: Between, tiny_llama: LoadedModel) -> None:
    met = threading.Barrier(3)

    def wait_for_the_others(lines: Iterable[bytes]) -> Iterator[bytes]:
        met.wait(20)
        yield from lines

    link.mischief = wait_for_the_others
    assert raced(tiny_llama, LANE)["lanes"][0]["status"] == "done"


def test_differing_texts_are_counted_and_the_first_is_shown(link: Between, tiny_llama: LoadedModel) -> None:
    asked = 0

    def one_in_capitals(lines: Iterable[bytes]) -> Iterable[bytes]:
        nonlocal asked
        asked += 1
        last = asked == 6  # three have warmed up

        def capitals(event: dict) -> None:
            if last and event["choices"] and event["choices"][0].get("text"):
                event["choices"][0]["text"] = "X"

        return changed(capitals)(lines)

    link.mischief = one_in_capitals
    lane = raced(tiny_llama, LANE)["lanes"][0]
    equal = 1 if "X" in lane["text"] else 2
    assert lane["requests"]["equal_texts"] == equal
    assert lane["remarks"][-1] == f"The text shown is that of request 1; {equal} of 3 are this one."


def test_a_failed_request_is_left_out_of_the_totals_and_stated(link: Between, tiny_llama: LoadedModel) -> None:
    asked = 0

    def break_the_first_behind_the_warm_up(lines: Iterable[bytes]) -> Iterable[bytes]:
        nonlocal asked
        asked += 1
        return cut(2)(lines) if asked == 4 else lines

    link.mischief = break_the_first_behind_the_warm_up
    lane = raced(tiny_llama, LANE)["lanes"][0]
    if lane["status"] == "failed":  # it was the one that is shown: the others are given up
        assert "requests" not in lane
        return
    failed = [one for one in lane["requests"]["each"] if one["error"]]
    assert [one["e2e_s"] for one in failed] == [None]
    assert lane["requests"]["tokens"] == 24
    assert "1 of the 3 requests failed, the first because: The remote server" in " ".join(lane["remarks"])


def test_the_next_remote_lane_begins_when_all_requests_of_the_last_have_ended(
    link: Between, tiny_llama: LoadedModel
) -> None:
    open_streams, asked, beside = 0, 0, -1
    lock = threading.Lock()

    def slow(lines: Iterable[bytes]) -> Iterator[bytes]:
        nonlocal open_streams, asked, beside
        with lock:
            asked += 1
            mine, beside = asked, open_streams
            open_streams += 1
        try:
            time.sleep({5: 0.6, 6: 0.3}.get(mine, 0))  # what is sent before the request that is shown
            yield from lines
        finally:
            with lock:
                open_streams -= 1

    link.mischief = slow
    document = raced(tiny_llama, LANE, "remote")
    assert [lane["status"] for lane in document["lanes"]] == ["done", "done"]
    assert asked == 8
    assert beside == 0


@pytest.mark.parametrize("count", [0, 65, "many"])
def test_the_number_of_requests_has_bounds(count: object, tiny_llama: LoadedModel) -> None:
    with pytest.raises(BadInput, match="must be a whole number from 1 to 64"):
        raced(tiny_llama, f"remote:concurrency={count}")


class Scripted:
    """Answers of three tokens: the first request's at once, the others' once they are let go on."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.asked = self.closed = 0
        self._lock = threading.Lock()
        self.first = threading.get_ident()

    def __call__(self) -> Iterator[Step]:
        with self._lock:
            self.asked += 1
        try:
            for word in ("a", "b", "c"):
                if threading.get_ident() != self.first:
                    assert self.go_on.wait(20)
                yield Step((Choice(-1, -1.0, -1, -1.0),), 0, texts=(word,))
        finally:
            with self._lock:
                self.closed += 1


def test_the_lane_waits_for_all_requests_after_the_first_has_ended() -> None:
    script = Scripted()
    requests = EqualRequests(script, 4, 3)
    assert [step.texts for step in requests.first()] == [("a",), ("b",), ("c",)]
    threading.Timer(0.05, script.go_on.set).start()
    together = requests.wait(threading.Event())
    assert together is not None
    assert (together.tokens, together.equal_texts, script.closed) == (12, 4, 4)
    slowest = max(one.e2e_s or 0 for one in together.each[1:])
    assert slowest > (together.each[0].e2e_s or 0)
    assert together.seconds >= slowest


def test_stop_ends_the_wait_without_concurrency_figures() -> None:
    script, stop = Scripted(), threading.Event()
    requests = EqualRequests(script, 3, 3)
    list(requests.first())
    stop.set()
    assert requests.wait(stop) is None
    requests.give_up(600, stop)  # who has stopped does not wait for connections to close
    assert script.closed < 3
    script.go_on.set()
    requests.give_up(20, threading.Event())
    assert script.closed == 3


def test_a_lane_that_ends_early_cancels_its_other_requests() -> None:
    """A warm-up takes a few tokens: what it has asked for besides must not run into the race."""
    script = Scripted()
    requests = EqualRequests(script, 3, 3)
    steps = requests.first()
    next(steps)
    steps.close()
    script.go_on.set()
    requests.give_up(20, threading.Event())
    assert script.closed == 3
    assert requests.wait(threading.Event()) is None
