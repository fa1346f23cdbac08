"""Add the endpoints of the Gradio API: `/race`, `/measure`, `/inside`, `/plan`, `/models`, `/strategies`, `/samplers`.

The first three stream what has happened so far and end with the document of the command line's `--json`, which is all
that `/plan` sends.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Mapping
from contextlib import aclosing
from typing import Any

import gradio as gr

from kvdemo.core.errors import BadInput
from kvdemo.core.settings import validation
from kvdemo.core.settings.declaration import Setting, offered
from kvdemo.core.settings.inside import DEFAULT_PROMPT, InsideRequest
from kvdemo.core.settings.measure import MeasureRequest
from kvdemo.core.settings.race import RaceRequest
from kvdemo.core.types import VALUES, Kind
from kvdemo.core.visitor import Visitor
from kvdemo.costs.planner import PlanRequest
from kvdemo.web.api.states import inside_states, measure_states, race_states
from kvdemo.web.backend import Backend, Form
from kvdemo.web.components.follow import IN_LINE
from kvdemo.web.run_streams import RUN, Runs, visitor_of
from kvdemo.web.tabs import inside_events, measure_events, measure_form
from kvdemo.web.tabs.plan import PLAN_LINE
from kvdemo.web.tabs.race_events import ACCIDENT

log = logging.getLogger(__name__)

#: No lane and no token of a race has a higher place.
MOST_PLACES = 10**9
PLAN_ACCIDENT = "Something went wrong on the server, and this plan could not be calculated: try again."
Endpoint = Callable[..., AsyncIterator[dict]]
States = Generator[dict, None, None]
#: The order of the parameters, which programs rely on. A setting that is declared later comes after these.
PLACES = (
    "prompt", "model", "max_new_tokens", "strategies", "schedule", "chat", "temperature", "top_p", "seed", "ignore_eos",
    "repeats", "warmup", "sweep_prompt", "sweep_tokens", "candidates",
)  # fmt: skip
#: Lists of numbers are text with commas, as in the form.
_TYPES: Mapping[Kind, Any] = VALUES | {"lengths": str, "ids": str}


def add_endpoints(backend: Backend) -> None:
    """Add the endpoints to the Blocks that is being built. Their runs wait in line with the page's own."""
    gr.api(race_endpoint(backend), api_name="race", **RUN)
    gr.api(measure_endpoint(backend), api_name="measure", **RUN)
    gr.api(inside_endpoint(backend), api_name="inside", **RUN)
    gr.api(plan_endpoint(backend), api_name="plan", concurrency_limit=IN_LINE, concurrency_id=PLAN_LINE)

    def models() -> list[dict]:
        """List the models to choose from."""
        return backend.models()

    def strategies() -> list[dict]:
        """List the decoding strategies, and for each that cannot run here the reason."""
        return backend.strategies()

    def samplers() -> list[dict]:
        """List the rules by which a lane may choose its tokens, with their settings, as they are applied."""
        return backend.samplers()

    def candidates(run: str, lane: int, token: int) -> dict:
        """Tell what a token of a page's race was chosen from (frontend/race/token/candidates.js asks)."""
        places = {"lane": lane, "token": token}
        try:
            for name, given in {"run": run, **places}.items():
                validation.short(name, given, validation.LONGEST)
            checked = [validation.whole(name, at, 0, MOST_PLACES) for name, at in places.items()]
            return backend.candidates(validation.text("run", run), *checked)
        except BadInput as error:
            raise gr.Error(str(error), print_exception=False) from error

    gr.api(candidates, api_name="candidates", queue=False, api_visibility="undocumented")
    gr.api(models, api_name="models")
    gr.api(strategies, api_name="strategies")
    gr.api(samplers, api_name="samplers")


def race_endpoint(backend: Backend) -> Endpoint:
    """Make `/race` with the form's own defaults."""

    def states(form: Form, run_id: str, visitor: Visitor) -> States:
        return _told(race_states(backend, form, run_id, visitor), "a race failed", ACCIDENT)

    about = "Race decoding strategies on one prompt. Streams progress, then the race document."
    return _endpoint(backend, "race", about, RaceRequest, backend.default_form(), states)


