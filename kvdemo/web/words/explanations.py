"""Map each kind of finding to the panel of Inside that shows its reason. Its sentence gets a "Why?" link."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kvdemo.core.events import DivergenceKind, Finding, FindingKind
from kvdemo.core.settings.inside import InsideRequest, Panel
from kvdemo.web import links

#: A kind that is missing here needs no panel, or none shows it.
PANELS: dict[FindingKind, Panel] = {
    "alone": "steps",
    "faster": "steps",
    "slower": "formulas",
    "same_time": "formulas",
    "too_short": "steps",
    "work": "steps",
    "same_first_step": "steps",
    "nothing_to_reuse": "steps",
    "no_time_saved": "formulas",
    "small_gain": "formulas",
    "same_text": "rounding",
    "groups": "rounding",
    "best": "formulas",
}
REASONS: dict[DivergenceKind, Panel] = {
    "retokenized": "loops",
    "numeric": "rounding",
    "sampled": "rounding",
    "ties": "rounding",
    "unexplained": "rounding",
    "lossy": "roles",
}


def panel(finding: Finding) -> Panel | None:
    """Return the panel that shows why; None where there is none."""
    if finding.reason:
        return REASONS.get(finding.reason)
    if "first_step_s" in finding.numbers or "odd_step" in finding.numbers:
        return "steps"
    if finding.kind == "faster" and ("step_share" in finding.numbers or "prompt_share" in finding.numbers):
        return "formulas"
    return PANELS.get(finding.kind)


def reader(document: Mapping[str, Any]) -> dict[str, str]:
    """Return what Inside has to be asked for so that it shows this race's own text, as parameters of a link."""
    names = links.names(links.parameters(InsideRequest))
    prompt, model = document.get("prompt", {}), document.get("model", {})
    chat = document.get("settings", {}).get("chat")
    asked = {"prompt": prompt.get("text"), "model": model.get("id"), "chat": None if chat is None else str(int(chat))}
    return {names[key]: value for key, value in asked.items() if value}
