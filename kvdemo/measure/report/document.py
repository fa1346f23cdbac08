"""Build a measurement's document: what `--json` prints, the tab shows, and `compare` reads. It is always complete."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kvdemo.core.figures import statistics
from kvdemo.core.settings.declaration import recorded
from kvdemo.core.settings.measure import MeasureRequest
from kvdemo.costs import formulas
from kvdemo.costs.planner import LENGTHS
from kvdemo.documents.common import SCHEMA
from kvdemo.engine import environment
from kvdemo.measure.report.lane_entry import Entry, LaneTrials, lane_entry
from kvdemo.measure.report.published import rows_for
from kvdemo.measure.roofline.bounds import RooflineModel
from kvdemo.measure.roofline.device_peaks import DevicePeaks
from kvdemo.models.loaded import LoadedModel
from kvdemo.models.text.codec import Prompt

#: Contexts at which the floors are worked out for the chart.
FLOOR_POINTS = 60


@dataclass(frozen=True)
class Measured:
    """A measurement as far as it has come.

    limits   of the device; None before they are measured, or where they could not be
    machine  the model on the device; None where its shape is not understood
    cells    of the sweep
    """

    run_id: str
    started_at: str
    status: str
    records: Sequence[LaneTrials]
    limits: DevicePeaks | None
    machine: RooflineModel | None
    cells: Sequence[Entry]
    notes: Sequence[str]


def build(
    request: MeasureRequest, model: LoadedModel, prompt: Prompt, prompt_ids: Sequence[int], measured: Measured
) -> Entry:
    """Build the document."""
    records, machine, tokens = measured.records, measured.machine, request.race.max_new_tokens
    facts = model.facts()
    chat = prompt.text != request.race.prompt
    return {
        "schema": SCHEMA,
        "kind": "measure",
        "run_id": measured.run_id,
        "started_at": measured.started_at,
        "status": measured.status,
        "error": next((record.error for record in records if record.error), None),
        "environment": environment.describe(model.attention, model.device, model.spread),
        "model": facts,
        "prompt": {"text": request.race.prompt, "model_text": prompt.text, "tokens": list(prompt_ids)},
        "settings": {"strategies": list(request.race.strategies)} | recorded(request) | {"chat": chat},
        "limits": limits(measured.limits) if measured.limits else None,
        "lanes": [
            lane_entry(
                record,
                len(prompt_ids),
                machine.for_strategy(record.info.strategy) if machine else None,
                record.trials[0].text(model) if record.trials else "",
            )
            for record in records
        ],
        "comparison": comparison(records),
        "sweep": {"baseline": records[0].info.strategy, "cells": list(measured.cells)}
        if request.sweep_prompt
        else None,
        "roofline": roofline(machine, len(prompt_ids), len(prompt_ids) + tokens) if machine else None,
        "memory": memory(machine, facts["weight_bytes"]) if machine else None,
        "published": rows_for(model.id, tokens),
        "notes": list(measured.notes),
    }


def comparison(records: Sequence[LaneTrials]) -> Entry:
    """Compare each lane with the first, on E2E. Lanes that wrote unequal numbers of tokens are not compared."""
    baseline, others = records[0], records[1:]
    return {
        "baseline": baseline.info.strategy,
        "lanes": [_compared(baseline, other) for other in others if baseline.trials and other.trials],
    }


def _compared(baseline: LaneTrials, other: LaneTrials) -> Entry:
    counts = {len(trial.tokens) for record in (baseline, other) for trial in record.trials}
    if len(counts) > 1:
        return _not_compared(
            other,
            f"{other.info.name} and {baseline.info.name} did not write equally many tokens: no speedup can be given.",
        )
    if min(*baseline.seconds, *other.seconds) <= 0:
        return _not_compared(other, "A run took less time than the clock can measure: no speedup can be given.")
    found = statistics.speedup(baseline.seconds, other.seconds)
    return {
        "strategy": other.info.strategy,
        "speedup": found.ratio,
        "low": found.low,
        "high": found.high,
        "significant": found.significant,
        "statement": statistics.statement(found, other.info.name, baseline.info.name),
    }


def _not_compared(other: LaneTrials, why: str) -> Entry:
    unknown = dict.fromkeys(("speedup", "low", "high", "significant"))
    return {"strategy": other.info.strategy, **unknown, "statement": why}


def roofline(machine: RooflineModel, prompt_tokens: int, longest: int) -> Entry:
    """Calculate the floors of this model on this device, from the prompt's length to the longest context."""
    stride = max(1, (longest - prompt_tokens) // FLOOR_POINTS)
    contexts = [*range(max(1, prompt_tokens), longest, stride), longest]
    return {
        "basis": "predicted",
        "context": contexts,
        "decode_floor_s": [machine.decode_floor_s(context) for context in contexts],
        "no_cache_floor_s": [machine.no_cache_floor_s(context) for context in contexts],
    }


def limits(found: DevicePeaks) -> Entry:
    """Build the entry of the device's ceilings as they were measured."""
    return {
        "basis": "measured",
        "copy_bytes_per_s": found.copy_bytes_per_s,
        "matvec_bytes_per_s": found.matvec_bytes_per_s,
        "matmul_flops_per_s": found.matmul_flops_per_s,
        "launch_s": found.launch_s,
        "read_bytes_per_s": found.read_bytes_per_s or None,
        "eager_bytes_per_s": found.eager_bytes_per_s or None,
        "packed_bytes_per_s": found.packed_bytes_per_s or None,
    }


def memory(machine: RooflineModel, weight_bytes: int) -> Entry:
    """Calculate the size of this model's cache by formula."""
    architecture, itemsize = machine.architecture, machine.itemsize
    return {
        "basis": "formula",
        "weight_bytes": weight_bytes,
        "bytes_per_token": formulas.kv_bytes_per_token(architecture, itemsize),
        "at": [{"positions": n, "bytes": formulas.kv_bytes(architecture, n, itemsize)} for n in LENGTHS],
        "outgrows_weights_at": formulas.outgrows_weights_at(architecture, itemsize, weight_bytes),
    }
