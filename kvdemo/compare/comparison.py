"""Compare two documents: what differs between the runs, and whether their times differ.

Times can be compared where both did the same work: the same model, the same prompt, as many tokens, drawn the same
way. Everything else that differs (a GPU, a version, a dtype) may be what is compared, and is listed. Where the work
differs, the times are shown and nothing is claimed.

Documents of a measurement have runs; a race's has steps, which are one run. Files come from outside:
`validation.load` refuses what is not such a document, and `compare` cleans and shortens every text that it takes over.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from kvdemo.compare.facts import FACTS, Fact
from kvdemo.compare.sentences import Difference, headline, notes, states
from kvdemo.compare.validation import LONGEST_TEXT, Document, plain
from kvdemo.core.figures.statistics import figures, noise_warning, speedup, statement, summarize
from kvdemo.documents.common import SCHEMA

SHORTEST_SECONDS = 1e-12
METRICS = {"e2e_s": "E2E", "ttft_s": "TTFT", "tpot_s": "TPOT", "level_s": "Per level"}


Lanes = dict[tuple[str, int], Mapping[str, Any]]


def compare(a: Document, b: Document) -> dict[str, Any]:
    """Compare two documents that `load` has read, or that were built here.

    Each row's `ratio` is B's mean over A's, so that above 1 B is slower; `low` and `high` are its 95 % interval. Its
    `speedup` is the same the other way round: how many times as fast B is.
    """
    differences, same_work = _differences(a, b)
    lanes_a, lanes_b = _lanes(a), _lanes(b)
    lanes = [_compare_lane(key, lane, lanes_b[key], same_work) for key, lane in lanes_a.items() if key in lanes_b]
    return {
        "schema": SCHEMA,
        "kind": "comparison",
        "like_with_like": same_work and all(lane["same_work"] for lane in lanes),
        "headline": headline(differences, lanes),
        "differences": [{"field": found.name, "a": x, "b": y} for found, x, y in differences],
        "lanes": lanes,
        "only_a": [_lane_name(key, lane) for key, lane in lanes_a.items() if key not in lanes_b],
        "only_b": [_lane_name(key, lane) for key, lane in lanes_b.items() if key not in lanes_a],
        "notes": [*states(a, b), *notes(lanes)],
    }


def lanes_and_runs(document: Document) -> list[tuple[str, int]]:
    """List the lanes by name, each with how many complete runs it has."""
    return [(_lane_name(key, lane), len(_samples(lane["runs"], "e2e_s"))) for key, lane in _lanes(document).items()]


def _differences(a: Document, b: Document) -> tuple[list[Difference], bool]:
    """List what differs, as (field, in A, in B), and whether the work is the same; not what one file does not state.

    A null is a statement, such as of a machine without a GPU.
    """
    found: list[Difference] = []
    if (kinds := (_run_kind(a), _run_kind(b)))[0] != kinds[1]:
        found.append((Fact("kind of run", "", "kind"), *kinds))
    for field in FACTS:
        of_a, of_b = a[field.section], b[field.section]
        if field.key in of_a and field.key in of_b and of_a[field.key] != of_b[field.key]:
            found.append((field, _value(field, of_a), _value(field, of_b)))
    return found, not any(field.work for field, _, _ in found)


def _run_kind(document: Document) -> str:
    """Name what was run: a measurement, or a race and its schedule. Lanes that run at once slow each other down."""
    if document.get("kind") == "measure":
        return "measurement"
    schedule = document.get("schedule")
    return f"race ({plain(schedule) if isinstance(schedule, str) else 'fair'})"


def _value(field: Fact, section: Mapping[str, Any]) -> str | int | float | bool | None:
    value = section[field.key]
    if field.key == "tokens":
        return plain(f"{len(value)} tokens: {section['text'][: LONGEST_TEXT + 1]}")
    return plain(value) if isinstance(value, str) else value


def _lanes(document: Document) -> Lanes:
    """Group lanes by strategy, and number those of one strategy by their order; each with its runs."""
    measured = document.get("kind") == "measure"
    lanes: Lanes = {}
    for lane in document["lanes"]:
        order = 0
        while (lane["strategy"], order) in lanes:
            order += 1
        lanes[lane["strategy"], order] = lane if measured else {**lane, "runs": _raced(lane)}
    return lanes


def _lane_name(key: tuple[str, int], *lanes: Mapping[str, Any]) -> str:
    """Return the name that a file gives the lane, else its strategy's id; numbered where one strategy runs often."""
    strategy, order = key
    name = next((lane["name"] for lane in lanes if isinstance(lane.get("name"), str) and lane["name"]), strategy)
    return plain(name) + (f" #{order + 1}" if order else "")


