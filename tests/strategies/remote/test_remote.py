"""The lane of another machine: a real server, and a go-between for what it would not do when asked."""

import logging
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from kvdemo.core.errors import BadInput
from kvdemo.core.events import RaceEvent, TokensCommitted
from kvdemo.core.settings.measure import MeasureRequest
from kvdemo.measure.check import check_measurement
from kvdemo.models.loaded import LoadedModel
from kvdemo.race import session
from kvdemo.strategies import get
from kvdemo.strategies.remote import openai_client
from tests.strategies.remote.conftest import PROMPT, raced
from tests.strategies.serving import Between, Mischief, between, changed, cut, pause

KEY = "sk-not-to-be-seen"


@pytest.fixture
def link(server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Between]:
    """The go-between that the app is told to use."""
    with between(server) as link:
        monkeypatch.setenv("KVDEMO_REMOTE_URL", link.url)
        monkeypatch.setenv("KVDEMO_REMOTE_KEY", KEY)
        monkeypatch.delenv("KVDEMO_REMOTE_MODEL", raising=False)
        yield link


def error_of(document: dict) -> str:
    """Why the remote lane failed; the local one must not have."""
    local, remote = document["lanes"]
    assert (local["status"], remote["status"]) == ("done", "failed")
    return str(remote["error"])


@pytest.mark.parametrize("chat", [False, True])
def test_a_remote_lane_writes_the_text_of_the_same_local_model(
    link: Between, tiny_llama: LoadedModel, chat: bool
) -> None:
    document = raced(tiny_llama, prompt="She poured coffee.", chat=chat, max_new_tokens=24)
    local, remote = document["lanes"]
    visible = local["text"].replace("<|im_end|>", "").replace("<|im_start|>", "")  # the server leaves these out
    assert remote["text"].rstrip("\ufffd") == visible.rstrip("\ufffd")[: len(remote["text"])]
    assert len(remote["tokens"]) == 24
    assert remote["metrics"]["ttft_s"] > 0
    assert link.asked[-1].get("messages" if chat else "prompt")


@pytest.mark.usefixtures("link")
def test_figures_that_only_the_remote_machine_knows_are_left_out(tiny_llama: LoadedModel) -> None:
    document = raced(tiny_llama)
    _, remote = document["lanes"]
    assert remote["metrics"]["positions"] is None
    assert {(s["positions"], s["cache_bytes"], *s["logprobs"]) for s in remote["steps"] if s["tokens"] == 1} == {
        (None, None, None)
    }
    assert set(remote["tokens"]) == {None}
    assert "cannot be told apart" in remote["remarks"][0]
    assert not any("position" in sentence for sentence in document["verdict"]["sentences"])


def test_the_prompt_is_sent_once_and_the_warm_up_uses_another(link: Between, tiny_llama: LoadedModel) -> None:
    raced(tiny_llama, temperature=0.7, top_p=0.9, seed=5)
    prompts = [request["prompt"] for request in link.asked]
    assert prompts == [session.OTHER_PROMPT, PROMPT]
    sent = link.asked[-1]
    assert (sent["temperature"], sent["top_p"], sent["seed"], sent["max_tokens"]) == (0.7, 0.9, 5, 12)


@pytest.mark.usefixtures("link")
def test_a_remote_lane_runs_to_its_end_in_its_first_turn(tiny_llama: LoadedModel) -> None:
    events: list[RaceEvent] = []
    raced(tiny_llama, emit=events.append)
    order = [event.lane for event in events if isinstance(event, TokensCommitted)]
    first, last = order.index(1), len(order) - 1 - order[::-1].index(1)
    assert set(order[first : last + 1]) == {1}


def test_log_probabilities_give_the_token_count_when_present(link: Between, tiny_llama: LoadedModel) -> None:
    def told(event: dict) -> None:
        if text := event["choices"][0].get("text"):
            pair = {"tokens": [text[:1], text[1:]], "token_logprobs": [-0.5, -0.25]}
            event["choices"][0]["logprobs"] = pair
        event.pop("usage", None)

    link.mischief = changed(told)
    remote = raced(tiny_llama, max_new_tokens=6)["lanes"][1]
    assert len(remote["tokens"]) == 6
    assert [step["logprobs"] for step in remote["steps"]] == [[-0.5, -0.25]] * 3


