"""Say in plain sentences what each panel of a document shows, for the command line. Standard library only."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from kvdemo.core.figures.units import count, figures
from kvdemo.core.settings.inside import Panel


def _past(panel: Mapping[str, Any]) -> list[str]:
    worst = max(panel["layers"], key=lambda layer: layer["largest_difference"])
    most, scale = worst["largest_difference"], worst["scale"]
    change = (
        f"change by at most {figures(most, 2)} (layer {worst['layer']}, values up to {figures(scale)})"
        if most
        else "are equal"
    )
    said = [
        f"With {panel['appended']!r} appended, the hidden states of {count(panel['shared'], 'position')} {change}: "
        + ("the past does not change." if panel["holds"] else "that is more than rounding.")
    ]
    if panel["note"]:
        said.append(panel["note"])
    other = panel["bidirectional"]
    if "cannot" in other:
        return [*said, other["cannot"]]
    largest = max(layer["largest_difference"] for layer in other)
    return [*said, f"With a mask that lets each position look ahead they change by up to {figures(largest)}."]


def _roles(panel: Mapping[str, Any]) -> list[str]:
    rows = panel["rows"]
    change = max(max(row["key_difference"], row["value_difference"]) for row in rows)
    changed = f"change by at most {figures(change, 2)}" if change else "stay as they are"
    read = max(rows, key=lambda row: row["weight"])
    return [
        *([panel["note"]] if panel["note"] else []),
        f"With {panel['appended']!r} appended, the keys and values of {count(len(rows), 'position')} in layer "
        f"{panel['layer']} {changed}, and the new query reads them: most of position "
        f"{read['position']}, with a weight of {read['weight']:.2f}.",
        f"No later token reads the queries of the past. Keys and values take {panel['bytes']:,} bytes in all layers; "
        f"the queries would add {panel['query_bytes']:,}.",
    ]


def _rounding(panel: Mapping[str, Any]) -> list[str]:
    said = [panel["note"]] if panel["note"] else []
    for found in panel["formats"]:
        if "cannot" in found:
            said.append(found["cannot"])
            continue
        same = sum(step["same"] for step in found["steps"])
        said.append(
            f"In {found['dtype']} cached and uncached logits differ by at most "
            f"{figures(found['largest_difference'], 2)}; the best token leads by at least "
            f"{figures(found['smallest_margin'], 2)}, and {same} of "
            f"{count(len(found['steps']), 'choice')} are the same."
        )
    total = panel["sum"]
    said.append(
        f"A float32 sum of {total['numbers']:,} numbers is {total['whole']:.6f} at once and {total['split']:.6f} in "
        f"two halves (exactly {total['exact']:.6f})."
    )
    return [*dict.fromkeys(said), panel["scatter"]["sentence"]]  # what holds for all formats is said once


def _legacy(panel: Mapping[str, Any]) -> list[str]:
    keys, values = panel["shapes"]
    outcome = "the same tokens" if panel["same"] else "other tokens"
    return [
        *([panel["note"]] if panel["note"] else []),
        f"{count(panel['layers'], 'pair')} of keys {keys} and values {values}, {panel['bytes']:,} bytes in all, and "
        f"{panel['file_bytes']:,} in a file.",
        f"Converted and read from the file, the cache leads to {outcome}: {''.join(panel['pieces'])!r}.",
    ]


def _steps(panel: Mapping[str, Any]) -> list[str]:
    last, all_of, totals = panel["steps"][-1], len(panel["steps"]), panel["totals"]
    kept = f"{last['cache_bytes']:,} bytes in the cache"
    formula = last["formula_bytes"]
    lines = [
        f"{all_of} steps after {panel['prompt_tokens']} tokens: {totals['products']:,} products of a query and a key "
        f"with the cache, {totals['products_all']:,} without it (in one head of one layer).",
        f"{totals['positions']:,} positions run through the model with it, {totals['positions_all']:,} without.",
        f"{kept} after the last step" + (f", {formula:,} by formula." if formula is not None else "."),
    ]
    lines += [
        f"{len(group['layers'])} layers ({group['kind']}): keys of the shape {group['key_shape']}."
        for group in panel["caches"]
        if group["key_shape"]
    ]
    return lines + ([panel["note"]] if panel["note"] else [])


def _attention(panel: Mapping[str, Any]) -> list[str]:
    last = panel["rows"][-1]
    most = max(range(len(last)), key=last.__getitem__)
    return [
        f"In head {panel['head']} of layer {panel['layer']} ({panel['layers']} layers of {panel['heads']} heads) "
        f"position {len(last) - 1} puts most weight, {last[most]:.2f}, on position {most}."
    ]


def _formulas(panel: Mapping[str, Any]) -> list[str]:
    at = f"at batch b = {panel['batch']:,} and length t = {panel['length']:,}"
    return [
        f"{formula['name']}: {formula['formula']}"
        + (f"; here {formula['numbers']}" if formula["numbers"] else "")
        + (f"; {formula['value']:,.0f} {formula['unit']}".rstrip() if formula["value"] is not None else "")
        + (f" {at}." if formula["terms"] else ".")
        for formula in panel["formulas"]
    ]


#: The sentences of each panel.
SAY: dict[Panel, Callable[[Mapping[str, Any]], list[str]]] = {
    "past": _past,
    "roles": _roles,
    "rounding": _rounding,
    "scratch": lambda panel: [
        f"{panel['path']}: {len(panel['steps'])} positions fed one by one into buffers of the shape "
        f"{panel['buffer_shape']} differ from full causal attention by at most "
        f"{figures(panel['largest_difference'], 2)} (tolerance {figures(panel['tolerance'], 1)})."
    ],
    "steps": _steps,
    "attention": _attention,
    "formulas": _formulas,
    "loops": lambda panel: [
        f"{loop['path']} has {sum(line['only'] for line in loop['lines'])} lines that the other file does not have."
        for loop in panel["loops"]
    ],
    "legacy": _legacy,
}


def lines(document: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines: a heading for each panel, and its sentences or why it cannot be shown."""
    for name, panel in document["panels"].items():
        yield f"── {name}"
        yield from [panel["cannot"]] if "cannot" in panel else SAY[name](panel)
        yield ""
