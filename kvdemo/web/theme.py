"""Fonts, colours, style sheets and scripts, as the options that Gradio 6 takes at launch.

Scripts and styles are small and are sent inside the page, in the order below. (`css_paths` would rewrite the selectors
and lose `@container` rules.) plotly.js is 5 MB: the file that the plotly package ships is served as it is, and
static/chart.js asks for it once the page stands.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gradio as gr
import plotly

from kvdemo.web.definitions import DEFINITIONS

STATIC = Path(__file__).parent / "static"
SCRIPTS = (
    "rest.js", "base.js", "tabs.js", "asking.js", "specs.js", "race.js", "spell.js", "tips.js", "inspector.js",
    "lanes.js", "preview.js", "strip.js", "verdict.js", "plot.js", "chart.js", "beam_tree.js", "beam_words.js",
    "beams.js", "stage.js", "header.js", "lane_picker.js", "form.js", "share.js", "measure_table.js",
    "measure_lanes.js", "measure_device.js", "measure_chart.js", "measure_sweep.js", "measure_report.js",
    "measure.js", "compare.js", "plan.js",
)  # fmt: skip
STYLES = (
    "tokens.css", "page.css", "form.css", "lane_picker.css", "stage.css", "lanes.css", "beams.css", "sheet.css",
    "measure.css", "compare.css", "plan.css", "float.css",
)  # fmt: skip
PLOTLY_JS = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"

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


def launch_options() -> dict[str, Any]:
    """Everything about the page's looks that belongs to `launch()`."""
    gr.set_static_paths([PLOTLY_JS])
    return {
        "theme": theme(),
        "head": head(),
        "footer_links": [],
        "run_history": False,
        "ssr_mode": False,
        "enable_monitoring": False,
    }


def theme() -> gr.themes.Base:
    """Gradio's variables in terms of static/tokens.css, which knows light from dark by itself."""
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


def head() -> str:
    """Styles and scripts, an element each, so that the browser's tools show the scripts under their names."""
    styles = [f"<style>{(STATIC / name).read_text('utf-8')}</style>" for name in STYLES]
    known = json.dumps({"plotlyPath": PLOTLY_JS.as_posix(), "definitions": DEFINITIONS}).replace("<", "\\u003c")
    facts = f"window.kvdemo = {known};"
    sources = [facts] + [f"{(STATIC / name).read_text('utf-8')}\n//# sourceURL=kvdemo/{name}" for name in SCRIPTS]
    return "\n".join([*styles, *(f"<script>{source}</script>" for source in sources)])