@pytest.mark.parametrize(
    ("pair", "logprobs"),
    [
        ({"tokens": ["a", "b"]}, [None, None]),
        ({"tokens": ["a", "b"], "token_logprobs": None}, [None, None]),
        ({"tokens": ["a", "b"], "token_logprobs": [-0.5]}, [-0.5, None]),
        ({"tokens": ["a"], "token_logprobs": [-0.5, -0.25]}, [-0.5, -0.25]),
        ({"tokens": [None, "b"], "token_logprobs": [None, -0.25]}, [None, -0.25]),
        ({"token_logprobs": [-0.5, -0.25]}, [-0.5, -0.25]),
        ({"content": [{"token": "a", "logprob": None}, {"token": "b", "logprob": -0.25}]}, [None, -0.25]),
        ({"tokens": ["a", "b"], "token_logprobs": [-1e999, -0.25]}, [None, -0.25]),
        ({"tokens": ["a", "b"], "token_logprobs": [float("nan"), -0.25]}, [None, -0.25]),
    ],
)
def test_tokens_that_come_without_their_log_probabilities_are_tokens(
    link: Between, tiny_llama: LoadedModel, pair: dict, logprobs: list[float | None]
) -> None:
    """Half a list made a step of no tokens, and its text was lost."""
    answers: list[list[str]] = []  # to the warm-up, which may still be under way, and to the race

    def fresh(lines: Iterable[bytes]) -> Iterable[bytes]:
        sent: list[str] = []
        answers.append(sent)

        def told(event: dict) -> None:
            if text := event["choices"][0].get("text"):
                sent.append(text)
                event["choices"][0]["logprobs"] = pair
            event.pop("usage", None)

        return changed(told)(lines)

    link.mischief = fresh
    remote = raced(tiny_llama, max_new_tokens=4)["lanes"][1]
    assert [step["tokens"] for step in remote["steps"]] == [2, 2]
    assert [step["logprobs"] for step in remote["steps"]] == [logprobs] * 2
    assert remote["text"] == "".join(answers[-1][:2])


def test_a_running_usage_count_gives_the_tokens_of_each_event(link: Between, tiny_llama: LoadedModel) -> None:
    def fresh(lines: Iterable[bytes]) -> Iterable[bytes]:
        seen = 0  # of this answer alone: that to the warm-up may still be under way

        def three_at_a_time(event: dict) -> None:
            nonlocal seen
            seen += 3
            event["usage"] = {"completion_tokens": seen, "prompt_tokens": 4, "total_tokens": seen + 4}

        return changed(three_at_a_time)(lines)

    link.mischief = fresh
    remote = raced(tiny_llama, max_new_tokens=6)["lanes"][1]
    assert [step["tokens"] for step in remote["steps"]] == [3, 3]


def test_tokens_without_text_are_counted_at_the_end(link: Between, tiny_llama: LoadedModel) -> None:
    def two_more(event: dict) -> None:
        if "usage" in event:
            event["usage"]["completion_tokens"] = 12

    link.mischief = changed(two_more)
    document = raced(tiny_llama, max_new_tokens=12, prompt="a\n\n\n")
    remote = document["lanes"][1]
    assert len(remote["tokens"]) == 12


@pytest.mark.parametrize("always", [False, True])
def test_a_token_count_above_the_request_is_ignored(link: Between, tiny_llama: LoadedModel, always: bool) -> None:
    def boast(event: dict) -> None:
        if always or "usage" in event:
            event["usage"] = {"completion_tokens": 10**12, "prompt_tokens": 4, "total_tokens": 10**12 + 4}

    link.mischief = changed(boast)
    remote = raced(tiny_llama, max_new_tokens=12)["lanes"][1]
    assert (remote["status"], len(remote["tokens"])) == ("done", 12)


def test_a_text_that_ends_early_ends_the_lane(link: Between, tiny_llama: LoadedModel) -> None:
    def ended(_: Iterable[bytes]) -> Iterable[bytes]:
        text = b'data: {"choices": [{"index": 0, "text": "Hi"}]}\n'
        end = b'data: {"choices": [{"index": 0, "text": "", "finish_reason": "stop"}], "usage": '
        return [text, end + b'{"completion_tokens": 3}}\n']

    link.mischief = ended
    remote = raced(tiny_llama)["lanes"][1]
    assert (remote["finish_reason"], remote["text"], len(remote["tokens"])) == ("eos", "Hi", 3)
    assert "2 tokens came without text of their own" in " ".join(remote["remarks"])


def without_usage(event: dict) -> None:
    event.pop("usage", None)
    if event["choices"][0].get("finish_reason"):
        event["choices"][0]["finish_reason"] = "stop"


def drop_events(lines: Iterable[bytes]) -> Iterable[bytes]:
    return [line for number, line in enumerate(lines) if number % 2 == 0]


