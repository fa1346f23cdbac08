"""Lines that depend on a form know who asks, and are asked for again where the server put them off."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from kvdemo.core.errors import NotNow
from kvdemo.core.visitor import Visitor
from kvdemo.web.backend import Form
from tests.browser.scripted import scripted_page
from tests.programs import Program
from tests.web.loops import in_a_loop
from tests.web.scripted_backend import ScriptedBackend

pytestmark = pytest.mark.slow  # each starts a server


class PutsOff(ScriptedBackend):
    """Puts off every prompt, and notes who asked for what."""

    def __init__(self) -> None:
        super().__init__(fits=NotNow("Later."), effort=NotNow("Later."))
        self.askers: list[tuple[str, str]] = []

    def fit(self, form: Form, visitor: Visitor) -> dict[str, Any] | None:
        self.askers.append(("fit", visitor.session))
        return super().fit(form, visitor)

    def estimate(self, form: Form, visitor: Visitor) -> str:
        self.askers.append(("estimate", visitor.session))
        return super().estimate(form, visitor)

    def plan(self, form: Form, visitor: Visitor) -> dict[str, Any]:
        self.askers.append(("plan", visitor.session))
        return super().plan(form, visitor)


@pytest.mark.parametrize(("tab", "asked"), [("race", "fit"), ("measure", "estimate"), ("plan", "plan")])
def test_who_asks_is_told_to_the_backend_and_is_to_ask_again(tab: str, asked: str) -> None:
    script = PutsOff()

    async def ask(url: str) -> list[Any]:
        async with httpx.AsyncClient(timeout=60) as client:
            page, shown = Program(client, url, "page"), []
            for _ in range(2):
                await page.use(f"kv-ask-{tab}", "ask")
                shown.append((await page.over())["output"]["data"])
            return shown

    with scripted_page(script) as url:
        first, second = in_a_loop(ask(url))
    assert script.askers == [(asked, "page")] * 2
    if tab != "plan":
        assert "Later." in str(first[0])
        assert first[1] != second[1], "the same value would change nothing in the page"
