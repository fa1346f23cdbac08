import csv
import io
import json

from kvdemo.core.types import LaneInfo
from kvdemo.engine.lane_history import LaneHistory
from kvdemo.measure.report.csv_tables import sweep_csv
from kvdemo.measure.report.sweep_cell import sweep_cell
from kvdemo.measure.report.tables import to_markdown
from kvdemo.measure.single_run import Trial
from tests.measure.documents import measured
from tests.scripted import record, search


def runs(*lanes: LaneHistory) -> dict[str, tuple[LaneInfo, list[Trial]]]:
    return {lane.info.strategy: (lane.info, [Trial(lane.steps, "length")]) for lane in lanes}


CACHED = record("Cached", range(4), [2.0, 1.0, 1.0, 1.0], cached=True)
FAST = record("Fast", range(4), [1.0, 0.5, 0.5, 0.5], cached=True)
BEAMS = search("Beams", (1.0, 1), (9.0, 3))


def test_a_search_has_no_figures_at_fewer_tokens_than_it_ran_to() -> None:
    """It had its first token after 1 s, but only because it went on to look for four."""
    cell = sweep_cell(5, 1, runs(CACHED, BEAMS, FAST), None)
    assert cell["seconds"] == {"cached": 2.0, "beams": None, "fast": 1.0}
    assert cell["range"] == {"cached": [2.0, 2.0], "beams": None, "fast": [1.0, 1.0]}
    assert cell["speedup"] == {"beams": None, "fast": 2.0}
    assert cell["n"] == {"cached": 1, "beams": 0, "fast": 1}
    assert cell["reason"].startswith(
        "Beams is a search, which has its text at its end: it ran to 4 tokens, and what fewer would have taken it is "
        "not known."
    )
    assert "as fast" not in cell["reason"]


def test_a_search_has_figures_at_the_tokens_that_it_ran_to() -> None:
    cell = sweep_cell(5, 4, runs(CACHED, BEAMS), None)
    assert (cell["seconds"]["beams"], cell["speedup"]) == (10.0, {"beams": 0.5})
    assert "search" not in cell["reason"]


def test_nothing_is_compared_with_a_search_at_fewer_tokens_than_it_ran_to() -> None:
    cell = sweep_cell(5, 1, runs(BEAMS, CACHED, FAST), None)
    assert cell["seconds"] == {"beams": None, "cached": 2.0, "fast": 1.0}
    assert cell["speedup"] == {"cached": None, "fast": None}
    assert cell["reason"].count("Beams is a search") == 1


def test_undefined_figures_of_a_cell_are_empty_in_the_tables() -> None:
    cell = sweep_cell(5, 1, runs(CACHED, BEAMS), None)
    document = measured({"cached": [2.0]}) | {"sweep": {"baseline": "cached", "cells": [cell]}}
    json.dumps(cell, allow_nan=False)
    assert "| 5 | 1 | beams | – | – | – |" in to_markdown(document)
    row = list(csv.DictReader(io.StringIO(sweep_csv(document))))[1]
    assert (row["seconds"], row["speedup"], row["bound"]) == ("", "", "")
