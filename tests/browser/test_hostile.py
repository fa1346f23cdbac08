"""Whatever a link, a document or a field holds: none of it runs, none of it becomes markup, and the page goes on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from kvdemo.compare.comparison import compare
from kvdemo.compare.validation import load
from kvdemo.core.errors import BadInput
from kvdemo.web import links
from tests.hostile.accepted import PATIENCE
from tests.hostile.values import SCRIPTS, TEXTS
from tests.programs import Program
from tests.web.loops import in_a_loop

from .actions import race
from .conftest import Visit

pytestmark = pytest.mark.slow

TABS = {"race": links.RACE, "measure": links.MEASURE, "inside": links.INSIDE, "plan": {}, "compare": {}}
#: What else the browser or the server reads in a link.
OTHERS = ("run", "predict", "measurement", "panel", "step", "view", "deep_link", "page", "__theme", "__lang", "__sign")
ABSURD = ("NUL", "controls", "bidi", "up", "prototype", "digits", "float", "not a number")
#: Everything in a link at once: the scripts one after the other, what is absurd, and bytes that are no text.
PAYLOADS: dict[str, str | bytes] = {
    "scripts": "".join(SCRIPTS), **{kind: TEXTS[kind] for kind in ABSURD}, "commas": "," * 100, "long": "A" * 2000,
    "no text": b"\xff\xed\xa0\xbd\0",
}  # fmt: skip
MARKUP = "".join(SCRIPTS) + "${window.__hit=1}{{constructor.constructor('window.__hit=1')()}}"
#: Elements that only what was injected has.
INJECTED = "[onerror], [onload], [onfocus], img[src='x'], a[href^='javascript:' i], iframe"


@pytest.fixture
def guarded(visit: Visit) -> Iterator[Visit]:
    """Open a page as `visit` does; in the end none had a dialog, ran a script of a payload, or holds one as markup."""
    pages: list[Page] = []
    dialogs: list[str] = []

    def open_page(url: str, **query: Any) -> Page:
        page = visit(url, **query)
        page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
        pages.append(page)
        return page

    yield open_page
    for page in pages:
        if not page.is_closed():
            unharmed(page)
    assert not dialogs


def unharmed(page: Page) -> None:
    assert page.evaluate("window.__hit") is None
    assert page.locator(INJECTED).count() == 0
    assert page.evaluate("[...document.scripts].some((one) => /^\\s*window\\.__hit/.test(one.text))") is False


@pytest.mark.parametrize("tab", TABS)
def test_any_link_opens_a_page_that_works(url: str, guarded: Visit, tab: str) -> None:
    names = dict.fromkeys([*TABS[tab], *OTHERS])
    for payload in PAYLOADS.values():
        page = guarded(url, **dict.fromkeys(names, payload) | {"tab": tab})
        page.wait_for_selector(".kv-tab:visible :is(input, textarea, button):visible")
        unharmed(page)
        page.close()
    page = guarded(url, prompt="Hi", tokens=4)
    race(page)


@pytest.mark.parametrize("name", ["tokens", "seed", "repeats"])
def test_a_number_beyond_every_field_opens_the_page_with_a_word(tiny_app: str, guarded: Visit, name: str) -> None:
    page = guarded(tiny_app, tab="measure" if name == "repeats" else "race", **{name: "9" * 20})
    expect(page.get_by_text(f"link's {name} ").first).to_be_visible()


def test_a_prompt_of_megabytes_gets_a_sentence_and_the_next_race_runs(tiny_app: str, browser: Browser) -> None:
    page = browser.new_page()  # its console may complain
    page.goto(f"{tiny_app}?tokens=4")
    expect(page.locator("#kv-race")).to_be_enabled()
    prompt = page.locator("#kv-prompt textarea")
    prompt.fill("word " * 900_000)
    page.click("#kv-race")
    expect(page.get_by_text("The request is too large").first).to_be_visible()
    expect(page.locator("#kv-race")).to_be_enabled()
    prompt.fill("Hi")
    race(page)
    page.close()


def real_document(url: str) -> dict[str, Any]:
    """The document of a race on the app."""

    async def ask() -> Any:
        async with httpx.AsyncClient(timeout=PATIENCE) as client:
            form: dict[str, Any] = {"prompt": "Hi", "max_new_tokens": 4, "strategies": ["no_cache", "dynamic_cache"]}
            return await Program(client, url, "documents").last("race", **form)

    (document,) = in_a_loop(ask())["output"]["data"]
    return dict(document)


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to each text in a document."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    if isinstance(value, str):
        yield path
    for key, part in inner:
        yield from leaves(part, (*path, key))


def poisoned(document: Any, *paths: tuple[Any, ...]) -> Any:
    """A copy of a document with the payload at some places."""
    copied = json.loads(json.dumps(document))
    for *way, last in paths:
        place = copied
        for key in way:
            place = place[key]
        place[last] = MARKUP
    return copied


def readable(document: Any) -> bool:
    """Whether Compare takes a document; what it does not take is refused in one sentence."""
    try:
        compare(load(json.dumps(document)), load(json.dumps(document)))
    except BadInput as error:
        assert "\n" not in str(error)
        return False
    return True


def test_a_document_with_a_payload_in_every_text_is_shown_as_text(
    tiny_app: str, guarded: Visit, tmp_path: Path
) -> None:
    honest = real_document(tiny_app)
    paths = list(leaves(honest))
    taken = [path for path in paths if readable(poisoned(honest, path))]
    refused = {path[-1]: path for path in paths if path not in taken}
    assert len(taken) > 20
    page = guarded(tiny_app, tab="compare")
    hostile = poisoned(honest, *taken) | {MARKUP: MARKUP}
    for name, document in (("a", honest), ("b", hostile)):
        give(page, tmp_path, name, document)
    expect(page.locator(".kv-comparison h2")).to_be_visible()
    expect(page.locator(".kv-comparison")).to_contain_text("<script>")
    for path in refused.values():
        give(page, tmp_path, "b", poisoned(honest, path))
        expect(page.locator("#kv-note-b p")).to_have_attribute("data-bad", "")
    give(page, tmp_path, "b", honest)
    expect(page.locator(".kv-likeness")).to_have_text("Same work")


def give(page: Page, folder: Path, name: str, document: Any) -> None:
    """Choose a document in place of the one before, and wait until the page has said something about it."""
    note = page.locator(f"#kv-note-{name} p")
    clear = page.locator(f"#kv-file-{name}").get_by_label("Clear")
    if clear.count():
        clear.click()
        expect(note).to_be_empty()
    file = folder / f"{name}<img src=x onerror=window.__hit=1>.json"
    file.write_text(json.dumps(document), "utf-8")
    page.set_input_files(f"#kv-file-{name} input[type=file]", file)
    expect(note).not_to_be_empty()


LLAMA = {"model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
         "num_key_value_heads": 2, "intermediate_size": 128, "vocab_size": 100}  # fmt: skip
PASTED = {
    "markup alone": MARKUP,
    "markup as its type": json.dumps(LLAMA | {"model_type": MARKUP}),
    "markup as a number": json.dumps(LLAMA | {"hidden_size": MARKUP}),
    "a list": "[" * 5000,
    "the largest number": json.dumps(LLAMA | {"num_hidden_layers": 10**400}),
    "not a number": '{"model_type": "llama", "hidden_size": NaN}',
}


def test_a_pasted_configuration_gets_a_sentence_and_the_next_one_is_planned(tiny_app: str, guarded: Visit) -> None:
    page = guarded(tiny_app, tab="plan")
    page.locator("#kv-p-paste > button").click()
    box, alert = page.locator("#kv-p-config textarea"), page.locator(".kv-plan .kv-alert")
    for pasted in PASTED.values():
        box.fill(json.dumps(LLAMA))
        expect(alert).to_be_hidden()
        expect(page.locator(".kv-plan h2")).to_contain_text("llama in float16")
        box.fill(pasted)
        expect(alert).to_contain_text("The pasted configuration")
        expect(page.locator(".kv-plan")).to_have_attribute("aria-busy", "false")
    markup = json.dumps(LLAMA | {"_name_or_path": MARKUP, "torch_dtype": MARKUP, MARKUP: MARKUP})
    box.fill(markup)
    expect(alert).to_be_hidden()
    expect(page.locator(".kv-plan h2")).to_contain_text("of cache a token")


def test_a_payload_in_every_field_of_inside_is_shown_as_text(tiny_app: str, guarded: Visit) -> None:
    page = guarded(tiny_app, tab="inside", prompt="Hi", tokens=3)
    for name in ("prompt", "append"):
        page.fill(f"#kv-i-{name} :is(textarea, input)", MARKUP)
    page.click("#kv-i-start")
    for name in ("steps", "past"):
        page.locator(f"#kv-i-{name}").scroll_into_view_if_needed()
        expect(page.locator(f"#kv-i-{name}")).to_have_attribute("data-state", "shown")
    expect(page.locator("#kv-i-steps")).to_contain_text("script")
    model = page.locator("#kv-i-model input")
    model.fill(MARKUP)
    model.press("Enter")
    page.click("#kv-i-start")
    refused = page.locator("#kv-inside .kv-panel[data-state=error]").first
    expect(refused).to_contain_text("<script>")
