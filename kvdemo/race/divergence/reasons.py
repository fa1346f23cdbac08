"""Explain why two lanes that should write the same text do not.

Reasons, looked for in this order:

    remote       another machine wrote one of the texts: what it computed, on which weights, is not known here
    rule         the two lanes choose by different rules, or one draws other random numbers
    lossy        one of the strategies approximates: it may choose other tokens by design
    retokenized  a lane that works on text read other ids than it had written
    sampled      the ids agree, the draws agree, but rounding moved a probability past a draw
    numeric      the ids agree, and rounding decided between two tokens of nearly equal logits
    ties         the ids agree, and so do the lanes' computations: the model takes some of equal scores, and leaves
                 open which
    unexplained  the ids agree, and neither rounding nor ties can have done it: one of the lanes is off

The last four are distinguished by a proof (`proof`) that runs the model again, so never while a step is timed. When a
lane diverges, its kind is presumed, and the sentence says that it is checked when the race is over; `proven` and
`unchecked` then give the final sentence.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from difflib import SequenceMatcher
from typing import TYPE_CHECKING

from kvdemo.core.events import Divergence
from kvdemo.core.figures import units
from kvdemo.core.figures.metrics import first_difference
from kvdemo.core.types import Choice
from kvdemo.engine.lane_history import LaneHistory
from kvdemo.samplers import Rule

if TYPE_CHECKING:
    from kvdemo.race.divergence.proof import Evidence

#: Kinds that are presumed until the proof is there.
PRESUMED = ("numeric", "sampled")
_LATER = " Whether rounding explains it is checked when the race is over."
_PUTS = {"numeric": "the two are", "sampled": "the same draw puts the two"}
_DECIDED = {"numeric": "rounding decided", "sampled": "rounding moved a probability past a draw"}


def explain(
    baseline: LaneHistory,
    lane: LaneHistory,
    index: int,
    *,
    prompt_ids: Sequence[int],
    encode: Callable[[str], list[int]],
    piece: Callable[[int], str],
    rules: tuple[Rule, Rule],
) -> Divergence:
    """Find the reason for the two lanes' different tokens at `index`, with its evidence.

    `rules` are those of the baseline and the lane. `encode` turns text appended to the prompt into the ids of the
    whole; `piece` is the text of one token.
    """
    if lane.info.elsewhere or baseline.info.elsewhere:
        return Divergence(index, "remote", _unknown(baseline, lane))
    if rules[0].in_effect != rules[1].in_effect:
        return Divergence(index, "rule", _chose(baseline, lane, index, piece) + _rules(rules))
    for record in (baseline, lane):
        if not record.info.lossless:
            why = f" {record.info.name} may choose other tokens by design."
            return Divergence(index, "lossy", _chose(baseline, lane, index, piece) + why)
    for record in (baseline, lane):
        if record.works_on_text:
            written = [*prompt_ids, *record.tokens[:index]]
            read = encode("".join(record.texts[:index]))
            if read != written:
                return Divergence(index, "retokenized", _retokenized(record.info.name, written, read, piece))
    if not rules[0].greedy:
        return Divergence(index, "sampled", _chose(baseline, lane, index, piece) + " Same ids and draws." + _LATER)
    return Divergence(index, "numeric", _numeric(baseline, lane, index, piece))


def proven(
    presumed: Divergence, baseline: LaneHistory, lane: LaneHistory, evidence: Evidence, piece: Callable[[int], str]
) -> Divergence:
    """Add the proof to a divergence: it is of the kind that was presumed, or unexplained, with the lane that is off."""
    opening = presumed.detail.removesuffix(_LATER)
    rounding = evidence.rounding
    ran = f"Run again in {rounding.reference}"
    faults = [
        _fault(record, presumed.index, side, piece, evidence)
        for side, (record, off) in enumerate(zip((baseline, lane), evidence.of_limit, strict=True))
        if off > 1
    ]
    if faults:
        return Divergence(presumed.index, "unexplained", f"{opening} {ran}: {'; '.join(faults)}.")
    unit = units.figures(max(one.unit for one in evidence.recorded_errors))
    if rounding.tied:
        return replace(presumed, kind="ties", detail=f"{opening} {ran}, {_by_ties(presumed, evidence, unit)}")
    order = f", another order of the same sums by {units.figures(rounding.order)}" if rounding.order else ""
    perturbed = ", a change in the last place of what its modules put out included" if rounding.perturbed else ""
    found = (
        f"{ran}, {_PUTS[presumed.kind]} {units.figures(evidence.gap)} apart in log-probability; {rounding.format} "
        f"moves one by about {unit} here{order}{perturbed}: {_DECIDED[presumed.kind]}."
    )
    return replace(presumed, detail=f"{opening} {found}")


def _by_ties(presumed: Divergence, evidence: Evidence, unit: str) -> str:
    steps = max((one.steps for one in evidence.rerun_errors if one), default=0)
    same = f" Both agree in their last {units.count(steps, 'step')} where they choose alike." if steps else ""
    return (
        f"{_PUTS[presumed.kind]} {units.figures(evidence.gap)} apart in log-probability. The model takes the highest "
        "of some scores (top-k), and some that it leaves out are equal to the last that it takes. Which of these it "
        f"takes is open, and moves a log-probability by about {unit} here. That choice decided, not the cache.{same}"
    )


def unchecked(presumed: Divergence, why: str) -> Divergence:
    """Say that a divergence could not be proven. `why` is a clause without a full stop."""
    opening = presumed.detail.removesuffix(_LATER)
    return replace(presumed, detail=f"{opening} Presumably {_DECIDED[presumed.kind]}: not checked, because {why}.")


def _fault(record: LaneHistory, index: int, side: int, piece: Callable[[int], str], evidence: Evidence) -> str:
    """Say what is wrong with one of the two lanes, against what the number format allows."""
    name, form = record.info.name, evidence.rounding.format
    if evidence.rounding.tied:
        form += " with other choices among equal scores"
    recorded, rerun = evidence.recorded_errors[side], evidence.rerun_errors[side]
    allowed = evidence.allowed(recorded)
    if recorded.of_limit <= 1 and rerun and rerun.of_limit > 1:
        wider = evidence.rounding.reference
        return (
            f"{name} is off: its last {units.count(rerun.steps, 'step')}, run again in {wider}, are "
            f"{units.figures(rerun.distance)} from the exact log-probabilities, and {wider} allows "
            f"{units.figures(rerun.allowed)}"
        )
    if recorded.of_limit <= 1:
        chosen = _quote([record.choices[index].token], piece)
        return (
            f"{name} is off, since it chose {chosen} where another token is ahead of it by "
            f"{units.figures(evidence.outscored[side] * recorded.unit)} in log-probability, and {form} allows "
            f"{units.figures(2 * allowed)}"
        )
    apart = abs(recorded.recorded - recorded.exact)
    gave, exact = (units.figures(logprob, 4) for logprob in (recorded.recorded, recorded.exact))
    said = (
        f"{name} is off: at token {index - recorded.step + 1:,} it gave {_quote([recorded.token], piece)} a "
        f"log-probability of {gave} where it is {exact}, {units.figures(apart)} apart, "
        f"and {form} allows {units.figures(allowed)}"
    )
    if apart > allowed:
        return said
    return (
        f"{said}; over {units.count(recorded.steps, 'token')} it is {recorded.all:.1f} times as far off as {form} "
        f"takes an exact sum, and luck makes {evidence.allowed_units(recorded):.1f} times of it at the most"
    )


def _rules(rules: tuple[Rule, Rule]) -> str:
    """Say what each rule is."""
    return f" They choose by different rules: {rules[0].described}, and {rules[1].described}."


def _unknown(baseline: LaneHistory, lane: LaneHistory, most: int = 24) -> str:
    texts = [record.comparable_text for record in (baseline, lane)]
    same = first_difference(texts[0], texts[1]) or 0
    ours, theirs = (json.dumps(text[same : same + most], ensure_ascii=False) for text in texts)
    far = next(record.info.name for record in (lane, baseline) if record.info.elsewhere)
    return (
        f"{baseline.info.name} goes on with {ours}, {lane.info.name} with {theirs}. What {far} ran, in which number "
        "format and on which weights, is not known here."
    )


def _retokenized(name: str, written: Sequence[int], read: Sequence[int], piece: Callable[[int], str]) -> str:
    start = first_difference(written, read)
    start = min(len(written), len(read)) if start is None else start
    changes = SequenceMatcher(None, written[start:], read[start:], autojunk=False).get_opcodes()
    _, w0, w1, r0, r1 = next(change for change in changes if change[0] != "equal")
    before = _quote(written[start + w0 : start + w1], piece)
    after = _quote(read[start + r0 : start + r1], piece)
    half = any("\ufffd" in piece(token) for token in written[start + w0 : start + w1])
    why = ": half a character cannot be written as text" if half else ""
    return f"{name} wrote {before}, and its text was read back as {after}{why}."


def _numeric(baseline: LaneHistory, lane: LaneHistory, index: int, piece: Callable[[int], str]) -> str:
    ours, theirs = baseline.choices[index], lane.choices[index]
    margins = [_margin(ours, theirs.token), _margin(theirs, ours.token)]
    known = [margin for margin in margins if margin is not None]
    by = f" by a margin of {units.figures(max(known), 2)} in log-probability" if known else ""
    return _chose(baseline, lane, index, piece) + f" Same ids in, another argmax{by}." + _LATER


def _margin(choice: Choice, other: int) -> float | None:
    """Calculate how far a choice was ahead of the other lane's token; None where that was not its runner-up."""
    return choice.logprob - choice.runner_up_logprob if choice.runner_up == other else None


def _chose(baseline: LaneHistory, lane: LaneHistory, index: int, piece: Callable[[int], str]) -> str:
    sides = [
        f"{record.info.name} chose {_quote([choice.token], piece)} with probability "
        f"{units.figures(math.exp(choice.logprob))}"
        for record in (baseline, lane)
        for choice in [record.choices[index]]
    ]
    return f"{sides[0]}, {sides[1]}."


def _quote(ids: Sequence[int], piece: Callable[[int], str], most: int = 8) -> str:
    """Quote token texts, with their ids: `"\\n","\\n" (198, 198)`."""
    shown = ids[:most]
    more = ", …" if len(ids) > most else ""
    texts = ",".join(json.dumps(piece(i), ensure_ascii=False) for i in shown)
    return f"{texts}{more} ({', '.join(map(str, shown))}{more})" if ids else "nothing"
