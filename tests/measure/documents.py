"""Documents as a measurement and a race write them, with times that a test chooses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from kvdemo.core.figures.statistics import noise_warning, speedup, statement, summarize
from kvdemo.measure.report.published import rows_for

ENVIRONMENT = {
    "kvdemo": "0.1",
    "python": "3.12.1",
    "torch": "2.13.0",
    "transformers": "5.17.0",
    "platform": "Linux x86_64",
    "cpu": "Some CPU",
    "threads": 2,
    "gpu": None,
    "cuda": None,
}
MODEL = {"id": "openai-community/gpt2", "revision": "abc", "dtype": "float32", "device": "cpu"}
PROMPT = {"text": "What is KV caching?", "model_text": "What is KV caching?", "tokens": [1, 2, 3, 4, 5]}
SETTINGS = {"max_new_tokens": 4, "chat": False, "temperature": 0.0, "top_p": 1.0, "seed": 0, "ignore_eos": True}
NAMES = {"no_cache": "No cache", "dynamic_cache": "DynamicCache"}


def run(e2e: float, repeat: int = 0, tokens: int = 4) -> dict[str, Any]:
    ttft = e2e / 10
    return {
        "repeat": repeat,
        "position": repeat % 2,
        "tokens": tokens,
        "e2e_s": e2e,
        "ttft_s": ttft,
        "decode_s": e2e - ttft,
        "tpot_s": (e2e - ttft) / (tokens - 1) if tokens > 1 else None,
        "tokenize_s": 0.0,
        "tokens_per_s": tokens / e2e,
    }


def measured(times: Mapping[str, Sequence[float]], *, tokens: int = 4, statistics: bool = True) -> dict[str, Any]:
    """A measurement with these end-to-end seconds for each strategy; the first is the baseline."""
    baseline, *others = times
    lanes = []
    for strategy, seconds in times.items():
        runs = [run(e2e, repeat, tokens) for repeat, e2e in enumerate(seconds)]
        figures = {
            name: asdict(summarize(values))
            for name in ("e2e_s", "ttft_s", "tpot_s", "tokens_per_s")
            if (values := [r[name] for r in runs if r[name] is not None])
        }
        lanes.append(
            {
                "strategy": strategy,
                "name": NAMES.get(strategy, strategy),
                "status": "done",
                "error": None,
                "runs": runs,
                "statistics": figures if statistics else None,
                "warning": noise_warning(seconds) if statistics else None,
            }
        )
    rows = []
    for strategy in others if statistics else ():
        found = speedup(times[baseline], times[strategy])
        said = statement(found, NAMES[strategy], NAMES[baseline])
        ends = {"low": found.low, "high": found.high, "significant": found.significant}
        rows.append({"strategy": strategy, "speedup": found.ratio, **ends, "statement": said})
    return {
        "schema": 1,
        "kind": "measure",
        "status": "done",
        "environment": {**ENVIRONMENT, "attention": "sdpa", "git_revision": "f00"},
        "model": {**MODEL, "random_weights": False},
        "prompt": dict(PROMPT),
        "settings": {**SETTINGS, "strategies": list(times), "repeats": len(times[baseline]), "warmup": 1},
        "lanes": lanes,
        "comparison": {"baseline": baseline, "lanes": rows},
        "sweep": None,
        "published": rows_for("gpt2", 1000),
        "notes": [],
    }


def raced(steps: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """A race with these seconds for each step, one token a step. As the race writes it: without a kind."""
    return {
        "schema": 1,
        "environment": dict(ENVIRONMENT),
        "model": dict(MODEL),
        "prompt": dict(PROMPT),
        "settings": dict(SETTINGS),
        "schedule": "fair",
        "lanes": [
            {"strategy": strategy, "status": "done", "steps": [{"tokens": 1, "seconds": s} for s in seconds]}
            for strategy, seconds in steps.items()
        ],
    }
