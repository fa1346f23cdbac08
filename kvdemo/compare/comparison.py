"""Compare two documents: what differs between the runs, and whether their times differ.

Times can be compared where both did the same work: the same model, the same prompt, as many tokens, drawn the same
way, by a strategy with the same settings (`lanes`). Everything else that differs (a GPU, a version, a dtype) may be
what is compared, and is listed. Where the work differs, the times are shown and nothing is claimed.

Documents of a measurement have runs; a race's has steps, which are one run. Files come from outside:
`validation.load` refuses what is not such a document, and `compare` cleans and shortens every text that it takes over.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, NamedTuple

from kvdemo.compare.facts import FACTS, Fact
from kvdemo.compare.lanes import Change, Lane, changes, lanes, pairs
from kvdemo.compare.sentences import Difference, headline, notes, set_differently, states
from kvdemo.compare.validation import LONGEST_TEXT, Document, plain
from kvdemo.core.figures.statistics import figures, noise_warning, speedup, statement, summarize
from kvdemo.core.settings.declaration import declared
from kvdemo.core.settings.race import Sampling
from kvdemo.documents.common import SCHEMA

SHORTEST_SECONDS = 1e-12
#: Settings for all lanes. Whether a difference in one is other work depends on the lane: it may have its own, draw
#: nothing, or have a rule of its own.
_DRAWN = frozenset(declared(Sampling))
METRICS = {"e2e_s": "E2E", "ttft_s": "TTFT", "tpot_s": "TPOT", "level_s": "Per level"}


def compare(a: Document, b: Document) -> dict[str, Any]:
    """Compare two documents that `load` has read, or that were built here.

    Each row's `ratio` is B's mean over A's, so that above 1 B is slower; `low` and `high` are its 95 % interval. Its
    `speedup` is the same the other way round: how many times as fast B is.
    """
    lanes_a, lanes_b = _lanes(a), _lanes(b)
    places = pairs(lanes_a, lanes_b)
    stated = list(_differences(a, b))
    same_work = not any(fact.work for fact, _, _ in stated if fact.key not in _DRAWN)
    both = [_pair(lanes_a[x], lanes_b[y], stated) for x, y in places.items()]
    found = [_compare_lane(pair, same_work) for pair in both]
    differences = [*_weighed(stated, both), *(one for pair in both for one in _of_lane(pair))]
    shared = {lane.strategy for lane in lanes_a} & {lane.strategy for lane in lanes_b}
    return {
        "schema": SCHEMA,
        "kind": "comparison",
        "like_with_like": any(lane["metrics"] for lane in found) and all(lane["same_work"] for lane in found),
        "headline": headline(differences, found, ambiguous=bool(shared)),
        "differences": [{"field": fact.name, "a": x, "b": y} for fact, x, y in differences],
        "lanes": found,
        "only_a": [lane.name for place, lane in enumerate(lanes_a) if place not in places],
        "only_b": [lane.name for place, lane in enumerate(lanes_b) if place not in places.values()],
        "notes": [*states(a, b), *notes(found)],
    }


def lanes_and_runs(document: Document) -> list[tuple[str, int]]:
    """List the lanes by name, each with how many complete runs it has."""
    return [(lane.name, len(_samples(lane.runs, "e2e_s"))) for lane in _lanes(document)]


def _differences(a: Document, b: Document) -> Iterator[Difference]:
    """Yield what differs, as (field, in A, in B); not what one file does not state.

    A null is a statement, such as of a machine without a GPU.
    """
    if (kinds := (_run_kind(a), _run_kind(b)))[0] != kinds[1]:
        yield Fact("kind of run", "", "kind"), *kinds
    for field in FACTS:
        of_a, of_b = a[field.section], b[field.section]
        if field.key in of_a and field.key in of_b and of_a[field.key] != of_b[field.key]:
            yield field, _value(field, of_a), _value(field, of_b)


def _weighed(stated: Sequence[Difference], both: Sequence[_Pair]) -> Iterator[Difference]:
    """Yield the same differences; one in how tokens are drawn is work where it has an effect on some lane."""
    in_effect = {change.key for pair in both for change in pair.common if change.work}
    for fact, x, y in stated:
        yield fact._replace(work=fact.key in in_effect) if fact.key in _DRAWN else fact, x, y


def _of_lane(pair: _Pair) -> Iterator[Difference]:
    """Yield what two lanes of their own were set to differently."""
    for change in pair.own:
        yield Fact(f"{change.called} of {pair.name}", "lanes", change.key, change.work), change.a, change.b


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


def _lanes(document: Document) -> list[Lane]:
    """List the lanes of a document, each with its runs."""
    measured = document.get("kind") == "measure"
    return lanes(document, (lambda entry: entry["runs"]) if measured else _raced)


class _Pair(NamedTuple):
    """Two lanes to compare, and what they were set to differently: by the settings for all lanes, or of their own."""

    a: Lane
    b: Lane
    common: Sequence[Change]
    own: Sequence[Change]

    @property
    def name(self) -> str:
        """The name that a file gives the lane, or one that says its settings: those that are the same in both."""
        if self.own:
            return self.a.described({change.key for change in self.own})
        return self.a.name if self.a.given or not self.b.given else self.b.name


def _pair(a: Lane, b: Lane, stated: Sequence[Difference]) -> _Pair:
    for_all = {fact.key: (x, y) for fact, x, y in stated if fact.key in _DRAWN}
    found = list(changes(a, b))
    common = [change for change in found if for_all.get(change.key) == (change.a, change.b)]
    return _Pair(a, b, common, [change for change in found if change not in common])


def _compare_lane(pair: _Pair, same_work: bool) -> dict[str, Any]:
    runs_a, runs_b = pair.a.runs, pair.b.runs
    tokens_a, tokens_b = ({run["tokens"] for run in runs} for runs in (runs_a, runs_b))
    changed = any(change.work for change in (*pair.common, *pair.own))
    same = same_work and not changed and len(tokens_a | tokens_b) <= 1
    metrics = {}
    warnings = [set_differently(pair.own)] if pair.own else []
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
        "strategy": plain(pair.a.strategy),
        "name": pair.name,
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
