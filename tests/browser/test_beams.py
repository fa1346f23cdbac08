"""How the beams grew: the tree of a search, drawn when the race is over."""

from __future__ import annotations

import random
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from kvdemo.core.events import Ended, Finished, RaceEvent, Started
from kvdemo.core.types import LaneInfo
from tests.scripted import verdict
from tests.web.scripted_backend import MODEL, ScriptedBackend, committed

from .actions import document, finish, imported, race, wait_until
from .conftest import Visit

HOSTILE = ["<img src=x onerror='window.hacked=1'>", "${window.hacked=1}", "{{constructor}}", "\n", "", " a", "缓存"]
INFOS = (
    LaneInfo("dynamic_cache", "DynamicCache", "One position a step.", lossless=True),
    LaneInfo("beam_search", "Beam search", "Several at once.", lossless=False),
)


def grown(width: int, length: int, own: int, seed: int = 0) -> list[list[dict[str, Any]]]:
    """A tree whose last texts have all but their last `own` tokens in common, every text a hostile one."""
    rng = random.Random(seed)
    levels: list[list[dict[str, Any]]] = []
    for n in range(length):
        level = []
        for place in range(width):
            parent = 0 if n <= length - own else place
            logprob = -rng.random() / 10 - place
            above = levels[-1][parent]["score"] if levels else 0.0
            text = rng.choice(HOSTILE)
            level.append(
                {"parent": parent, "token": 10 * n + place, "text": text, "logprob": logprob, "score": above + logprob}
            )
        levels.append(level)
    return levels


def finished(levels: list[list[dict[str, Any]]]) -> list[list[RaceEvent]]:
    """A race whose second lane has searched; the first wrote ` a` all along."""
    n, best = len(levels), [level[0] for level in levels]
    lanes = [
        {"steps": [{"logprobs": [-0.5]}] * n},
        {"steps": [{"logprobs": [node["logprob"]]} for node in best], "beams": levels},
    ]
    return [
        [
            Started(INFOS, "Hi", 4, n, "fair", MODEL),
            *(committed(0, (" a",)) for _ in range(n)),
            *(committed(1, (node["text"],)) for node in best),
            Ended(0, "length"),
            Ended(1, "length"),
            Finished({"schema": 1, "model": MODEL, "lanes": lanes}, verdict("Done.")),
        ]
    ]


def drawn(script: ScriptedBackend, url: str, visit: Visit, levels: list[list[dict[str, Any]]], **how: Any) -> Page:
    script.batches = finished(levels)
    page = visit(url, **how)
    race(page)
    page.wait_for_selector(".kv-beamgrid path[data-edge=best][d*=M]", state="attached")
    return page


def test_a_real_search_is_drawn_as_the_document_has_it(tiny_app: str, visit: Visit) -> None:
    page = visit(tiny_app, prompt="The fox", tokens=12, chat=0, ignore_eos=1, lanes="dynamic_cache,beam_search:beams=3")
    race(page)
    levels = document(page)["lanes"][1]["beams"]
    expect(page.locator(".kv-beams h3")).to_have_text("How the beams grew")
    expect(page.locator(".kv-twig:not(.kv-root)")).to_have_count(3 * 12)
    expect(page.locator(".kv-twig[data-edge=best]")).to_have_count(12)
    scores = page.locator(".kv-beamtable tbody td:nth-child(2)").all_inner_texts()
    assert scores[:3] == [f"{node['score']:.2f}".replace("-", "−") for node in levels[-1]]
    expect(page.locator(".kv-finding")).to_contain_text(f"the best has a score of {scores[0]}")
    page.fill("#kv-tokens input[type=number]", "4")
    page.keyboard.press("Tab")
    page.click("#kv-race")
    wait_until(page, "document.querySelectorAll('.kv-twig:not(.kv-root)').length === 3 * 4")  # drawn anew
    finish(page)


def test_a_race_without_a_search_has_no_tree(tiny_app: str, visit: Visit) -> None:
    page = visit(tiny_app, prompt="The fox", tokens=4, chat=0)
    race(page)
    expect(page.locator(".kv-beams")).to_have_count(0)


def test_texts_of_a_tree_are_not_read_as_markup(script: ScriptedBackend, url: str, visit: Visit) -> None:
    levels = grown(4, 9, 4)
    page = drawn(script, url, visit, levels)
    shown = page.locator(".kv-twig bdi").all_text_contents()
    for node in (node for level in levels for node in level):
        assert {"\n": "↵", "": "◦"}.get(node["text"], node["text"]) in shown
    page.locator(".kv-beambox").focus()
    for _ in range(9):
        page.keyboard.press("ArrowRight")
    expect(page.locator(".kv-twigcard pre")).to_have_text("".join(level[0]["text"] for level in levels))
    assert page.evaluate("window.hacked") is None
    assert page.locator("img[src=x]").count() == 0


