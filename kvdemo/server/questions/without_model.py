"""Answer what needs neither a model nor a device: forms, lists, tables, comparisons, and what passed by in a race."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from kvdemo.core.settings.declaration import values
from kvdemo.core.settings.race import DEFAULT_LANES, DEFAULT_PROMPT, RaceRequest
from kvdemo.core.system import public_server
from kvdemo.core.visitor import NOBODY, Visitor
from kvdemo.measure import presets
from kvdemo.measure.report import csv_tables, tables
from kvdemo.models.names import catalog, folders, offered
from kvdemo.race.document import to_csv as race_csv
from kvdemo.server.questions import planning
from kvdemo.server.questions.candidate_store import NOT_KEPT, CandidateStore
from kvdemo.server.questions.listings import list_samplers


class AnswersWithoutModel:
    """The part of `kvdemo.web.backend.Backend` that any process can answer.

    `default_model` fills the forms; `only_default` offers no other.
    """

    def __init__(self, default_model: str, *, only_default: bool = False) -> None:
        self.default_model, self.only_default = default_model, only_default
        self._candidates = CandidateStore()

    def declare_public(self) -> None:
        """Let visitors name no folder of this machine from now on, and only the models that are `offered`."""
        public_server.declare()

    def default_form(self) -> dict[str, Any]:
        """Return a form as the page first shows it."""
        card = catalog.card(self.default_model)
        request = RaceRequest(DEFAULT_PROMPT, model=self.default_model, chat=card.chat if card else None)
        return values(request) | {"model": card.id if card else self.default_model, "strategies": list(DEFAULT_LANES)}

    def presets(self) -> list[dict[str, Any]]:
        """List ways to fill the measuring form; the first is the default."""
        return presets.list_presets(self.default_form()["model"])

    def candidates(self, run_id: str, lane: int, token: int) -> dict[str, Any]:
        """Tell what a token of a page's race was chosen from: `candidates`, or a `reason` why that is not known."""
        found = self._candidates.find(run_id, lane, token)
        return {"candidates": found, "reason": "" if found else NOT_KEPT}

    def compare(self, a: str | None, b: str | None, visitor: Visitor = NOBODY) -> dict[str, Any]:
        """Look at the contents of two files, or of one, and compare them. Raises BadInput beyond the limits."""
        return planning.compare(a, b, visitor)

    def document_csv(self, document: Mapping[str, Any]) -> str:
        """Write a race document as CSV."""
        return race_csv(document)

    def measure_csv(self, document: Mapping[str, Any]) -> str:
        """Write a measurement's document as CSV."""
        return csv_tables.to_csv(document)

    def measure_markdown(self, document: Mapping[str, Any]) -> str:
        """Write a measurement's document as a Markdown table."""
        return tables.to_markdown(document)

    def models(self) -> list[dict[str, Any]]:
        """List the models to choose from: the operator's, or the catalogue, and the default one."""
        cards, default = () if self.only_default else offered.cards(), catalog.card(self.default_model)
        return [asdict(card) for card in (cards if default is None or default in cards else (default, *cards))]

    def free_names(self) -> dict[str, bool]:
        """Tell what may be named beside these models: any Hub id (`hub`), a folder of this machine (`folders`)."""
        if self.only_default:
            return {"hub": False, "folders": False}
        return {"hub": offered.listed() is None, "folders": folders.allowed()}

    def samplers(self) -> list[dict[str, Any]]:
        """List the rules by which a lane may choose, in the order in which they are applied."""
        return list_samplers()
