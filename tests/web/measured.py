"""A measurement as the engine would tell of it: documents in each state of their life, written down by hand."""

from __future__ import annotations

from typing import Any

SWEEP = {(16, 32): (1.02, 0.98), (16, 128): (4.9, 3.1), (128, 32): (1.4, 0.7), (128, 128): (8.8, 3.3)}


def figures(*samples: float) -> dict[str, Any]:
    """A summary; its values need only be plausible here."""
    n, ordered = len(samples), sorted(samples)
    mean = sum(samples) / n
    std = (sum((x - mean) ** 2 for x in samples) / (n - 1)) ** 0.5 if n > 1 else None
    return {"n": n, "mean": mean, "std": std, "median": ordered[n // 2], "p90": ordered[-1], "p99": None,
            "min": ordered[0], "max": ordered[-1]}  # fmt: skip


def lane(strategy: str, name: str, e2e: list[float], *, cached: bool, tokens: int = 200) -> dict[str, Any]:
    """A lane after so many runs."""
    runs = [
        {"repeat": n, "position": 0, "tokens": tokens, "e2e_s": s, "ttft_s": 0.04 * s, "decode_s": 0.96 * s,
         "tpot_s": 0.96 * s / (tokens - 1), "tokenize_s": 0.0 if cached else 0.01 * s, "tokens_per_s": tokens / s}
        for n, s in enumerate(e2e)
    ]  # fmt: skip
    names = ("e2e_s", "ttft_s", "decode_s", "tpot_s", "tokenize_s", "tokens_per_s")
    mean = sum(e2e) / len(e2e) if e2e else 0.0
    step = mean / tokens
    return {
        "strategy": strategy, "name": name, "status": "done" if e2e else "waiting", "error": None, "runs": runs,
        "statistics": {key: figures(*(run[key] for run in runs)) for key in names} | {"itl_s": None} if runs else None,
        "warning": None, "tokens": list(range(tokens)) if e2e else [], "text": " a" * tokens, "deterministic": True,
        "latency": [[8 + i, step if cached else step * (0.2 + 1.6 * i / tokens)] for i in range(tokens)] if e2e else [],
        "memory": {"cache_bytes": 9_500_000 if cached else 0, "cache_bytes_formula": 9_500_000 if cached else None,
                   "peak_bytes": None, "peak_note": "Not measured: a CPU has no allocator peak."},
        "roofline": {"basis": "predicted", "floor_s": step * 0.6, "achieved_bytes_per_s": 1.6e10,
                     "percent_of_floor": 61.3, "bound": "bandwidth" if cached else "compute",
                     "reason": "Bound by memory bandwidth: a step reads 540 MB of weights and cache."} if e2e else None,
    }  # fmt: skip


def sweep() -> dict[str, Any]:
    """Two by two cells."""
    cells = [
        {"prompt_tokens": prompt, "new_tokens": tokens, "seconds": {"no_cache": a, "dynamic_cache": b},
         "speedup": {"dynamic_cache": a / b}, "bound": {"no_cache": "compute", "dynamic_cache": "bandwidth"},
         "reason": f"The positions that are not run again are what is saved: cell {prompt} by {tokens}."}
        for (prompt, tokens), (a, b) in SWEEP.items()
    ]  # fmt: skip
    return {"baseline": "no_cache", "cells": cells}


def document(repeats: int = 3, status: str = "done", *, run_id: str = "run7", swept: bool = True) -> dict[str, Any]:
    """A measurement of two lanes after so many repeats of three."""
    slow = lane("no_cache", "No cache", [8.1, 8.3, 8.0][:repeats], cached=False)
    fast = lane("dynamic_cache", "DynamicCache", [2.1, 2.0, 2.05][:repeats], cached=True)
    contexts = [8, 100, 208]
    statement = "DynamicCache is 3.97× as fast as No cache (95 % interval 3.81 to 4.13, n = 3 and 3)."
    found = {"strategy": "dynamic_cache", "speedup": 3.97, "low": 3.81, "high": 4.13, "significant": True,
             "statement": statement}  # fmt: skip
    lengths = (1024, 8192, 32768, 131072)
    return {
        "schema": 1, "kind": "measure", "run_id": run_id, "started_at": "2026-11-23T20:20:00+00:00", "status": status,
        "error": None, "environment": {"cpu": "A processor", "gpu": None, "torch": "2.13.0", "threads": 2},
        "model": {"id": "random:gpt2", "dtype": "float32", "device": "cpu", "random_weights": True,
                  "weight_bytes": 497_759_232},
        "prompt": {"text": "What is KV caching?", "model_text": "What is KV caching?", "tokens": [1, 2, 3, 4, 5, 6]},
        "settings": {"strategies": ["no_cache", "dynamic_cache"], "max_new_tokens": 200, "repeats": 3, "warmup": 1},
        "limits": {"basis": "measured", "copy_bytes_per_s": 2.4e10, "matvec_bytes_per_s": 2.6e10,
                   "matmul_flops_per_s": 1.8e11, "launch_s": 4.1e-6},
        "lanes": [slow, fast], "comparison": {"baseline": "no_cache", "lanes": [found] if repeats else []},
        "sweep": sweep() if swept else None,
        "roofline": {"basis": "predicted", "context": contexts, "decode_floor_s": [0.006, 0.0062, 0.0064],
                     "no_cache_floor_s": [0.008, 0.03, 0.06]},
        "memory": {"basis": "formula", "weight_bytes": 497_759_232, "bytes_per_token": 73_728,
                   "at": [{"positions": n, "bytes": 73_728 * n} for n in lengths], "outgrows_weights_at": 6752},
        "published": [
            {"basis": "published", "device": "Tesla T4", "model": "gpt2", "new_tokens": 1000, "what": "with cache",
             "mean_s": 11.885, "std_s": 0.272, "tokens_per_s": None, "speedup": 4.73, "source": "an article"},
            {"basis": "published", "device": "Tesla T4", "model": "gpt2", "new_tokens": 1000, "what": "without cache",
             "mean_s": 56.197, "std_s": 1.855, "tokens_per_s": None, "speedup": None, "source": "an article"},
        ],
        "notes": ["The weights are random: latency does not depend on them, the text does."],
    }  # fmt: skip


def states() -> list[dict[str, Any]]:
    """A whole measurement in five states; the last has the final document."""
    told = [("Loading", None, None, None), ("Warm-up", 0.1, 90.0, document(0, "running", swept=False))]
    told += [(f"Repeat {n} of 3", 0.3 * n, 90.0 - 25 * n, document(n, "running", swept=False)) for n in (1, 2)]
    told += [("Done", 1.0, 0.0, document())]
    return [{"text": t, "fraction": f, "remaining_s": r, "document": d} for t, f, r, d in told]
