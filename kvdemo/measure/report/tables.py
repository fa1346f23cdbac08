"""Write a measurement as Markdown: the classic table for a report.

An unfinished document is taken too: lanes that have not run yet, statistics that are not there yet. What is missing
stays empty. What the document got from outside (a prompt, a model's id, an error) is escaped.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from kvdemo.core.figures import units
from kvdemo.core.figures.statistics import figures, summarize
from kvdemo.core.settings.measure import stated
from kvdemo.measure.report.csv_tables import number_of

NONE = "–"
LONGEST_CELL = 300


def to_markdown(document: Mapping[str, Any]) -> str:
    """Write the measured table, remarks on it, the published rows in another table, and where it was measured."""
    blocks = [
        _title(document),
        _measured(document),
        *_remarks(document),
        *_sweep(document.get("sweep") or {}),
        *_published(document.get("published") or ()),
        _environment(document),
        _settings(document),
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _title(document: Mapping[str, Any]) -> str:
    model, prompt = document.get("model") or {}, document.get("prompt") or {}
    random = " (random weights)" if model.get("random_weights") else ""
    tokens = f" ({len(prompt['tokens']):,} tokens)" if isinstance(prompt.get("tokens"), list) else ""
    return f"## {escape(model.get('id', 'Measurement'))}{random}\n\nPrompt: “{escape(prompt.get('text', ''))}”{tokens}"


HEADER = ("Strategy", "n", "E2E mean ± std", "E2E median", "TTFT", "TPOT", "tokens/s", "Speedup (95 % interval)")


def _measured(document: Mapping[str, Any]) -> str:
    comparison = document.get("comparison") or {}
    found = {row.get("strategy"): row for row in comparison.get("lanes") or ()}
    rows = []
    for lane in document.get("lanes") or ():
        e2e = statistics_of(lane, "e2e_s")
        rate = statistics_of(lane, "tokens_per_s")
        strategy = lane.get("strategy")
        baseline = strategy == comparison.get("baseline")
        status = lane.get("status")
        rows.append(
            [
                label(lane) + (f" ({escape(status)})" if status not in ("done", None) else ""),
                f"{e2e['n']}" if e2e else "0",
                mean_and_std(e2e),
                seconds(e2e["median"]) if e2e else NONE,
                *(mean_and_std(statistics_of(lane, name)) for name in ("ttft_s", "tpot_s")),
                _rate(rate["mean"]) if rate else NONE,
                "baseline" if baseline else _speedup(found.get(strategy)),
            ]
        )
    return _table(HEADER, rows)


def _speedup(row: Mapping[str, Any] | None) -> str:
    ratio, low, high = (number_of((row or {}).get(name)) for name in ("speedup", "low", "high"))
    if row is None or ratio is None:
        return NONE
    if low is None or high is None:
        return f"{figures(ratio)[0]}× (no interval)"
    interval = "{}× ({} to {})".format(*figures(ratio, low, high))
    return interval if row.get("significant") else f"{interval}, not significant"


def _remarks(document: Mapping[str, Any]) -> list[str]:
    """Write sentences that belong to the measured table: what it lacks, what to doubt, and how sure the ratios are."""
    remarks = []
    status = document.get("status")
    if status not in ("done", None):
        remarks.append(f"Not a complete measurement: {escape(status)}.")
    if (document.get("model") or {}).get("random_weights"):
        remarks.append("Random weights: the times are those of the model's shape, the text means nothing.")
    for lane in document.get("lanes") or ():
        remarks += [f"{label(lane)}: {escape(lane[key])}" for key in ("error", "warning") if lane.get(key)]
        remarks += [f"{label(lane)}: {escape(remark)}" for remark in lane.get("remarks") or ()]
        if level := statistics_of(lane, "level_s"):
            remarks.append(
                f"{label(lane)}: a level of the search took {mean_and_std(level)}; it has no TTFT and no TPOT."
            )
        if lane.get("roofline"):
            remarks.append(f"{label(lane)} (predicted): {escape(lane['roofline'].get('reason'))}")
    remarks += [escape(row.get("statement")) for row in (document.get("comparison") or {}).get("lanes") or ()]
    remarks += [escape(note) for note in document.get("notes") or ()]
    lines = [f"- {remark}" for remark in remarks if remark]
    return ["\n".join(lines)] if lines else []


def _sweep(sweep: Mapping[str, Any]) -> list[str]:
    """Write how many times as fast as the baseline each lane is, at each prompt length and token count, and why."""
    cells = sweep.get("cells") or ()
    header = ("Prompt tokens", "New tokens", "Strategy", "Seconds", "Speedup", "Bound by (predicted)")
    rows = [
        [
            f"{cell['prompt_tokens']:,}",
            f"{cell['new_tokens']:,}",
            escape(strategy),
            NONE if time is None else seconds(time),
            _cell_speedup(cell["speedup"], strategy),
            escape(cell["bound"].get(strategy)),
        ]
        for cell in cells
        for strategy, time in cell["seconds"].items()
    ]
    reasons = "\n".join(
        f"- {cell['prompt_tokens']:,} prompt tokens, {cell['new_tokens']:,} new: {escape(cell['reason'])}"
        for cell in cells
    )
    return ["### Break-even", _table(header, rows), reasons] if rows else []


def _cell_speedup(found: Mapping[str, float | None], strategy: str) -> str:
    if strategy not in found:
        return "baseline"
    ratio = found[strategy]
    return NONE if ratio is None else f"{figures(ratio)[0]}×"


def _published(published: Sequence[Mapping[str, Any]]) -> list[str]:
    rows = []
    for row in published:
        rate, ratio, tokens = (number_of(row.get(name)) for name in ("tokens_per_s", "speedup", "new_tokens"))
        mean, std = number_of(row.get("mean_s")), number_of(row.get("std_s"))
        rows.append(
            [
                *(escape(row.get(name)) for name in ("device", "model")),
                f"{tokens:,}" if tokens is not None else NONE,
                escape(row.get("what")),
                mean_and_std({"mean": mean, "std": std}) if mean is not None else NONE,
                _rate(rate) if rate is not None else NONE,
                f"{figures(ratio)[0]}×" if ratio is not None else NONE,
                escape(row.get("source")),
            ]
        )
    header = ("Device", "Model", "New tokens", "What", "E2E mean ± std", "tokens/s", "Speedup", "Source")
    return ["### Published (not measured here)", _table(header, rows)] if rows else []


def _environment(document: Mapping[str, Any]) -> str:
    environment, model = document.get("environment") or {}, document.get("model") or {}
    on_gpu = str(model.get("device")).startswith("cuda")
    parts = [
        environment.get("gpu" if on_gpu else "cpu"),
        model.get("device"),
        *(f"{name} {environment[name]}" for name in ("torch", "transformers") if environment.get(name)),
        model.get("dtype"),
        f"{environment['threads']} threads" if environment.get("threads") else None,
        _attention(environment),
        f"git {environment['git_revision']}" if environment.get("git_revision") else None,
    ]
    return f"Environment: {' · '.join(escape(part) for part in parts if part)}"


def _attention(environment: Mapping[str, Any]) -> str | None:
    """Say which attention ran; a document of an earlier version knows only the implementation."""
    if line := environment.get("attention_line"):
        return f"attention: {line}"
    return f"{environment['attention']} attention" if environment.get("attention") else None


def _settings(document: Mapping[str, Any]) -> str:
    given = document.get("settings") or {}
    parts = [f"{name} {_plainly(given[name])}" for name in stated() if given.get(name) is not None]
    return f"Settings: {escape(' · '.join(parts))}"


def _plainly(value: Any) -> str:
    return ("no", "yes")[value] if isinstance(value, bool) else str(value)


def statistics_of(lane: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    """Return a figure's summary: the document's own, or, while it has none, that of the runs that are done."""
    given = (lane.get("statistics") or {}).get(name)
    if given:
        return dict(given)
    samples = [value for run in lane.get("runs") or () if (value := number_of(run.get(name))) is not None]
    return asdict(summarize(samples)) if samples else None


def label(lane: Mapping[str, Any]) -> str:
    """Name a lane in a table: by its name, or by its strategy's id where the document gives no name."""
    return escape(lane.get("name") or lane.get("strategy"))


