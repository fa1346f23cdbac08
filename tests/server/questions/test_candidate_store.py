"""What tokens were chosen from is there for the page that shows them, and takes no more memory than it may."""

from typing import Any

from kvdemo.core.events import Progress, TokensCommitted
from kvdemo.core.types import Choice, Step, TimedStep
from kvdemo.server.questions.candidate_store import CandidateStore


def entry(text: str) -> dict[str, Any]:
    return {"stages": [], "likeliest": [{"token": 1, "text": text}], "chosen": 0, "rank": 1, "drawn": None}


def committed(lane: int, *texts: str, known: bool = True) -> TokensCommitted:
    choices = tuple(Choice(1, -1.0, 2, -2.0) for _ in texts)
    candidates = tuple(entry(text) if known else None for text in texts)
    return TokensCommitted(lane, TimedStep(Step(choices, 1), 0.1), texts, candidates)


def test_candidates_are_found_by_race_lane_and_token_index() -> None:
    store = CandidateStore()
    store.add("a", [Progress("Loading"), committed(0, "x", "y"), committed(1, "z")])
    store.add("a", [committed(0, "ü")])
    store.add("b", [committed(0, "other")])
    assert [store.find("a", 0, token) for token in range(4)] == [entry("x"), entry("y"), entry("ü"), None]
    assert (store.find("a", 1, 0), store.find("b", 0, 0)) == (entry("z"), entry("other"))
    assert store.find("c", 0, 0) is store.find("a", 0, -1) is None


def test_a_token_without_candidates_keeps_its_index() -> None:
    store = CandidateStore()
    store.add("a", [committed(0, "?", known=False), committed(0, "x")])
    assert [store.find("a", 0, token) for token in range(2)] == [None, entry("x")]


def test_candidates_of_an_ended_race_are_still_found() -> None:
    store = CandidateStore()
    store.add("a", [committed(0, "x")])
    store.end("a")
    assert store.find("a", 0, 0) == entry("x")


def test_the_oldest_candidates_are_dropped_when_the_store_is_full() -> None:
    store = CandidateStore(most_bytes=4000)
    for n in range(100):
        store.add("a" if n < 50 else "b", [committed(0, str(n))])
        assert store.bytes <= 4000
    kept = [n for n in range(50) if store.find("b", 0, n)]
    assert kept == list(range(50 - len(kept), 50)) and len(kept) > 4
    assert not any(store.find("a", 0, n) for n in range(50))
