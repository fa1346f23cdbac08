"""Set fonts and colours, and the options that Gradio 6 takes at launch.

The style sheets go through the page's head (assets.py): `css_paths` would rewrite the selectors and lose `@container`
rules.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr
from fastapi.exceptions import RequestValidationError
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from kvdemo.web import assets
from kvdemo.web.gradio_patches.kept_page import KeptPage
from kvdemo.web.gradio_patches.shared_queue import MOST
from kvdemo.web.guard import unreadable
from kvdemo.web.guard.listeners import Listeners
from kvdemo.web.guard.protection import Protection
from kvdemo.web.tabs.compare import MOST_BYTES

SANS = [
    "ui-sans-serif",
    "system-ui",
    "-apple-system",
    "Segoe UI",
    "Roboto",
    "Helvetica Neue",
    "Noto Sans",
    "sans-serif",
]
MONO = ["ui-monospace", "SFMono-Regular", "Menlo", "Cascadia Mono", "Consolas", "Liberation Mono", "monospace"]


#: Of so many sessions Gradio keeps what events wrote, a whole race among it, which nothing reads: events take the
#: browser's values as they are (`preprocess=False`). By default it keeps ten thousand, which may be gigabytes.
SESSIONS = 50


def launch_options(
    uploaded_bytes: int = 200_000_000,
    on_stranger: Callable[[], None] = lambda: None,
    health: Callable[[], dict[str, Any]] = lambda: {"ok": True},
    metrics: Callable[[], tuple[bytes, str]] | None = None,
) -> dict[str, Any]:
    """Return what belongs to `launch()`: the page's looks and files, and what guards the server (`protection`).

    `uploaded_bytes` is what all visitors may upload in an hour; `on_stranger` is called for the first visitor of
    another machine; `health` is what /healthz answers, with the code 503 where it is not `ok`; `metrics`
    is what /metrics answers, and of which type that is; without it there is no such address.
    """

    def answer(_: Request) -> Response:
        said = health()
        return JSONResponse(said, 200 if said["ok"] else 503)

    routes = [*assets.routes(), Route("/healthz", answer)]
    if metrics:
        routes.append(Route("/metrics", lambda _: _typed(*metrics())))
    guard = Middleware(Protection, file_bytes=MOST_BYTES, hourly_bytes=uploaded_bytes, on_stranger=on_stranger)
    return {
        "theme": theme(),
        "head": assets.head(),
        "app_kwargs": {
            "routes": routes,
            "middleware": [guard, Middleware(KeptPage), Middleware(Listeners)],
            "openapi_url": None,  # a list of all routes, which takes 50 ms; programs read /gradio_api/info
            "exception_handlers": {RequestValidationError: unreadable.explain_fault},
        },
        "max_file_size": MOST_BYTES,
        "max_threads": MOST,
        "state_session_capacity": SESSIONS,
        "footer_links": [],
        "run_history": False,
        "ssr_mode": False,
        "enable_monitoring": False,
    }


def _typed(body: bytes, kind: str) -> Response:
    return Response(body, media_type=kind)


def theme() -> gr.themes.Base:
    """Write Gradio's variables in terms of frontend/styles/tokens.css, which knows light from dark by itself."""
    names = {
        "body_background_fill": "bg", "body_text_color": "ink", "body_text_color_subdued": "ink-3",
        "background_fill_primary": "surface", "background_fill_secondary": "sunken",
        "border_color_primary": "line", "border_color_accent": "accent", "color_accent_soft": "accent-soft",
        "block_background_fill": "bg", "block_border_color": "line", "block_info_text_color": "ink-3",
        "block_label_text_color": "ink-2", "block_title_text_color": "ink-2", "link_text_color": "accent",
        "input_background_fill": "surface", "input_background_fill_focus": "surface",
        "input_border_color": "line-2", "input_border_color_focus": "accent", "input_placeholder_color": "ink-3",
        "button_primary_background_fill": "accent", "button_primary_background_fill_hover": "accent-strong",
        "button_primary_text_color": "accent-ink", "button_primary_text_color_hover": "accent-ink",
        "button_secondary_background_fill": "surface", "button_secondary_background_fill_hover": "sunken",
        "button_secondary_text_color": "ink", "button_secondary_border_color": "line-2",
        "checkbox_background_color": "surface", "checkbox_background_color_selected": "accent",
        "checkbox_border_color": "line-2", "checkbox_border_color_selected": "accent",
        "checkbox_label_background_fill": "surface", "checkbox_label_background_fill_selected": "accent-soft",
        "checkbox_label_text_color": "ink-2", "checkbox_label_text_color_selected": "ink",
        "slider_color": "accent", "stat_background_fill": "accent",
    }  # fmt: skip
    values = {key: f"var(--kv-{token})" for key, token in names.items()}
    dark = {f"{key}_dark": value for key, value in values.items()}
    return gr.themes.Base(font=SANS, font_mono=MONO).set(**values, **dark)
