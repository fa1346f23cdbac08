"""The page under its own headers: nothing is blocked, nobody else is asked, and any link opens it."""

from __future__ import annotations

import urllib.request

import pytest
from playwright.sync_api import expect

from kvdemo.web.guard.protection import HEADERS

from .actions import race
from .conftest import Visit

TABS = ("measure", "compare", "plan", "inside")


def test_the_page_is_served_with_the_headers(tiny_app: str) -> None:
    with urllib.request.urlopen(tiny_app, timeout=30) as answer:  # noqa: S310 - loopback
        assert {name: answer.headers[name] for name in HEADERS} == HEADERS


def test_no_part_of_the_page_is_blocked(tiny_app: str, visit: Visit) -> None:
    """What a policy blocks, the browser reports as an error on its console, and `visit` fails for one."""
    blocked: list[str] = []
    page = visit(tiny_app, tokens=8)
    page.expose_function("noteBlocked", lambda what: blocked.append(what))  # noqa: PLW0108 - Playwright marks it
    page.evaluate(
        "() => document.addEventListener('securitypolicyviolation',"
        " (event) => window.noteBlocked(event.violatedDirective + ' ' + event.blockedURI))"
    )
    race(page)
    expect(page.locator(".js-plotly-plot .scatterlayer .trace").first).to_be_attached()
    for tab in TABS:
        page.click(f"#kv-tabbutton-{tab}")
        page.wait_for_selector(".kv-tab:visible :is(input, textarea, button):visible")
    assert not blocked


@pytest.mark.parametrize(
    "query",
    [{"tokens": "9" * 20}, {"seed": "9" * 20, "temperature": "NaN"}, {"tab": "measure", "repeats": "9" * 20},
     {"tab": "inside", "tokens": "9" * 20}, {"lanes": "reencode," * 300}],
)  # fmt: skip
def test_any_link_opens_the_page_with_a_notice_of_ignored_values(
    tiny_app: str, visit: Visit, query: dict[str, str]
) -> None:
    page = visit(tiny_app, **query)
    expect(page.get_by_text("so the form keeps its own").first).to_be_visible()
