"""Inside takes its turn on the device like a race, grows while it is computed, and can be stopped."""

import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from kvdemo.core.errors import BadInput
from kvdemo.documents import schema
from kvdemo.server.service import Service

FORM: dict[str, Any] = {"prompt": "The quick brown fox jumps over the lazy", "panels": "steps"}
LONG = FORM | {"max_new_tokens": 1024}


@pytest.fixture(scope="module")
def engine(tiny_folder: Path) -> Service:
    return Service(str(tiny_folder), device="cpu")


def documents_of(states: Any) -> list[dict[str, Any]]:
    return [state["document"] for state in states if state["document"]]


def steps_of(document: dict[str, Any]) -> int:
    return len(document["panels"].get("steps", {}).get("steps", ()))


def test_the_last_state_holds_the_requested_panels(engine: Service) -> None:
    documents = documents_of(engine.inside(FORM | {"panels": ["steps", "formulas", "loops"]}, "i-1"))
    assert documents[-1]["status"] == "done"
    assert set(documents[-1]["panels"]) == {"steps", "formulas", "loops"}
    for document in documents:
        schema.check(document)


@pytest.mark.slow  # it writes 1,024 tokens
def test_the_document_grows_step_by_step_while_the_model_writes(engine: Service) -> None:
    counts = [steps_of(document) for document in documents_of(engine.inside(LONG, "i-2"))]
    assert counts == sorted(counts)
    assert len(set(counts)) > 2
    assert counts[-1] == 1024


def test_stop_ends_an_inside_run_before_its_next_pass_with_its_results_so_far(engine: Service) -> None:
    documents = []
    for state in engine.inside(LONG, "i-3"):
        documents += documents_of([state])
        if documents:
            engine.stop("i-3")
    assert documents[-1]["status"] == "stopped"
    assert 0 < steps_of(documents[-1]) < 1024
    assert documents_of(engine.inside(FORM, "i-3"))[-1]["status"] == "done"  # the flag is gone with its run


def test_an_inside_run_waits_for_the_device_and_says_so(engine: Service) -> None:
    race = engine.race({"prompt": "The fox", "max_new_tokens": 400, "ignore_eos": True}, "r-1")
    next(race)
    states: list[dict[str, Any]] = []
    waiting = threading.Thread(target=lambda: states.extend(engine.inside(FORM, "i-4")))
    waiting.start()
    until = time.monotonic() + 30
    while not states and time.monotonic() < until:
        time.sleep(0.02)
    assert states[0]["document"] is None
    assert "wait" in states[0]["text"].lower()
    engine.stop("r-1")
    for _ in race:
        pass
    waiting.join(60)
    assert documents_of(states)[-1]["status"] == "done"


def test_an_inside_run_ends_when_its_reader_leaves(engine: Service) -> None:
    with closing(engine.inside(LONG, "i-5")) as states:
        next(states)
    assert documents_of(engine.inside(FORM, "i-6"))[-1]["status"] == "done"


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"prompt": " "}, "text is empty"),
        ({"panels": "turbo"}, "none of the panels"),
        ({"max_new_tokens": 5000}, "new tokens|token count"),
        ({"continuation": "1,x"}, "whole number from 0"),
        ({"model": "/no/such/folder"}, "folder"),
    ],
)
def test_bad_input_is_refused_in_one_sentence_before_anything_runs(
    engine: Service, wrong: dict[str, Any], says: str
) -> None:
    with pytest.raises(BadInput, match=says):
        documents_of(engine.inside(FORM | wrong, "bad"))
