"""The tree of a search, as the document has it."""

import json
import threading
from itertools import pairwise
from typing import Any

import pytest

from kvdemo.core.events import TokensCommitted
from kvdemo.core.settings.race import RaceRequest
from kvdemo.core.types import BeamNode, Choice, Step, TimedStep
from kvdemo.models.loaded import LoadedModel
from kvdemo.models.text.detokenizer import TextStream
from kvdemo.race import beam_tree, session


def raced(model: LoadedModel, **fields: Any) -> list[dict[str, Any]]:
    asked = {"prompt": "The quick brown fox", "chat": False, "ignore_eos": True} | fields
    document = session.run(RaceRequest.parse(asked), model, lambda _: None, threading.Event()).document
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    return list(document["lanes"])


def test_the_document_has_a_beam_tree_for_a_search_and_for_no_other_lane(tiny_model: LoadedModel) -> None:
    greedy, searched, narrow = raced(
        tiny_model, max_new_tokens=30, strategies="dynamic_cache,beam_search,beam_search:beams=2"
    )
    assert "beams" not in greedy
    for lane, width in ((searched, 4), (narrow, 2)):
        levels = lane["beams"]
        assert [len(level) for level in levels] == [width] * 30
        assert all(node["score"] == node["logprob"] for node in levels[0])
        for above, level in pairwise(levels):
            for node in level:
                assert node["score"] == pytest.approx(above[node["parent"]]["score"] + node["logprob"], abs=1e-4)
        path, place = [], 0
        for level in reversed(levels):
            path.append(level[place])
            place = level[place]["parent"]
        assert [node["token"] for node in path[::-1]] == lane["tokens"]
        assert "".join(node["text"] for node in path[::-1]) == "".join(t for s in lane["steps"] for t in s["texts"])
        assert levels[-1][0]["score"] == pytest.approx(lane["steps"][-1]["details"]["best_score"])


def test_a_stopped_search_keeps_its_beam_tree_so_far(tiny_model: LoadedModel) -> None:
    stop = threading.Event()
    asked = {"prompt": "The quick brown fox", "chat": False, "max_new_tokens": 60, "strategies": "beam_search"}
    event = session.run(
        RaceRequest.parse(asked | {"ignore_eos": True}),
        tiny_model,
        lambda event: stop.set() if isinstance(event, TokensCommitted) else None,
        stop,
    )
    (lane,) = event.document["lanes"]
    assert lane["status"] == "stopped"
    assert len(lane["steps"]) == 1
    assert len(lane["tokens"]) < len(lane["beams"]) == lane["steps"][0]["details"]["search_steps"] < 60
    path, place = [], 0
    for level in reversed(lane["beams"]):
        path.append(level[place]["token"])
        place = level[place]["parent"]
    assert path[::-1][: len(lane["tokens"])] == lane["tokens"]


def test_each_beam_completes_its_own_half_characters() -> None:
    """Bytes 1 and 2 make ä, 1 and 3 make ö: whoever mixes the branches up writes the other letter."""
    letters = {(1, 2): "ä", (1, 3): "ö"}

    def decode(ids: Any) -> str:
        return letters.get(tuple(ids[-2:]), "\ufffd" if ids else "")

    def step(*levels: tuple[BeamNode, ...]) -> TimedStep:
        return TimedStep(Step((Choice(1, -1, 2, -2),), 1, levels=levels), 1.0)

    steps = [step((BeamNode(0, 1, -1.0, -1.0),)), step((BeamNode(0, 3, -0.5, -1.5), BeamNode(0, 2, -1.0, -2.0)))]
    found = beam_tree.to_document(steps, TextStream(decode))
    assert [[node["text"] for node in level] for level in found] == [[""], ["ö", "ä"]]
    assert found[1][1] == {"parent": 0, "token": 2, "text": "ä", "logprob": -1.0, "score": -2.0}


def test_only_a_beam_that_ends_within_a_character_shows_the_replacement_character() -> None:
    def step(*levels: tuple[BeamNode, ...]) -> TimedStep:
        return TimedStep(Step((Choice(1, -1, 2, -2),), 1, levels=levels), 1.0)

    stream = TextStream(lambda _: "", lambda token: bytes([token]))
    first, second, third = "語".encode()
    level = (BeamNode(0, first, -1.0, -1.0), BeamNode(0, second, -1.0, -1.0))
    found = beam_tree.to_document([step(level, (BeamNode(0, second, -1.0, -2.0), BeamNode(0, 65, -1.0, -2.0)))], stream)
    assert [[node["text"] for node in level] for level in found] == [["", "\ufffd"], ["\ufffd", "\ufffdA"]]
    found = beam_tree.to_document(
        [step(level, (BeamNode(0, second, -1.0, -2.0),), (BeamNode(0, third, -1.0, -3.0),))], stream
    )
    assert [[node["text"] for node in level] for level in found] == [["", "\ufffd"], [""], ["語"]]
