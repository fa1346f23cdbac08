"""Words that the page explains are words that it uses."""

from __future__ import annotations

import inspect
import re
from functools import cache

import pytest

from kvdemo import strategies
from kvdemo.race.divergence import reasons
from kvdemo.race.verdict import sentences, small_gain
from kvdemo.web import assets
from kvdemo.web.words import figures
from kvdemo.web.words.glossary import GLOSSARY, WORDS

KNOWN = figures.DEFINITIONS | GLOSSARY


@cache
def page_texts() -> str:
    """What the page says: its scripts, the strategies' docstrings, verdicts' sentences, figures' definitions."""
    scripts = [(assets.FRONTEND / path).read_text("utf-8") for path in assets.files() if path.suffix == ".js"]
    docstrings = [one.description for one in strategies.introductions().values()]
    said = [inspect.getsource(module) for module in (sentences, small_gain, reasons)]
    defined = [text for entry in figures.DEFINITIONS.values() for text in entry.values()]
    return "\n".join([*scripts, *docstrings, *said, *defined])


def test_a_word_has_one_definition() -> None:
    assert set(WORDS.values()) <= KNOWN.keys()
    assert not figures.DEFINITIONS.keys() & GLOSSARY.keys()
    spelled = [word.lower() for word in WORDS]
    assert len(set(spelled)) == len(spelled)


def test_every_entry_is_complete_and_is_used_by_a_word() -> None:
    assert all(entry["name"] and entry["long"] and entry["text"] and "also" in entry for entry in GLOSSARY.values())
    assert GLOSSARY.keys() <= set(WORDS.values())


@pytest.mark.parametrize("word", WORDS)
def test_every_explained_word_occurs_in_a_text_of_the_page(word: str) -> None:
    assert re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", page_texts(), re.IGNORECASE)
