"""Write findings as sentences; `small_gain` has those about a cache that gained little.

Why two lanes part, `kvdemo.race.divergence.reasons` has put into words before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kvdemo.core.events import FindingKind
from kvdemo.core.figures import units
from kvdemo.race.verdict import small_gain
from kvdemo.race.verdict.found import Found

Names = Sequence[str]
#: Two single steps whose times differ by less than this are called equal.
CLOSE = 1.25


def write(found: Found, names: Names) -> str:
    """Write a finding as a sentence. `names` are those of all lanes of the race, in order."""
    return _WRITERS[found.kind](found, names)


def _alone(found: Found, names: Names) -> str:
    n = found.numbers
    return f"{names[0]} wrote {units.count(n['tokens'], 'token')} in {units.seconds(n['seconds'])}."


def _nothing_compared(_: Found, __: Names) -> str:
    return "There is nothing to compare."


def _pair(found: Found, names: Names) -> tuple[str, str]:
    """Return the names of a lane and of the one that it is compared with."""
    lane, other = found.lanes
    return names[lane], names[other]


def _times(numbers: Mapping[str, Any]) -> str:
    """Write both times, with the number of tokens that they are for."""
    tokens = f"{'' if numbers['whole'] else 'the first '}{units.count(numbers['tokens'], 'token')}"
    return f"{tokens} in {units.seconds(numbers['seconds'])} against {units.seconds(numbers['baseline_seconds'])}"


def _faster(found: Found, names: Names) -> str:
    (name, other), times = _pair(found, names), units.times(found.numbers["ratio"])
    measured = _times(found.numbers) + small_gain.because(found, names)
    if not found.numbers["whole"]:
        return f"{name} was {times} as fast as {other}: {measured}."
    than = f" than {other}" if len(names) > 2 else ""
    return f"{name} finished {times} sooner{than}: {measured}."


def _slower(found: Found, names: Names) -> str:
    name, other = _pair(found, names)
    measured = _times(found.numbers) + small_gain.because(found, names)
    return f"{name} took {units.times(found.numbers['ratio'])} as long as {other}: {measured}."


def _same_time(found: Found, names: Names) -> str:
    name, other = _pair(found, names)
    measured = _times(found.numbers) + small_gain.because(found, names)
    return f"{name} and {other} took about the same time: {measured}."


def _no_clock(found: Found, names: Names) -> str:
    name, other = _pair(found, names)
    return f"{name} and {other} cannot be compared, because the clock did not tick: {_times(found.numbers)}."


def _unequal_search(found: Found, names: Names) -> str:
    (name, other), n = _pair(found, names), found.numbers
    return (
        f"{name} wrote {units.count(n['tokens'], 'token')} and {other} {n['baseline_tokens']:,}: the time of a search "
        "can only be compared over the whole of equally long texts."
    )


def _too_short(found: Found, names: Names) -> str:
    (name, other), n = _pair(found, names), found.numbers
    return (
        f"{name if n['tokens'] == 1 else other} ended after one token, which is too little to compare speeds: {name} "
        f"had its first token after {units.seconds(n['first_token_s'])}, {other} after "
        f"{units.seconds(n['baseline_first_token_s'])}."
    )


def _work(found: Found, names: Names) -> str:
    (name, other), n = _pair(found, names), found.numbers
    held = n["cache_bytes"]
    price = f" It held {_bytes(held)} of {found.words} at the end." if held else ""
    ran = f"{name} ran {units.count(n['positions'], 'position')} through the model"
    return f"{ran}; {other} ran {n['baseline_positions']:,}.{price}"


def _same_first_step(found: Found, names: Names) -> str:
    (name, other), n = _pair(found, names), found.numbers
    mine, its = n["first_token_s"], n["baseline_first_token_s"]
    close = max(mine, its) <= CLOSE * min(mine, its)
    said = (
        "one step of each is too little to tell which of them is faster there"
        if close
        else "no cache had anything to give yet, so that difference is not what reuse saved or cost"
    )
    return (
        f"The first step runs the same {units.count(n['positions'], 'position')} in both lanes, with nothing kept yet: "
        f"TTFT was {units.seconds(mine)} in {name} and {units.seconds(its)} in {other}; {said}."
    )


def _nothing_to_reuse(found: Found, names: Names) -> str:
    (name, other), ran = _pair(found, names), units.count(found.numbers["positions"], "position")
    return f"With a single token there is nothing to reuse: {name} and {other} each ran {ran}."


def _same_text(found: Found, _: Names) -> str:
    ((thing, n),) = found.numbers.items()
    return f"Same text: {units.count(n, thing.removesuffix('s'))} compared, all equal."


def _divergence(found: Found, _: Names) -> str:
    same = found.numbers["index"]
    opening = f"Same text up to token {same:,}." if same else "The first token differs already."
    return f"{opening} {found.words}"


def _groups(found: Found, names: Names) -> str:
    """Name the largest group, then each other one with the token at which it departs."""
    (largest, *others), departs = found.numbers["groups"], found.numbers["index"]
    if not others:
        return f"All {len(largest)} lanes wrote the same text, each to its own end."
    alone = len(largest) == 1
    opening = (
        f"No two lanes agree to the end. Against {names[largest[0]]}"
        if alone
        else f"{units.count(len(largest), 'lane')} agree to the end: {_list([names[lane] for lane in largest])}"
    )
    parts = [
        f"{_list([names[lane] for lane in group])} {'departs' if len(group) == 1 else 'depart'} {_after(index)}"
        for group, index in zip(others, departs, strict=True)
    ]
    return f"{opening}{', ' if alone else '; '}{'; '.join(parts)}."


def _after(index: int) -> str:
    return f"after token {index:,}" if index else "at the first token"


def _list(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _contention(_: Found, __: Names) -> str:
    return "The lanes of this machine ran at once and slowed each other down: use fair turns to compare their speed."


def _best(found: Found, names: Names) -> str:
    n = found.numbers
    contests = (
        ("fastest", "fastest", "fastest_s", units.seconds),
        ("first token", "first_token", "first_token_s", units.seconds),
        ("least memory among those that keep a cache", "least_memory", "least_memory_bytes", _bytes),
    )
    parts = [f"{title} {names[n[lane]]} ({shown(n[value])})" for title, lane, value, shown in contests if lane in n]
    if "same_text" in n:
        parts.append(f"same text as {names[0]}: {', '.join(names[lane] for lane in n['same_text']) or 'none'}")
    return f"Best at each: {'; '.join(parts)}."


def _remark(found: Found, _: Names) -> str:
    return found.words


def _failed(found: Found, names: Names) -> str:
    return f"{names[found.lanes[0]]} failed after {units.count(found.numbers['tokens'], 'token')}: {found.words}"


def _stopped(found: Found, names: Names) -> str:
    return f"{names[found.lanes[0]]} was stopped after {units.count(found.numbers['tokens'], 'token')}."


def _bytes(number: float) -> str:
    return units.amount(number, "B")


_WRITERS: dict[FindingKind, Callable[[Found, Names], str]] = {
    "alone": _alone,
    "nothing_compared": _nothing_compared,
    "faster": _faster,
    "slower": _slower,
    "same_time": _same_time,
    "no_clock": _no_clock,
    "unequal_search": _unequal_search,
    "too_short": _too_short,
    "work": _work,
    "same_first_step": _same_first_step,
    "nothing_to_reuse": _nothing_to_reuse,
    "no_time_saved": small_gain.no_time_saved,
    "small_gain": small_gain.small_gain,
    "same_text": _same_text,
    "divergence": _divergence,
    "groups": _groups,
    "contention": _contention,
    "best": _best,
    "remark": _remark,
    "failed": _failed,
    "stopped": _stopped,
}
