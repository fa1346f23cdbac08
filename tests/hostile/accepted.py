"""Ask an app what it takes: its events with their values, and its addresses."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx
from gradio.routes import App
from starlette.routing import BaseRoute

from kvdemo.web import page
from tests.web.scripted_backend import ScriptedBackend

PATIENCE = 600.0
#: What keeps a run short that an attack does not stop, by the name of a parameter or the label of a control.
SHORT: Mapping[str, Any] = {
    "prompt": "Hi", "max_new_tokens": 2, "New tokens": 2, "strategies": ["dynamic_cache"], "Lanes": "dynamic_cache",
    "chat": False, "repeats": 1, "Repeats": 1, "warmup": 0, "Warm-up": 0, "memory_gb": 24, "bandwidth_gb_s": 600,
    "panels": ["past"], "run": "none", "lane": 0, "token": 0,
}  # fmt: skip


@dataclass(frozen=True)
class Event:
    """An event of the app: its number, its name for programs or "", and each value that it takes, as JSON, by name."""

    number: int
    name: str
    takes: Mapping[str, str]
    queued: bool


def events(url: str) -> list[Event]:
    """All events that the server answers: those of the API and those of the page."""
    config = _asked(f"{url}config")
    info = _asked(f"{url}gradio_api/info?all_endpoints=1")
    named, components = info["named_endpoints"], {one["id"]: one["props"] for one in config["components"]}
    return [
        Event(one["id"], one["api_name"] or "", _takes(one, named.get(f"/{one['api_name']}"), components), one["queue"])
        for one in config["dependencies"]
        if one["backend_fn"]
    ]


def _asked(url: str) -> Any:
    return httpx.get(url, timeout=PATIENCE).raise_for_status().json()


def _takes(event: Mapping[str, Any], info: Mapping[str, Any] | None, components: Mapping[int, Any]) -> dict[str, str]:
    props = [components[number] for number in event["inputs"]]
    parameters = info["parameters"] if info and event["api_visibility"] != "private" else []
    names = [one["parameter_name"] for one in parameters] if len(parameters) == len(props) else []
    names = names or [str(one.get("label") or one.get("elem_id")) for one in props]
    return {
        f"{name}{place if name in names[:place] else ''}": json.dumps(SHORT.get(name, one.get("value")))
        for place, (name, one) in enumerate(zip(names, props, strict=True))
    }


def routes() -> list[BaseRoute]:
    """The addresses of the web server, those of Gradio and the app's own."""
    options = page.launch_options(metrics=lambda: (b"", "text/plain"))
    found = App.create_app(page.build(ScriptedBackend()), app_kwargs=options["app_kwargs"]).routes
    return [one for route in found for one in getattr(getattr(route, "original_router", None), "routes", [route])]
