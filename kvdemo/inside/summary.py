"""Say in plain sentences what each panel of a document shows, for the command line. Standard library only."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from kvdemo.core.inside_settings import Panel
from kvdemo.core.units import count


def _past(panel: Mapping[str, Any]) -> list[str]:
    worst = max(panel["layers"], key=lambda layer: layer["largest_difference"])
    said = [
        f"With {panel['appended']!r} appended, the hidden states of {count(panel['shared'], 'position')} change by at "
        f"most {worst['largest_difference']:.1e} (layer {worst['layer']}, whose values reach {worst['scale']:.3g}): "
        + ("the past does not change." if panel["holds"] else "that is more than rounding.")
    ]
    if panel["note"]:
        said.append(panel["note"])
    other = panel["bidirectional"]
    if "cannot" in other:
        return [*said, other["cannot"]]
    largest = max(layer["largest_difference"] for layer in other)
    return [*said, f"With a mask that lets each position look ahead they change by up to {largest:.3g}."]


#: The sentences of each panel.
SAY: dict[Panel, Callable[[Mapping[str, Any]], list[str]]] = {
    "past": _past,
    "scratch": lambda panel: [
        f"{panel['path']}: {len(panel['steps'])} positions fed one by one into buffers of the shape "
        f"{panel['buffer_shape']} differ from full causal attention by at most {panel['largest_difference']:.1e} "
        f"(tolerance {panel['tolerance']:.0e})."
    ],
    "loops": lambda panel: [
        f"{loop['path']} has {sum(line['only'] for line in loop['lines'])} lines that the other file does not have."
        for loop in panel["loops"]
    ],
}


def lines(document: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines: a heading for each panel, and its sentences or why it cannot be shown."""
    for name, panel in document["panels"].items():
        yield f"── {name}"
        yield from [panel["cannot"]] if "cannot" in panel else SAY[name](panel)
        yield ""
