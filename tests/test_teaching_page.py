"""docs/teaching.md leads where it says: each link names a tab, a panel and settings that there are."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import parse_qsl

import pytest

from kvdemo.core.settings.inside import PANELS
from kvdemo.web import links

PAGE = (Path(__file__).parent.parent / "docs" / "teaching.md").read_text(encoding="utf-8")
LINKS = sorted(set(re.findall(r"`\?(tab=[^`]+)`", PAGE)))


@pytest.mark.parametrize("link", LINKS)
def test_every_link_names_an_existing_tab_panel_or_example(link: str) -> None:
    query = dict(parse_qsl(link))
    assert query.pop("tab") in {"race", "measure", "compare", "plan", "inside"}
    assert query.pop("panel", "steps") in PANELS
    query.pop("step", None)  # the page's own
    assert query.keys() <= links.INSIDE.keys()
    assert not links.read(query, {}, links.INSIDE).notices


def test_each_of_the_eight_questions_links_into_the_page() -> None:
    questions = PAGE.split("A lesson of 45 minutes")[0]
    rows = re.findall(r"^\| (\d) \|(.*)$", questions, re.MULTILINE)
    assert [number for number, _ in rows] == [str(n) for n in range(1, 9)]
    assert all("`?tab=" in row for _, row in rows)


def test_the_lesson_takes_45_minutes() -> None:
    plan = PAGE.split("A lesson of 45 minutes")[1]
    assert sum(int(minutes) for minutes in re.findall(r"^\| (\d+) \|", plan, re.MULTILINE)) == 45