def _compare_lane(key: tuple[str, int], a: Mapping[str, Any], b: Mapping[str, Any], same_work: bool) -> dict[str, Any]:
    runs_a, runs_b = a["runs"], b["runs"]
    tokens_a, tokens_b = ({run["tokens"] for run in runs} for runs in (runs_a, runs_b))
    same = same_work and len(tokens_a | tokens_b) <= 1
    metrics = {}
    warnings = []
    for name, metric in METRICS.items():
        samples_a, samples_b = _samples(runs_a, name), _samples(runs_b, name)
        if samples_a and samples_b:
            metrics[name] = _compare_samples(metric, samples_a, samples_b, same)
    for file, runs in (("A", runs_a), ("B", runs_b)):
        if warning := noise_warning(_samples(runs, "e2e_s")):
            warnings.append(f"{file}: {warning}")
        if not runs:
            warnings.append(f"{file}: No run of this lane is complete.")
    return {
        "strategy": plain(key[0]),
        "name": _lane_name(key, a, b),
        "same_work": same,
        "tokens": {"a": sorted(tokens_a), "b": sorted(tokens_b)},
        "metrics": metrics,
        "warnings": warnings,
    }


def _raced(lane: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Take a raced lane's steps as the one run that they are; no run without a step.

    A search has no TTFT and no TPOT (`kvdemo.core.figures.metrics`): its lane has the levels that it went through, in
    `beams`.
    """
    steps = lane["steps"]
    if not steps:
        return []
    tokens = sum(step["tokens"] for step in steps)
    e2e, first = math.fsum(step["seconds"] for step in steps), steps[0]["seconds"]
    if beams := lane.get("beams"):
        levels = len(beams) if isinstance(beams, list) else 1
        return [{"tokens": tokens, "e2e_s": e2e, "ttft_s": None, "tpot_s": None, "level_s": e2e / levels}]
    tpot = (e2e - first) / (tokens - 1) if tokens > 1 and len(steps) > 1 else None
    return [{"tokens": tokens, "e2e_s": e2e, "ttft_s": first, "tpot_s": tpot}]


def _samples(runs: Sequence[Mapping[str, Any]], name: str) -> list[float]:
    """List one figure of each run; one that is undefined, or of a clock that did not tick, carries no ratio."""
    return [run[name] for run in runs if (run.get(name) or 0.0) >= SHORTEST_SECONDS]


def _compare_samples(metric: str, a: Sequence[float], b: Sequence[float], same_work: bool) -> dict[str, Any]:
    found = speedup(a, b)
    if not same_work:
        unlike = "The work differs: no significance is claimed."
        found = replace(found, low=None, high=None, significant=None, missing=unlike)
    interval = () if found.low is None or found.high is None else (found.low, found.high)
    claim = statement(found, "B", "A")
    return {
        "a": asdict(summarize(a)),
        "b": asdict(summarize(b)),
        "ratio": 1 / found.ratio,
        "low": 1 / interval[1] if interval else None,
        "high": 1 / interval[0] if interval else None,
        "significant": found.significant,
        "statement": f"{metric}: {claim}",
        "claim": claim,
        "speedup": {
            "ratio": found.ratio,
            "low": found.low,
            "high": found.high,
            "text": figures(found.ratio, *interval),
        },
    }
