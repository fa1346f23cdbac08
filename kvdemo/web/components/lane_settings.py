"""List what a lane of a form may be set to: its strategy's settings, and those of samplers where it takes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kvdemo.core.settings.declaration import offered
from kvdemo.core.settings.race import RaceRequest
from kvdemo.web.backend import Backend

Row = dict[str, Any]


Offers = dict[str, list[Row]]


def offers(backend: Backend) -> Offers:
    """List strategies and samplers with their settings as the browser needs them (frontend/base/lane_offers.js)."""
    return {"strategies": [_with_options(row) for row in backend.strategies()], "samplers": _samplers(backend)}


def _samplers(backend: Backend) -> list[Row]:
    """List the samplers; a setting is `shared` where the whole race has it too, as its default for every lane."""
    shared = offered(RaceRequest)
    rows = [_with_options(row) for row in backend.samplers()]
    for row in rows:
        for name, option in row["options"].items():
            option["shared"] = name in shared
    return rows


def names(backend: Backend) -> dict[str, set[str]]:
    """List the settings that a lane of each strategy may name, by the id of the strategy."""
    sampling = {name for row in backend.samplers() for name in row["options"]}
    return {row["id"]: set(row["options"]) | (sampling if row["samples"] else set()) for row in backend.strategies()}


def _with_options(row: Mapping[str, Any]) -> Row:
    """Say which numbers are whole: those of a browser do not tell a whole 1 from a 1.0."""
    options = {name: {**option, "whole": isinstance(option["default"], int)} for name, option in row["options"].items()}
    return {**row, "options": options}