def mean_and_std(summary: Mapping[str, Any] | None) -> str:
    """Write mean ± sample standard deviation in the unit that suits the mean; the mean alone for a single run."""
    if summary is None:
        return NONE
    scale, unit, decimals = _unit(summary["mean"])
    shown = f"{summary['mean'] * scale:,.{decimals}f}"
    if summary.get("std") is not None:
        shown += f" ± {summary['std'] * scale:,.{decimals}f}"
    return f"{shown} {unit}"


def seconds(value: float) -> str:
    """Write a time in s or ms, with five significant digits or three decimals, whichever is less."""
    return mean_and_std({"mean": value})


def _rate(value: float) -> str:
    """Write tokens a second: one decimal, or three significant digits for a slow lane."""
    return f"{value:,.1f}" if value >= 10 else units.figures(value)


def _unit(value: float) -> tuple[float, str, int]:
    scale, unit = (1.0, "s") if abs(value) >= 1 else (1e3, "ms")
    size = abs(value) * scale
    whole = len(str(int(size))) if size >= 1 else 1
    return scale, unit, max(0, min(3, 5 - whole))


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def escape(value: Any) -> str:
    """Write a value as one line of Markdown that reads as it is: no pipe, tag, link or emphasis of its own."""
    if value is None:
        return NONE
    text = "".join(char if char.isprintable() else " " for char in str(value)[: LONGEST_CELL + 1])
    text = " ".join(text.split())
    text = text if len(text) <= LONGEST_CELL else text[: LONGEST_CELL - 1] + "…"
    return re.sub(r"([\\`*_\[\]<>|#~&])", r"\\\1", text)