def test_no_two_nodes_overlap_and_each_line_leads_to_its_parent(
    script: ScriptedBackend, url: str, visit: Visit
) -> None:
    page = drawn(script, url, visit, grown(4, 12, 3))
    rng = random.Random(1)
    for width, length in ((2, 1), (2, 20), (5, 30), (32, 40)):
        levels: list[list[list[Any]]] = [[[0, n, "a", -1, -1] for n in range(width)]]
        for _ in range(length - 1):
            parents = [rng.randrange(width) for _ in range(width)]
            levels.append([[parent, n, "a", -1 - n, -1] for n, parent in enumerate(parents)])
        for start in (0, length // 2):
            tree = imported(
                page,
                "race/beams/tree.js",
                """({ BeamTree }, [levels, start]) => {
                    const tree = new BeamTree(levels);
                    const { levels: shown, rows } = tree.from(start);
                    return { rows, shown: shown.map(level => level.map(({ row, rank }) => ({ row, rank }))),
                             best: tree.best.map(node => node.place) };
                }""",
                [levels, start],
            )
            for level in tree["shown"]:
                assert len({node["row"] for node in level}) == width
                assert all(node["row"] == node["rank"] for node in level if node["rank"] is not None)
                assert all(0 <= node["row"] < tree["rows"] for node in level)
            place, path = 0, []
            for level in reversed(levels):
                path.append(place)
                place = level[place][0]
            assert tree["best"] == path[::-1]


def test_the_keyboard_walks_the_tree_and_the_score_is_announced(
    script: ScriptedBackend, url: str, visit: Visit
) -> None:
    levels = grown(3, 6, 3)
    page = drawn(script, url, visit, levels)
    page.locator(".kv-beambox").focus()
    card = page.locator(".kv-twigcard")

    def score(node: dict[str, Any]) -> str:
        return f"{node['score']:.2f}".replace("-", "−")

    page.keyboard.press("End")
    expect(card).to_contain_text(score(levels[-1][0]))
    expect(card).to_contain_text("Number 1 of the 3 last texts.")
    page.keyboard.press("ArrowDown")
    expect(card).to_contain_text(score(levels[-1][1]))
    expect(page.locator(".kv-beamed [aria-live]")).to_contain_text(f"score {score(levels[-1][1])}")
    page.keyboard.press("ArrowLeft")
    expect(card).to_contain_text(score(levels[-2][1]))
    page.keyboard.press("Escape")
    expect(card).to_have_count(0)


def test_the_shared_beginning_of_a_long_run_is_folded_until_it_is_opened(
    script: ScriptedBackend, url: str, visit: Visit
) -> None:
    page = drawn(script, url, visit, grown(4, 128, 10))
    nodes = page.locator(".kv-twig:not(.kv-root)")
    expect(page.locator(".kv-root")).to_contain_text("shared by all 4")
    folded = nodes.count()
    assert folded < 4 * 20
    page.get_by_role("button", name="All 128 columns").click()
    expect(nodes).to_have_count(4 * 128)
    page.get_by_role("button", name="Fold what all beams share").click()
    expect(nodes).to_have_count(folded)


@pytest.mark.parametrize("width", [1440, 390])
def test_only_the_tree_scrolls_sideways(script: ScriptedBackend, url: str, visit: Visit, width: int) -> None:
    page = drawn(script, url, visit, grown(4, 128, 10), width=width, height=844)
    page.get_by_role("button", name="All 128 columns").click()
    box = page.locator(".kv-beambox")
    wait_until(page, "document.querySelector('.kv-beambox').scrollWidth > 5000")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    inside = box.bounding_box()
    assert inside and inside["x"] >= 0 and inside["x"] + inside["width"] <= width


def test_the_greedy_text_is_compared_with_the_best_text(script: ScriptedBackend, url: str, visit: Visit) -> None:
    levels = grown(4, 6, 3)
    page = drawn(script, url, visit, levels)
    # Greedy decoding would have taken the best text of this tree, whose first choices are the likeliest throughout.
    expect(page.locator(".kv-finding")).to_contain_text("It is the greedy text too.")
    for level in levels:  # now the first text is what greedy decoding takes first, and it leads nowhere
        for node in level:
            node["parent"] = max(1, node["parent"])
    page = drawn(script, url, visit, levels)
    expect(page.locator(".kv-finding")).to_contain_text("dropped at token 2; as DynamicCache wrote it, it has −3.00")
    expect(page.locator(".kv-beamtable [data-edge=greedy]")).to_contain_text("DynamicCache")
