"""The two loops stand side by side as their files are, with equal lines facing each other."""

import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvdemo.core.settings.inside import InsideRequest
from kvdemo.documents import schema
from kvdemo.inside import session
from kvdemo.inside.panels.loops import aligned
from kvdemo.models.loaded import LoadedModel

ROOT = Path(__file__).parents[3]
LINES = st.lists(st.sampled_from(["a", "b", "  a", "", "c"]), max_size=12)


@given(LINES, LINES)
def test_each_line_of_both_files_is_shown_once_and_in_order(left: list[str], right: list[str]) -> None:
    pairs = aligned(left, right)
    assert [a for a, _ in pairs if a is not None] == list(range(len(left)))
    assert [b for _, b in pairs if b is not None] == list(range(len(right)))


@given(LINES)
def test_a_file_compared_with_itself_has_no_line_of_its_own(lines: list[str]) -> None:
    assert aligned(lines, lines) == [(at, at) for at in range(len(lines))]


@pytest.fixture
def document(tiny_llama: LoadedModel) -> dict:
    request = InsideRequest.parse({"prompt": "The fox", "panels": "loops"})
    return session.run(request, tiny_llama, lambda _: None, threading.Event())


def test_the_lines_are_those_of_the_files_in_the_repository(document: dict) -> None:
    schema.check(document)
    for loop in document["panels"]["loops"]["loops"]:
        text = (ROOT / loop["path"]).read_text(encoding="utf-8")
        assert [line["text"] for line in loop["lines"]] == text.splitlines()


def test_a_line_that_both_loops_have_is_not_marked(document: dict) -> None:
    loops = document["panels"]["loops"]["loops"]
    only = [{line["text"].strip() for line in loop["lines"] if line["only"]} for loop in loops]
    assert "cache = fitted(DynamicCache(config=network.config), network)" in only[1]
    assert "@torch.inference_mode()" not in only[0] | only[1]
