"""A document of Inside as the engine would build it, each panel written down by hand for a model of two layers.

The text is three tokens, and four are written. The counts are those of the closed forms.
"""

from __future__ import annotations

from typing import Any

HOSTILE = "<img src=x onerror='window.hacked=1'>"
PIECES = ["The", " quick", " brown", " fox", f" {HOSTILE}", "\n", " dog"]
PROMPT_TOKENS = 3
LAYERS, HEADS, KV_HEADS, HEAD_DIM, NUMBER = 2, 4, 2, 8, 4
PER_POSITION = 2 * LAYERS * KV_HEADS * HEAD_DIM * NUMBER
MODEL = {"id": "org/model", "dtype": "float32", "device": "cpu", "layers": LAYERS, "heads": HEADS,
         "kv_heads": KV_HEADS, "head_dim": HEAD_DIM, "weight_bytes": 40_000, "context_length": 64}  # fmt: skip


def triangle(length: int) -> int:
    """Products of all queries of a text with the keys at and before them."""
    return length * (length + 1) // 2


def steps(count: int = 4) -> dict[str, Any]:
    """Four steps behind three tokens, or the first of them."""
    made: list[dict[str, Any]] = []
    so_far = all_so_far = 0
    for step in range(count):
        length = PROMPT_TOKENS + step
        new = triangle(length) if step == 0 else length
        so_far, all_so_far = so_far + new, all_so_far + triangle(length)
        positions = PROMPT_TOKENS if step == 0 else 1
        made.append({
            "token": 100 + length, "length": length, "positions": positions, "positions_all": length, "products": new,
            "products_all": triangle(length), "products_so_far": so_far, "products_all_so_far": all_so_far,
            "cache_bytes": PER_POSITION * length, "formula_bytes": PER_POSITION * length,
            "flops": 20_000.0 * positions + 64 * new, "flops_all": 20_000.0 * length + 64 * triangle(length),
        })  # fmt: skip
    lengths: list[int] = [step["length"] for step in made]
    caches = [{
        "layers": list(range(LAYERS)), "kind": "full", "key_shape": [1, KV_HEADS, lengths[-1], HEAD_DIM],
        "value_shape": [1, KV_HEADS, lengths[-1], HEAD_DIM], "lengths": lengths,
        "bytes": [PER_POSITION // LAYERS * length for length in lengths],
    }]  # fmt: skip
    totals = {"products": triangle(lengths[-1]), "products_all": sum(map(triangle, lengths))}
    return {
        "pieces": PIECES[: PROMPT_TOKENS + count], "tokens": [100 + i for i in range(PROMPT_TOKENS + count)],
        "prompt_tokens": PROMPT_TOKENS,
        "steps": made, "totals": totals, "caches": caches, "attends": True, "note": None, "ended": "length",
    }  # fmt: skip


def attention(layer: int = 0, head: int = 0) -> dict[str, Any]:
    """Each query weighs all positions alike, but for head 1, which looks at itself alone."""
    length = len(PIECES) - 1
    rows = [[1 / (q + 1)] * (q + 1) if head != 1 else [0.0] * q + [1.0] for q in range(length)]
    return {"layer": layer, "head": head, "layers": LAYERS, "heads": HEADS, "rows": rows}


def past() -> dict[str, Any]:
    """It holds: exactly in the embedding, up to rounding behind it."""

    def layers(differences: list[float]) -> list[dict[str, Any]]:
        return [
            {
                "layer": n,
                "largest_difference": difference,
                "scale": 20.0,
                "tolerance": 2e-3,
                "holds": difference <= 2e-3,
            }
            for n, difference in enumerate(differences)
        ]

    return {
        "text": "The quick brown", "appended": " dog", "shared": 3, "note": None, "tolerance": 1e-4, "holds": True,
        "layers": layers([0.0, 2e-7, 4e-4]), "bidirectional": layers([0.0, 0.8, 14.0]),
    }  # fmt: skip


def roles(layer: int = 0) -> dict[str, Any]:
    """The appended token reads mostly the first position."""
    weights = [0.6, 0.1, 0.2]
    return {
        "layer": layer, "layers": LAYERS, "appended": " dog", "asking": " dog", "query_shape": [1, HEADS, 4, HEAD_DIM],
        "key_shape": [1, KV_HEADS, 4, HEAD_DIM], "value_shape": [1, KV_HEADS, 4, HEAD_DIM],
        "rows": [
            {"position": n, "piece": PIECES[n], "query_difference": 0.0, "key_difference": 0.0,
             "value_difference": 1e-7, "weight": weight} for n, weight in enumerate(weights)
        ],
        "bytes": 3 * PER_POSITION, "query_bytes": 3 * PER_POSITION,
    }  # fmt: skip


def rounding() -> dict[str, Any]:
    """Equal in float32, another token once in bfloat16, and no float16 here."""

    def logits(differences: list[float], margins: list[float]) -> list[dict[str, Any]]:
        return [
            {"token": 103 + n, "piece": PIECES[3 + n], "largest_difference": difference, "margin": margin,
             "same": margin > 2 * difference, "cached": PIECES[3 + n],
             "uncached": PIECES[3 + n] if margin > 2 * difference else " cat"}
            for n, (difference, margin) in enumerate(zip(differences, margins, strict=True))
        ]  # fmt: skip

    return {
        "formats": [
            {"dtype": "float32", "steps": logits([0.0, 2e-5, 3e-5, 1e-5], [2.0, 0.4, 1.1, 0.05]),
             "largest_difference": 3e-5, "smallest_margin": 0.05},
            {"dtype": "bfloat16", "steps": logits([0.0, 0.12, 0.2, 0.09], [2.0, 0.4, 1.1, 0.05]),
             "largest_difference": 0.2, "smallest_margin": 0.05},
            {"dtype": "float16", "cannot": "float16 cannot be run on this device."},
        ],
        "sum": {"numbers": 1_000_000, "whole": 500123.25, "split": 500123.28125, "exact": 500123.2714,
                "difference": 0.03125},
        "scatter": {"numbers": 100_000, "slots": 10, "runs": 8, "results": 1, "largest_difference": 0.0,
                    "sentence": "On this device a scatter-add is deterministic: 8 runs gave the same numbers."},
    }  # fmt: skip


def scratch(positions: int = 8) -> dict[str, Any]:
    """Fed token by token."""
    source = (
        '"""Attend with a cache."""\n\n'
        "class CachedAttention:\n    def forward(self, x, start_pos):  # one call a step\n"
        "        self.keys[:, start_pos : start_pos + 1] = self.key(x)\n        return 2 * x\n"
    )
    return {
        "path": "kvdemo/inside/scratch.py", "source": source, "buffer_shape": [1, positions, 2, 8],
        "steps": [{"start_pos": n, "positions": 1, "buffer_used": n + 1, "largest_difference": n * 1e-8}
                  for n in range(positions)],
        "largest_difference": (positions - 1) * 1e-8, "tolerance": 1e-6, "holds": True,
    }  # fmt: skip


def formulas(batch: int = 1, length: int = 1024) -> dict[str, Any]:
    """One that is linear, one that is quadratic, one that is no number."""
    memory = {"coefficient": float(PER_POSITION), "batch": 1, "length": 1}
    square = {"coefficient": 64.0, "batch": 1, "length": 2}
    return {"batch": batch, "length": length, "formulas": [
        {"name": "Cache memory", "formula": "2 · layers · KV heads · head size · bytes · batch · length",
         "numbers": f"2 · 2 · 2 · 8 · 4 · {batch} · {length}", "unit": "bytes", "terms": [memory],
         "value": PER_POSITION * batch * length, "about": "Keys and values of every position."},
        {"name": "Attention without a cache", "formula": "4 · layers · length² · width", "numbers": "64 · length²",
         "unit": "FLOPs", "terms": [square], "value": 64.0 * batch * length**2, "about": "It grows with the square."},
        {"name": "Cache update", "formula": "K ← [K; k]", "numbers": "(1, 2, 1024, 8) ← (1, 2, 1, 8)", "unit": "",
         "terms": [], "value": None, "about": "Appended at the end."},
        {"name": "A step with the cache", "formula": "2 · N + 64 · length", "numbers": "", "unit": "FLOPs",
         "terms": [{"coefficient": 1024.0, "batch": 1, "length": 0, "part": "weights"},
                   {"coefficient": 3.0, "batch": 1, "length": 1, "part": "attention"}],
         "value": batch * (1024.0 + 3 * length), "about": "Weights, and a row of attention."},
    ]}  # fmt: skip


def loops() -> dict[str, Any]:
    """Two files of three lines, of which one differs, and one has no partner."""
    left = [("def decode(ids):", False), ("    logits = model(ids)", True), ("    yield pick(logits)", False)]
    right = [("def decode(ids):", False), ("    logits = model(last, cache)", True), ("    yield pick(logits)", False),
             ("    last = pick", True)]  # fmt: skip

    def lines(of: list[tuple[str, bool]]) -> list[dict[str, Any]]:
        return [{"number": n + 1, "text": text, "only": only} for n, (text, only) in enumerate(of)]

    return {
        "loops": [
            {"strategy": "reencode", "name": "Re-encoding", "path": "a/reencode.py", "lines": lines(left)},
            {"strategy": "dynamic_cache", "name": "DynamicCache", "path": "b/dynamic_cache.py", "lines": lines(right)},
        ],
        "pairs": [[0, 0], [1, 1], [2, 2], [None, 3]],
    }  # fmt: skip


def legacy() -> dict[str, Any]:
    """There, back, and through a file."""
    tokens = [103, 104, 105, 106]
    shape = [1, KV_HEADS, 3, HEAD_DIM]
    return {
        "layers": LAYERS, "shapes": [shape, shape], "other_shapes": [], "bytes": 3 * PER_POSITION,
        "file_bytes": 3 * PER_POSITION + 400, "tokens": tokens, "pieces": PIECES[3:], "converted": tokens,
        "resumed": tokens, "same": True,
    }  # fmt: skip


def panels(form: dict[str, Any]) -> dict[str, Any]:
    """All panels, as a form varies them."""
    return {
        "steps": steps(), "attention": attention(form.get("layer", 0), form.get("head", 0)), "past": past(),
        "roles": roles(form.get("layer", 0)), "rounding": rounding(), "scratch": scratch(form.get("positions", 8)),
        "formulas": formulas(form.get("batch", 1), form.get("length", 1024)), "loops": loops(), "legacy": legacy(),
    }  # fmt: skip


def document(form: dict[str, Any], **given: Any) -> dict[str, Any]:
    """The document that a form asks for; `given` replaces panels."""
    made = panels(form) | given
    return {
        "schema": 1, "kind": "inside", "status": "done", "environment": {}, "model": MODEL,
        "prompt": {"text": form.get("prompt", ""), "model_text": form.get("prompt", ""), "tokens": [100, 101, 102]},
        "settings": {"chat": bool(form.get("chat"))}, "panels": {name: made[name] for name in form["panels"]},
    }  # fmt: skip