def counting(tokens: Any) -> Mischief:
    """An answer whose count of tokens is this."""

    def told(event: dict) -> None:
        if "usage" in event:
            event["usage"]["completion_tokens"] = tokens

    return changed(told)


BROKEN: dict[str, tuple[Mischief, str]] = {
    "drops midway": (cut(2), "broke the connection"),
    "drops at once": (cut(0), "broke the connection"),
    "is silent": (pause(5, after=1), "sent nothing for"),
    "no JSON": (lambda _: [b"data: {oops\n"], "no stream of completions"),
    "another JSON": (lambda _: [b'data: {"hello": "world"}\n'], "no stream of completions"),
    "choices by name": (lambda _: [b'data: {"choices": {"0": {"text": "a"}}}\n'], "no stream of completions"),
    "counts below zero": (counting(-5), "no stream of completions"),
    "counts in words": (counting("many"), "no stream of completions"),
    "an error event": (lambda _: [b'data: {"error": {"message": "' + KEY.encode() + b'"}}\n'], "no stream"),
    "HTML": (lambda _: [b"<h1>Welcome to nginx</h1>\n"], "broke off the text"),
    "ends without an end": (lambda lines: list(lines)[:2], "broke off the text"),
    "does not count": (
        lambda lines: drop_events(changed(without_usage)(lines)),
        "does not say how many tokens",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_misbehaving_server_fails_its_lane_with_a_reason(
    case: str, link: Between, tiny_llama: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openai_client, "SILENCE_SECONDS", 1.0)
    link.mischief, said = BROKEN[case]
    assert said in error_of(raced(tiny_llama))
    link.mischief = iter
    assert [lane["status"] for lane in raced(tiny_llama)["lanes"]] == ["done", "done"]


@pytest.mark.parametrize(
    ("status", "said"), [(401, "refuses the key"), (403, "refuses the key"), (500, "failed (500)")]
)
def test_a_refusal_never_repeats_the_key(
    status: int, said: str, link: Between, tiny_llama: LoadedModel, caplog: pytest.LogCaptureFixture
) -> None:
    link.refuse = (status, f'{{"error": {{"message": "Incorrect API key provided: {KEY}"}}}}')
    with caplog.at_level(logging.DEBUG, logger="kvdemo"):
        document = raced(tiny_llama)
    assert said in error_of(document)
    assert KEY not in str(document) + caplog.text


@pytest.mark.usefixtures("link")
def test_an_unknown_model_of_the_server_is_named(tiny_llama: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KVDEMO_REMOTE_MODEL", "another/model")
    assert "set KVDEMO_REMOTE_MODEL to a model that it has" in error_of(raced(tiny_llama))


def test_a_server_that_is_down_fails_the_lane_in_one_sentence(
    tiny_llama: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KVDEMO_REMOTE_URL", "http://127.0.0.1:9/v1")
    assert "cannot be reached" in error_of(raced(tiny_llama))


def test_request_fields_that_a_server_refuses_are_left_out(link: Between, tiny_llama: LoadedModel) -> None:
    link.without = ("logprobs",)
    assert raced(tiny_llama)["lanes"][1]["status"] == "done"
    assert "stream_options" in link.asked[-1]
    link.without = ("logprobs", "stream_options")
    assert raced(tiny_llama)["lanes"][1]["status"] == "done"


def test_a_lane_that_ends_closes_its_request(link: Between, tiny_llama: LoadedModel) -> None:
    def endless(_: Iterable[bytes]) -> Iterable[bytes]:
        while True:
            yield b'data: {"choices": [{"index": 0, "text": "a"}]}\n'

    link.mischief = endless
    assert raced(tiny_llama)["lanes"][1]["status"] == "done"
    assert link.abandoned.wait(10)


def test_without_a_server_the_remote_strategy_is_unavailable(
    tiny_llama: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KVDEMO_REMOTE_URL", raising=False)
    assert "KVDEMO_REMOTE_URL" in str(get("remote").unavailable_reason(tiny_llama))
    with pytest.raises(BadInput, match="Remote cannot run here"):
        raced(tiny_llama)


@pytest.mark.usefixtures("link")
def test_remote_lanes_cannot_be_measured(tiny_llama: LoadedModel) -> None:
    request = MeasureRequest.parse({"prompt": PROMPT, "strategies": ["dynamic_cache", "remote"], "max_new_tokens": 4})
    with pytest.raises(BadInput, match="race it instead"):
        check_measurement(request, tiny_llama)
