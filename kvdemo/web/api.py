"""For programs: the endpoints `/race`, `/measure`, `/models` and `/strategies` of the Gradio API.

`/race` and `/measure` stream what has happened so far and end with the document of the command line's `--json`.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from typing import Any

import gradio as gr

from kvdemo.core.errors import BadInput
from kvdemo.core.events import Ended, Finished, Progress, RaceEvent, Started, TokensCommitted
from kvdemo.web.backend import Backend, Form
from kvdemo.web.tabs import measure_events, measure_form
from kvdemo.web.tabs.race_events import ACCIDENT

log = logging.getLogger(__name__)


def progress(backend: Backend, form: Form) -> Generator[dict[str, Any], None, None]:
    """The states of one race, and the document last.

    {"state": "preparing", "text", "fraction"}, then {"state": "racing", "lanes": [{"strategy", "tokens", "seconds",
    "text", "finish_reason"}]}, then the document.
    """
    state: dict[str, Any] = {"state": "preparing", "text": "", "fraction": None}
    document: Any = None
    with closing(backend.race(form, uuid.uuid4().hex[:12], "")) as batches:
        for batch in batches:
            for event in batch:
                state = _after(state, event)
                document = event.document if isinstance(event, Finished) else document
            yield state if document is None else dict(document)


def _after(state: dict[str, Any], event: RaceEvent) -> dict[str, Any]:
    match event:
        case Progress(text, fraction):
            return {"state": "preparing", "text": text, "fraction": fraction}
        case Started(lanes=lanes):
            fresh = {"tokens": 0, "seconds": 0.0, "text": "", "finish_reason": None}
            return {"state": "racing", "lanes": [{"strategy": lane.strategy, **fresh} for lane in lanes]}
        case TokensCommitted(lane=index, timed=timed, texts=texts):
            lane = state["lanes"][index]
            change = {
                "tokens": lane["tokens"] + len(texts),
                "seconds": lane["seconds"] + timed.seconds,
                "text": lane["text"] + "".join(texts),
            }
            return _with_lane(state, index, change)
        case Ended(lane=index, reason=reason, text=text):
            lane = state["lanes"][index]
            return _with_lane(state, index, {"finish_reason": reason, "text": lane["text"] + text})
    return state


def _with_lane(state: dict[str, Any], index: int, change: dict[str, Any]) -> dict[str, Any]:
    lanes = [{**lane, **change} if i == index else lane for i, lane in enumerate(state["lanes"])]
    return {**state, "lanes": lanes}


def measured_progress(backend: Backend, form: Form) -> Generator[dict[str, Any], None, None]:
    """The states of one measurement: {"state": "measuring", "text", "fraction", "remaining_s"}; last, the document."""
    document: Any = None
    with closing(backend.measure(form, uuid.uuid4().hex[:12])) as states:
        for state in states:
            document = state["document"] or document
            yield {"state": "measuring", **{key: state[key] for key in ("text", "fraction", "remaining_s")}}
    yield dict(document or {})


def add_endpoints(backend: Backend, *, races: dict[str, Any], measurements: dict[str, Any]) -> None:
    """Add the endpoints to the Blocks that is being built. They wait in line with the page's own events."""
    gr.api(_race_endpoint(backend), api_name="race", **races)
    gr.api(_measure_endpoint(backend), api_name="measure", **measurements)

    def models() -> list[dict]:
        """The catalogue of models."""
        return backend.models()

    def strategies() -> list[dict]:
        """The decoding strategies, and for each that cannot run here the reason."""
        return backend.strategies()

    gr.api(models, api_name="models")
    gr.api(strategies, api_name="strategies")


def _race_endpoint(backend: Backend) -> Callable[..., Iterator[dict]]:
    """`/race` with the form's own defaults."""
    default = backend.default_form()

    def race(  # noqa: PLR0913, PLR0917  the parameters are the interface
        prompt: str = default["prompt"],
        model: str = default["model"],
        max_new_tokens: int = default["max_new_tokens"],
        strategies: list[str] = list(default["strategies"]),  # noqa: B006  read by the API's documentation
        schedule: str = default["schedule"],
        chat: bool = default["chat"],
        temperature: float = default["temperature"],
        top_p: float = default["top_p"],
        seed: int = default["seed"],
        ignore_eos: bool = default["ignore_eos"],
    ) -> Iterator[dict]:
        """Race decoding strategies on one prompt. Streams progress, then the race document."""
        form = {
            "prompt": prompt, "model": model, "max_new_tokens": max_new_tokens, "strategies": strategies,
            "schedule": schedule, "chat": chat, "temperature": temperature, "top_p": top_p, "seed": seed,
            "ignore_eos": ignore_eos,
        }  # fmt: skip
        yield from _told(progress(backend, form), "a race failed", ACCIDENT)

    return race


def _measure_endpoint(backend: Backend) -> Callable[..., Iterator[dict]]:
    """`/measure` with the first preset as its defaults."""
    default = measure_form.default_form(backend)
    lanes: list[str] = default["strategies"].split(",")

    def measure(  # noqa: PLR0913, PLR0917  the parameters are the interface
        prompt: str = default["prompt"],
        model: str = default["model"],
        max_new_tokens: int = default["max_new_tokens"],
        strategies: list[str] = lanes,
        chat: bool = default["chat"],
        temperature: float = default["temperature"],
        top_p: float = default["top_p"],
        seed: int = default["seed"],
        repeats: int = default["repeats"],
        warmup: int = default["warmup"],
        sweep_prompt: str = default["sweep_prompt"],
        sweep_tokens: str = default["sweep_tokens"],
    ) -> Iterator[dict]:
        """Measure decoding strategies, each alone on the device, with repeats. Streams progress, then the document."""
        form = {
            "prompt": prompt, "model": model, "max_new_tokens": max_new_tokens, "strategies": strategies, "chat": chat,
            "temperature": temperature, "top_p": top_p, "seed": seed, "repeats": repeats, "warmup": warmup,
            "sweep_prompt": sweep_prompt, "sweep_tokens": sweep_tokens,
        }  # fmt: skip
        yield from _told(measured_progress(backend, form), "a measurement failed", measure_events.ACCIDENT)

    return measure


def _told(states: Generator[dict, None, None], happened: str, accident: str) -> Iterator[dict]:
    """The states, and what goes wrong as an error that the API passes on: a sentence, and no more than that."""
    try:
        yield from states
    except BadInput as error:
        raise gr.Error(str(error), print_exception=False) from error
    except Exception as error:
        log.exception(happened)
        raise gr.Error(accident, print_exception=False) from error
