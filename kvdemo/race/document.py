"""Write a race as a document: the stable JSON of the external interface, and the same steps as CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from math import isnan
from typing import Any

from kvdemo.core.events import Finding, FinishReason, LaneStatus, Verdict
from kvdemo.core.figures.metrics import lane_metrics, speedup
from kvdemo.core.figures.requests import RequestTotals
from kvdemo.core.settings.declaration import recorded
from kvdemo.core.settings.race import RaceRequest
from kvdemo.core.types import UNKNOWN, Step, TimedStep
from kvdemo.documents.common import SCHEMA
from kvdemo.engine.lane_history import LaneHistory

STATUS: dict[FinishReason, LaneStatus] = {"length": "done", "eos": "done", "stopped": "stopped", "error": "failed"}


def build(
    request: RaceRequest,
    records: Sequence[LaneHistory],
    verdict: Verdict,
    *,
    model: Mapping[str, Any],
    environment: Mapping[str, Any],
    prompt_text: str,
    prompt_ids: Sequence[int],
    templated: bool,
) -> dict[str, Any]:
    """Build the document of a finished race; `templated`: a chat template was applied to the prompt."""
    return {
        "schema": SCHEMA,
        "environment": dict(environment),
        "model": dict(model),
        "prompt": {"text": request.prompt, "model_text": prompt_text, "tokens": list(prompt_ids)},
        "settings": recorded(request) | {"chat": templated},
        "schedule": request.schedule,
        "lanes": [_lane(record, request, prompt_text) for record in records],
        "comparison": {
            "baseline": records[0].info.strategy,
            "lanes": [_comparison(records[0], record) for record in records[1:]],
        },
        "verdict": {
            "headline": verdict.headline,
            "sentences": list(verdict.sentences),
            "findings": [_finding(finding) for finding in verdict.findings],
        },
    }


def _lane(record: LaneHistory, request: RaceRequest, prompt_text: str) -> dict[str, Any]:
    reason = record.ended.reason if record.ended else "stopped"
    metrics = asdict(lane_metrics(record.steps))
    if record.info.elsewhere:
        metrics["positions"] = None
    return {
        "strategy": record.info.strategy,
        "options": dict(record.info.options),
        "sampling": dict(record.info.sampling),
        "status": STATUS[reason],
        "finish_reason": reason,
        "error": record.ended.error if record.ended else None,
        "tokens": [None if token == UNKNOWN else token for token in record.tokens],
        "text": record.text,
        "steps": _steps(record, request, prompt_text),
        "metrics": metrics,
        "remarks": record.remarks,
    } | {
        name: value
        for name, value in (
            ("beams", record.beams),
            ("requests", _requests(record.together) if record.together else None),
            ("no_candidates", record.info.no_candidates if request.candidates else ""),
        )
        if value
    }


def _requests(together: RequestTotals) -> dict[str, Any]:
    return asdict(together) | {"each": [asdict(one) for one in together.each]}


def _steps(record: LaneHistory, request: RaceRequest, prompt_text: str) -> list[dict[str, Any]]:
    """List each step; where that was asked for, what a lane that works on text read, and what tokens came from."""
    steps, done = [], 0
    for timed in record.steps:
        inputs = request.inputs and record.works_on_text
        more: dict[str, Any] = {"input": prompt_text + "".join(record.texts[:done])} if inputs else {}
        if request.candidates:
            more["candidates"] = record.candidates[done : done + len(timed.step.choices)]
        if record.info.elsewhere:
            more |= {"positions": None, "cache_bytes": None}
        texts = record.texts[done : done + len(timed.step.choices)]
        done += len(texts)
        steps.append(_step(timed, texts) | more)
    return steps


def _step(timed: TimedStep, texts: Sequence[str]) -> dict[str, Any]:
    return {
        "tokens": len(timed.step.choices),
        "seconds": timed.seconds,
        "positions": timed.step.positions,
        "cache_bytes": timed.step.cache_bytes,
        "tokenize_seconds": timed.tokenize_seconds,
        "logprobs": [None if isnan(choice.logprob) else choice.logprob for choice in timed.step.choices],
        "entropies": [choice.entropy for choice in timed.step.choices],
        "texts": list(texts),
    } | {
        name: value
        for name, value in (("details", dict(timed.step.details)), ("passes", pass_entries(timed.step)))
        if value
    }


def pass_entries(step: Step) -> list[dict[str, Any]]:
    """List a step's forward passes; [] for the common step, which is one pass of one row."""
    if len(step.passes) == 1 and step.passes[0].rows == step.passes[0].logits == 1:
        return []
    return [asdict(ran) for ran in step.passes]


def _comparison(baseline: LaneHistory, record: LaneHistory) -> dict[str, Any]:
    divergence = record.divergence
    return {
        "strategy": record.info.strategy,
        "speedup": speedup(baseline.steps, record.steps),
        "identical": divergence is None and bool(record.tokens) and bool(baseline.tokens),
        "first_divergence": asdict(divergence) if divergence else None,
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "kind": finding.kind,
        "lanes": list(finding.lanes),
        "numbers": {name: _listed(number) for name, number in finding.numbers.items()},
        "text": finding.text,
        "reason": finding.reason,
    }


def _listed(number: Any) -> Any:
    return [_listed(one) for one in number] if isinstance(number, tuple) else number


def to_csv(document: Mapping[str, Any]) -> str:
    """Write one row a token. Text is JSON-quoted: line breaks stay in their cell, and no cell can be a formula.

    `settings` are those of the lane in effect, its own and of samplers, written as in a spec.
    """
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    costs = ["seconds", "positions", "cache_bytes"]
    table.writerow(["lane", "strategy", "token_index", "token_id", "text", *costs, "logprob", "settings", "entropy"])
    for number, lane in enumerate(document["lanes"]):
        ids = iter(enumerate(lane["tokens"]))
        settings = ":".join(f"{name}={value}" for name, value in {**lane["options"], **lane["sampling"]}.items())
        for step in lane["steps"]:
            k = step["tokens"]
            chosen = zip(step["texts"], step["logprobs"], step["entropies"], ids, strict=False)
            for text, logprob, entropy, (index, token) in chosen:
                quoted = json.dumps(text, ensure_ascii=False)
                cost = [step["seconds"] / k, step["positions"], step["cache_bytes"]]
                table.writerow([number, lane["strategy"], index, token, quoted, *cost, logprob, settings, entropy])
    return out.getvalue()
