"""Write a race's events for the browser: one line of text for each event (the wire format).

The stage's value is a text that only grows, so that Gradio sends no more than what was appended. It comes in sheets, a
list of strings of whole lines: the last one grows, and when it is full the next begins. With each update Gradio
compares the whole value with the one before, and a sheet that has not changed costs it nothing. A token is worth a
line of about 45 bytes; everything else is rare and may be JSON. Fields are separated by one space, lines end in `\\n`,
and free text comes last, with `\\n` written as `~n`, `~` as `~~` and `<` as `~l` (in JSON a backslash would cost two
bytes).

    R <run>                                           a race begins; always the first line, and never twice the same
    P <permille or -> <text>                          work before the race
    S <json>                                          `Started`: lanes, prompt, token count, schedule, model
    <lane> <id> <µs>[*k][/levels] <ran> <bytes>[/exact] <mn or ->[/mb] <text>   a step's first token
    + <id> <mn or ->[/mb] <text>                      each further token of a step of k
    = <text>                                          what the lane itself wrote for the token above, where it differs
    T <lane> <text>                                   what is still added to the text of the lane's last token
    D <json>                                          `Diverged`: lane, index, kind, detail; a second one for a lane
                                                      replaces the first
    E <lane> <reason> <text>                          `Ended`; the text is the reason for "error"
    V <json>                                          `Finished`: findings, the headline's first, each with the panel
                                                      of Inside that shows why, or null; reader, what a link to Inside
                                                      says of this race; and beams, as beams.py has them
    X <json>                                          the race cannot run: message, max_new_tokens or null
    N <text>                                          a notice, for example about a link

`µs` is the whole step's device time in microseconds, `levels` those that a search went through in it, `bytes` the cache
held after it, `exact` those of an exact cache of all positions where the strategy states it, and `mn` the surprise of
the token, -1000 ln p, as an integer, or - where it is not known. `mb` is the entropy of the model's distribution there
in thousandths of a bit, where it is known. The text of a token that is only part of a character
is empty, and the token that completes it has it all; one that nothing completes gets what there is of it by a T line.

`ran` is the number of positions where the step was one pass of one row over the newest of all positions, or over all of
them with no cache. Else it is the passes of the model, joined by `+`: `[rows x]positions@context[-rejected][*n]`, where
`n` passes follow each other, each with as many positions more in its context as it runs.

The browser puts model text into the page as text nodes and nowhere else, so nothing here needs HTML escaping. No line
holds a `<` all the same: a value that looks like markup makes Gradio warn, and there is no reason to look like it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from functools import singledispatch
from math import isnan
from typing import Any

from kvdemo.core.errors import BadInput
from kvdemo.core.events import Diverged, Ended, Finished, Progress, RaceEvent, Started, TokensCommitted, TurnCame
from kvdemo.core.types import Pass, Step
from kvdemo.web.beams import trees
from kvdemo.web.words import explanations

#: Characters after which a sheet is full. The longest batch of lines may go beyond it.
SHEET = 100_000


def appended(sheets: Sequence[str], more: str) -> list[str]:
    """Append some whole lines to the sheets."""
    if sheets and len(sheets[-1]) < SHEET:
        return [*sheets[:-1], sheets[-1] + more]
    return [*sheets, more]


def opening(run: str) -> str:
    """Write the first line of a race."""
    return f"R {run}\n"


def lines(events: Iterable[RaceEvent]) -> str:
    """Write a batch of events as text to append."""
    return "".join(line(event) for event in events)


def refusal(error: BadInput) -> str:
    """Write the line for a request that cannot run, and the token count that would have worked."""
    return _json("X", {"message": str(error), "max_new_tokens": error.max_new_tokens})


def failure(message: str) -> str:
    """Write the line for an unexpected error."""
    return _json("X", {"message": message, "max_new_tokens": None})


def notice(text: str) -> str:
    """Write a line of information that is not about a race."""
    return f"N {_text(text)}\n"


@singledispatch
def line(event: Any) -> str:
    """Write one event as one or more lines."""
    raise TypeError(f"the stage cannot draw {type(event).__name__}")


@line.register
def _(event: Progress) -> str:
    permille = "-" if event.fraction is None else str(round(1000 * event.fraction))
    return f"P {permille} {_text(event.text)}\n"


@line.register
def _(_: TurnCame) -> str:
    return ""  # what comes next says more


@line.register
def _(event: Started) -> str:
    return _json(
        "S",
        {
            "lanes": [asdict(lane) for lane in event.lanes],
            "prompt_text": event.prompt_text,
            "prompt_tokens": event.prompt_tokens,
            "max_new_tokens": event.max_new_tokens,
            "schedule": event.schedule,
            "model": dict(event.model),
        },
    )


@line.register
def _(event: TokensCommitted) -> str:
    step = event.timed.step
    width = "" if len(step.choices) == 1 else f"*{len(step.choices)}"
    levels = f"/{len(step.levels)}" if step.levels else ""
    exact = step.details.get("exact_bytes", step.cache_bytes)
    held = f"{step.cache_bytes}" if exact == step.cache_bytes else f"{step.cache_bytes}/{exact:.0f}"
    head = f"{event.lane} {{}} {round(1e6 * event.timed.seconds)}{width}{levels} {_ran(step)} {held}"
    written = step.texts or event.texts
    out = []
    for i, choice in enumerate(step.choices):
        lead = head.format(choice.token) if i == 0 else f"+ {choice.token}"
        out.append(f"{lead} {_surprise(choice.logprob)}{_millibits(choice.entropy)} {_text(event.texts[i])}\n")
        if written[i] != event.texts[i]:
            out.append(f"= {_text(written[i])}\n")
    return "".join(out)


@line.register
def _(event: Diverged) -> str:
    return _json("D", {"lane": event.lane, **asdict(event.divergence)})


@line.register
def _(event: Ended) -> str:
    rest = f"T {event.lane} {_text(event.text)}\n" if event.text else ""
    return f"{rest}E {event.lane} {event.reason} {_text(event.error or '')}\n"


@line.register
def _(event: Finished) -> str:
    findings = [
        {"lanes": finding.lanes, "text": finding.text, "panel": explanations.panel(finding)}
        for finding in event.verdict.findings
    ]
    return _json(
        "V", {"findings": findings, "reader": explanations.reader(event.document), "beams": trees(event.document)}
    )


def _ran(step: Step) -> str:
    """Write what a step ran; the draft model's passes are left out."""
    passes = [one for one in step.passes if not one.draft]
    if not passes or (not step.cache_bytes and passes == [Pass(1, step.positions, step.positions)]):
        return str(step.positions)
    written: list[str] = []
    for (rows, positions, rejected), group in _runs(passes):
        row = f"{rows}x" if rows > 1 else ""
        cut = f"-{rejected}" if rejected else ""
        times = f"*{len(group)}" if len(group) > 1 else ""
        written.append(f"{row}{positions}@{group[0].context}{cut}{times}")
    return "+".join(written)


def _runs(passes: Iterable[Pass]) -> Iterator[tuple[tuple[int, int, int], list[Pass]]]:
    """Group equal passes that follow each other, each over a context that has grown by what one runs."""
    key, group = (0, 0, 0), list[Pass]()
    for one in passes:
        shape = (one.rows, one.positions, one.rejected)
        if group and (shape != key or one.context != group[-1].context + one.positions):
            yield key, group
            group = []
        key, group = shape, [*group, one]
    if group:
        yield key, group


def _surprise(logprob: float) -> int | str:
    """Calculate -1000 ln p. A token that the model gave no chance at all (-inf) is as surprising as a double can be."""
    if isnan(logprob):
        return "-"
    return min(round(-1000 * max(logprob, -745.0)), 745_000)


def _millibits(entropy: float | None) -> str:
    return "" if entropy is None else f"/{round(1000 * entropy)}"


def _text(text: str) -> str:
    return _valid(text).replace("~", "~~").replace("\n", "~n").replace("<", "~l")


def _json(kind: str, value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str).replace("<", "\\u003c")
    return f"{kind} {_valid(text)}\n"


def _valid(text: str) -> str:
    """Replace lone surrogates, which UTF-8 cannot carry, by U+FFFD."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
