"""Write numbers for sentences: three figures, and the unit that fits.

The page's tables have the same figures (frontend/base/format.js), with zeros at their end so that columns align.
"""

from __future__ import annotations

import math
from decimal import ROUND_HALF_UP, Decimal

#: From here on a number is written as 1 of its unit.
_NEARLY = 0.9995
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def count(n: int, thing: str) -> str:
    """Write a number of things: "1 token", "2,000 tokens"."""
    return f"{n:,} {thing}{'' if n == 1 else 's'}"


def seconds(value: float) -> str:
    """Write a time in s, ms, µs or ns."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if value >= _NEARLY * size:
            return f"{figures(value / size)} {unit}"
    return f"{figures(value / 1e-9)} ns"


def amount(value: float, unit: str) -> str:
    """Write an amount with a decimal prefix: 1,500 and "B/s" make "1.5 kB/s"."""
    for prefix, size in (("P", 1e15), ("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= _NEARLY * size:
            return f"{figures(value / size)} {prefix}{unit}"
    return f"{figures(value)} {unit}"


def megabytes(size: int) -> str:
    """Write a size in bytes in units of a million bytes, also a large one: two of them can then be held together."""
    return f"{size / 1e6:,.0f} MB"


def times(ratio: float) -> str:
    """Write a ratio: "2.5×", "150×"."""
    return f"{figures(ratio)}×"


def figures(value: float, digits: int = 3) -> str:
    """Write three significant figures, or as many as asked for, or all those before the point; never an exponent.

    The decimal digits are rounded, half up, as the browser does: 8,405,000 bytes are 8.41 MB. A number below 0.0001 is
    written by a power of ten, with blanks that do not break, as the panels of Inside have it.
    """
    if not math.isfinite(value):
        return f"{value:g}"
    exact = Decimal(repr(float(value)))
    if exact.adjusted() >= digits:
        return f"{int(exact.to_integral_value(ROUND_HALF_UP)):,}"
    rounded = exact.quantize(Decimal(1).scaleb(min(0, exact.adjusted() - digits + 1)), ROUND_HALF_UP).normalize()
    power = rounded.adjusted()
    if not rounded or power >= -4:
        return f"{rounded:,f}"
    ten = f"10{str(power).translate(_RAISED)}"
    return ten if rounded.scaleb(-power) == 1 else f"{rounded.scaleb(-power):f}\u00a0·\u00a0{ten}"
