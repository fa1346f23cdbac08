"""Define what the page asks of the server, as a Protocol; `kvdemo.server.service.Service` implements it.

A form is a mapping of raw values, straight from the browser, a link or the API. Its keys are the settings of
`RaceRequest`, `MeasureRequest`, `InsideRequest` or `PlanRequest`. Among them are `strategies`, the lanes, the first of
which is the baseline: a list of specs, or one text with commas between them. (A spec is the id of a strategy, and its
settings where they are not at their defaults.) The page does not check the values. Whoever runs the race does, once,
for everybody.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

from kvdemo.core.events import RaceEvent
from kvdemo.core.visitor import Visitor

Form = Mapping[str, Any]


class Backend(Protocol):
    """The server as the page sees it. Any method may be called by several threads at once.

    Closing a generator that `race` or `measure` returned ends the run within a step, without a verdict. A state may
    have more keys than are listed.
    """

    def race(self, form: Form, run_id: str, visitor: Visitor) -> Generator[list[RaceEvent], None, None]:
        """Run a race; yield its events in batches, about ten a second, none of them empty.

        What the last race of a visitor that `keeps` kept is there for this one, and for nobody else's. Raises
        BadInput, at once or while iterated.
        """

    def measure(self, form: Form, run_id: str, visitor: Visitor) -> Generator[dict[str, Any], None, None]:
        """Run a measurement; yield its states: {"text", "fraction", "remaining_s", "document"}.

        `fraction`, `remaining_s` and `document` are None while they are not known, the last also where it has not
        changed. The last state has the final document, and runs that were done are kept under `run_id` if it is closed.
        Raises BadInput, at once or while iterated.
        """

    def inside(self, form: Form, run_id: str, visitor: Visitor) -> Generator[dict[str, Any], None, None]:
        """Compute panels of Inside; yield its states: {"text", "fraction", "document"}.

        `document` is the one so far, None where it has not changed; the last state has all panels. Raises BadInput, at
        once or while iterated.
        """

    def stop(self, run_id: str) -> None:
        """End a race or a measurement after its present step; its generator still yields the document.

        A run that is asked for later under this id ends before its first step.
        """

    def forget(self, page: str) -> None:
        """Drop what the races of a page kept: it is closed."""

    def candidates(self, run_id: str, lane: int, token: int) -> dict[str, Any]:
        """Tell what a token was chosen from, which `race` ran as `run_id`: {"candidates", "reason"}.

        `token` is its place in the lane's text, from 0. `candidates` is an entry of the race document, or None with one
        sentence as the `reason`. It is there once the batch with the token was yielded. A lane of which none can be
        known says so itself (`LaneInfo.no_candidates`).
        """

    def measured(self, run_id: str) -> dict[str, Any] | None:
        """Return the document of a measurement that is running or was kept; None if there is none."""

    def paced(self, visitor: Visitor) -> AbstractContextManager[bool]:
        """Let one piece of work on what `measured` returned begin at a time, and beside a run each after a rest.

        It waits for the turn of the visitor's address.
        """

    def status(self) -> dict[str, Any]:
        """Say what the model is doing: {"state", "text", "fraction", "model"}.

        `state` is "loading", "ready" or "failed", `fraction` None while it is not known, `model` its facts or None.
        Every open page asks a few times a second while the first model loads.
        """

    def fit(self, form: Form, visitor: Visitor) -> dict[str, Any] | None:
        """Count a prompt's tokens against the context: {"prompt_tokens", "context_length", "max_new_tokens"}.

        None while that is not known. Raises BadInput for a prompt that the model cannot read, and NotNow, without
        waiting, for one whose counting would disturb somebody's run.
        """

    def gpu_cost(self, form: Form) -> str | None:
        """Say in one sentence how many GPU seconds a race asks for; empty for a form that is not right.

        None where the device is the server's own, and not lent by the second.
        """

    def panel_gpu_cost(self, form: Form) -> str | None:
        """Say as `gpu_cost` does how many GPU seconds a panel of Inside asks for."""

    def estimate(self, form: Form, visitor: Visitor) -> str:
        """Say in one sentence how much a measurement decodes and how long that may take. Raises BadInput, and NotNow.

        The latter is raised as by `fit`.
        """

    def plan(self, form: Form, visitor: Visitor) -> dict[str, Any]:
        """Work out what a model's configuration needs of a machine, in the visitor's turn. Raises BadInput."""

    def compare(self, a: str | None, b: str | None, visitor: Visitor) -> dict[str, Any]:
        """Look at the contents of two files, or of one, and compare them. Raises BadInput for what takes too long.

        Addresses take turns. Returns {"a", "b": {"holds", "fault"} or None, "comparison": dict or None}.
        """

    def models(self) -> list[dict[str, Any]]:
        """List the catalogue: id, label, hub_id, parameters, context_length, chat, gated, note."""

    def free_names(self) -> dict[str, bool]:
        """Tell what may be named beside these models: any Hub id (`hub`), a folder of the server (`folders`)."""

    def strategies(self) -> list[dict[str, Any]]:
        """List the lanes on offer: id, name, summary, description, lossless, options, samples, available, reason.

        The last two are about the model that is loaded. `options` has each setting by name: default, label, about,
        low, high, choices. One that `samples` takes the settings of `samplers()` too.
        """

    def samplers(self) -> list[dict[str, Any]]:
        """List the rules by which a lane may choose, as they are applied: id, name, summary, description, options.

        `greedy_too` says whether a rule has an effect where nothing is drawn. The last entry is the seed of the draws.
        """

    def presets(self) -> list[dict[str, Any]]:
        """List ways to fill the measuring form: {"id", "label", "why", "form"}; the first is the default."""

    def default_form(self) -> dict[str, Any]:
        """Return the race form as it stands before anybody touches it."""

    def document_csv(self, document: Mapping[str, Any]) -> str:
        """Write a race document as CSV."""

    def measure_csv(self, document: Mapping[str, Any]) -> str:
        """Write a measurement's document as CSV."""

    def measure_markdown(self, document: Mapping[str, Any]) -> str:
        """Write a measurement's document as a Markdown table."""
