"""Each sentence of a verdict leads to the panel that shows why, with the race's own text."""

from typing import get_args

import pytest

from kvdemo.core.events import DivergenceKind, Finding, FindingKind
from kvdemo.core.settings.inside import PANELS as EXISTING
from kvdemo.core.settings.inside import InsideRequest
from kvdemo.web import links
from kvdemo.web.words import explanations

#: What needs no panel: it says what happened and not how a cache works.
PLAIN = {
    "nothing_compared", "no_clock", "unequal_search", "contention", "remark", "failed", "stopped", "divergence",
}  # fmt: skip


def test_every_kind_of_finding_has_a_panel_or_is_listed_as_needing_none() -> None:
    assert set(explanations.PANELS) | PLAIN == set(get_args(FindingKind))
    assert not PLAIN & set(explanations.PANELS)
    assert set(explanations.PANELS.values()) | set(explanations.REASONS.values()) <= set(EXISTING)


@pytest.mark.parametrize("reason", get_args(DivergenceKind))
def test_a_divergence_leads_to_the_panel_of_its_reason(reason: DivergenceKind) -> None:
    shown = explanations.panel(Finding("divergence", (1, 0), {"index": 1}, "It differs.", reason))
    assert shown == explanations.REASONS.get(reason)
    # Another machine wrote it, or the lanes were told to choose by other rules: nothing inside the model shows that.
    assert (shown is None) == (reason in ("remote", "rule"))


def test_one_slow_step_leads_to_the_steps() -> None:
    assert explanations.panel(Finding("slower", (1, 0), {"odd_step": 3}, "It lost.")) == "steps"
    assert explanations.panel(Finding("slower", (1, 0), {"first_step_s": 3.0}, "It lost.")) == "steps"


def test_a_small_gain_leads_to_what_a_step_costs() -> None:
    assert explanations.panel(Finding("faster", (1, 0), {"ratio": 3.0}, "It won.")) == "steps"
    assert explanations.panel(Finding("faster", (1, 0), {"step_share": 0.8}, "It won a little.")) == "formulas"


def test_inside_reads_the_races_own_text_from_the_link() -> None:
    document = {"prompt": {"text": "a & b\n"}, "model": {"id": "org/m"}, "settings": {"chat": True}}
    query = explanations.reader(document)
    link = links.read(query, {}, links.parameters(InsideRequest))
    assert (link.form, link.notices) == ({"prompt": "a & b\n", "model": "org/m", "chat": True}, ())


def test_a_document_without_a_prompt_makes_a_link_without_one() -> None:
    assert explanations.reader({"schema": 1, "model": {"id": "m"}}) == {"model": "m"}