def measure_endpoint(backend: Backend) -> Endpoint:
    """Make `/measure` with the first preset as its defaults."""

    def states(form: Form, run_id: str, visitor: Visitor) -> States:
        return _told(measure_states(backend, form, run_id, visitor), "a measurement failed", measure_events.ACCIDENT)

    about = "Measure decoding strategies, each alone on the device, with repeats. Streams progress, then the document."
    return _endpoint(backend, "measure", about, MeasureRequest, measure_form.default_form(backend), states)


def inside_endpoint(backend: Backend) -> Endpoint:
    """Make `/inside` with the defaults of the command line, and a text to look at."""

    def states(form: Form, run_id: str, visitor: Visitor) -> States:
        return _told(inside_states(backend, form, run_id, visitor), "a run of Inside failed", inside_events.ACCIDENT)

    about = "Show what a model computes and keeps for one text. Streams progress, then the document."
    default = {"prompt": DEFAULT_PROMPT, "model": backend.default_form()["model"]}
    return _endpoint(backend, "inside", about, InsideRequest, default, states)


def plan_endpoint(backend: Backend) -> Endpoint:
    """Make `/plan` with the form's model; what the machine has must be given."""

    def states(form: Form, run_id: str, visitor: Visitor) -> States:  # noqa: ARG001 - a plan is not stopped
        return _told((backend.plan(form, visitor) for _ in range(1)), "a plan failed", PLAN_ACCIDENT)

    about = "Calculate what a model's configuration needs of a machine: its cache, what fits, how fast it can decode."
    return _endpoint(backend, "plan", about, PlanRequest, {"model": backend.default_form()["model"]}, states)


def _endpoint(
    backend: Backend,
    name: str,
    about: str,
    asked: type[Any],
    default: Form,
    states: Callable[[Form, str, Visitor], States],
) -> Endpoint:
    """Make a function with a parameter for each setting. Gradio reads its signature and its docstring."""
    settings, runs = offered(asked), Runs(backend.stop)
    placed = [key for key in PLACES if key in settings] + [key for key in settings if key not in PLACES]
    required = [key for key in placed if settings[key].missing and key not in default]
    placed = required + [key for key in placed if key not in required]
    parameters = [
        inspect.Parameter(
            key, inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=_TYPES[settings[key].kind],
            default=inspect.Parameter.empty if key in required
            else _spelled(settings[key], default.get(key, settings[key].default)),
        )
        for key in placed
    ]  # fmt: skip
    # Gradio gives the request, to parameters with a place only; no program sees it.
    request_first = inspect.Parameter("request", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=gr.Request)
    signature = inspect.Signature([request_first, *parameters], return_annotation=Iterator[dict])

    async def endpoint(*given: Any, **named: Any) -> AsyncIterator[dict]:
        bound = signature.bind(*given, **named)
        bound.apply_defaults()
        form = dict(bound.arguments)
        request = form.pop("request")
        visitor = visitor_of(request)
        with runs.running(visitor.session) as run_id:
            async with aclosing(runs.stream(states(form, run_id, visitor), run_id, request)) as shown:
                async for state in shown:
                    yield state

    endpoint.__name__ = name
    endpoint.__doc__ = "\n".join([about, "Parameters:", *(f"    {key}: {settings[key].about}" for key in placed)])
    endpoint.__annotations__ = {key: one.annotation for key, one in signature.parameters.items()}
    endpoint.__signature__ = signature  # type: ignore[attr-defined]
    return endpoint


def _spelled(setting: Setting, value: Any) -> Any:
    """Write a default as a parameter holds it: lanes and several choices are a list."""
    if setting.kind not in ("lanes", "several"):
        return value
    return value.split(",") if isinstance(value, str) else list(value)


def _told(states: States, happened: str, accident: str) -> States:
    """Yield the states, and what goes wrong as an error that the API passes on: a sentence, and no more than that."""
    try:
        yield from states
    except BadInput as error:
        raise gr.Error(str(error), print_exception=False) from error
    except Exception as error:
        log.exception(happened)
        raise gr.Error(accident, print_exception=False) from error
