"""Write a comparison as text for a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kvdemo.compare.comparison import METRICS
from kvdemo.measure.report.tables import mean_and_std


def as_text(comparison: Mapping[str, Any]) -> str:
    """Write the comparison for a terminal."""
    lines = [comparison["headline"]]
    for found in comparison["differences"]:
        lines.append(f"  {found['field']}: A {_written(found['a'])} | B {_written(found['b'])}")
    for lane in comparison["lanes"]:
        lines += ["", lane["name"]]
        for name, row in lane["metrics"].items():
            sides = " | ".join(
                f"{file.upper()} {mean_and_std(row[file])} (n = {row[file]['n']})" for file in ("a", "b")
            )
            lines += [f"  {METRICS[name]}: {sides}", f"    {row['claim']}"]
        lines += [f"  {warning}" for warning in lane["warnings"]]
    missing = [
        f"Only in {file}: {', '.join(comparison[key])}."
        for file, key in (("A", "only_a"), ("B", "only_b"))
        if comparison[key]
    ]
    rest = [*missing, *comparison["notes"]]
    return "\n".join([*lines, *([""] if rest else []), *rest]) + "\n"


def _written(value: Any) -> str:
    return "none" if value is None else ("no", "yes")[value] if isinstance(value, bool) else str(value)
