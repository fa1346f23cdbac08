"""Follow several texts at once; the likeliest of them is the result (beam search)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean

import torch

from kvdemo.core.errors import BadInput
from kvdemo.core.figures import units
from kvdemo.core.picture import Picture
from kvdemo.core.types import BeamNode, Choice, Pass, Step, TimedStep
from kvdemo.models.loaded import LoadedModel
from kvdemo.strategies.base import Job, Strategy, option
from kvdemo.strategies.compatibility import cache_support
from kvdemo.strategies.search import beams
from kvdemo.strategies.search.beams import Found


class BeamSearch(Strategy):
    """Follows the k likeliest texts instead of one: all go on together as the rows of one batch, and the best k remain.

    Greedy decoding takes the likeliest token each time and may so miss the likeliest text. Beam search keeps k
    beginnings until it shows. A token appears only once all beams have it in common, so the text comes in pieces, the
    last when the search is over: a late first token is the method, not a fault. It costs k rows of cache and of
    computation, and copies of the cache where one beam replaces another. It wins in translation and transcription;
    in open text the likeliest is often dull. It is not called lossless, and yet approximates nothing: its aim, the
    most probable text, is another than that of greedy decoding. It draws nothing. An end of text is a token like any
    other to it; the lane ends there.
    """

    id = "beam_search"
    name = "Beam search"
    summary = "Follows the likeliest few texts at once and keeps the best of them."
    lossless = False
    picture = Picture(computes="new", keeps="all")
    searches = True
    rows_from = "beams"
    prefills_once = True
    samples = False
    no_candidates = "A search keeps whole texts, not single tokens: its tree shows what it considered."

    beams: int = option(4, "Beams", "Texts that are followed at once.", low=2, high=32)

    def unavailable_reason(self, model: LoadedModel) -> str | None:
        return cache_support.reason_of(self, model)

    def search(self, model: LoadedModel, ids: Sequence[int]) -> Iterator[Found]:
        """Search step by step, without an end."""
        return beams.search(model, ids, self.beams)

    @torch.inference_mode()
    def decode(self, job: Job) -> Iterator[Step]:
        """Make one Step of several steps of the search where the beams agree on no further token before.

        A Step hands on the beams of each of them, so that the tree can be drawn and nothing has to run again for it.
        Inside the time that is measured this is a tuple of four numbers for each beam.
        """
        if job.sampling.temperature > 0:
            raise BadInput(f"{self.name} looks for the likeliest text and draws nothing: set the temperature to 0.")
        ids = job.encode("")
        end = min(job.max_new_tokens, (job.model.context_length or math.inf) - len(ids))
        written = 0
        passes: list[Pass] = []
        again: dict[str, float] = {}
        levels: list[tuple[BeamNode, ...]] = []
        for found in self.search(job.model, ids):
            passes.append(found.ran)
            again |= found.details
            levels.append(beams.level(found.beams))
            best = found.beams[0]
            common = beams.shared(found.beams)
            certain = best if best.length >= end else common
            if certain is None or certain.length == written:
                continue
            details = {"beams": len(found.beams), "search_steps": len(levels)} | _figures(found, common) | again
            yield Step(
                certain.choices(written),
                sum(ran.rows * ran.positions for ran in passes),
                found.cache_bytes,
                details=details,
                levels=tuple(levels),
                passes=tuple(passes),
            )
            written, passes, levels, again = certain.length, [], [], {}
            if best.length >= end:
                return  # no more tokens are asked for than were announced

    def remarks(self, steps: Sequence[TimedStep]) -> list[str]:
        last = steps[-1].step.details
        beams, length = int(last["beams"]), int(last["beam_tokens"])
        waits = [int(timed.step.details["search_steps"]) for timed in steps]
        written = [choice for timed in steps for choice in timed.step.choices]
        return [
            self._whole(last) if len(written) == length else self._beginning(written, last),
            f"The {beams} beams shared the first {int(last['shared_tokens']):,} of those {length:,} tokens; up to "
            f"{units.count(max(waits), 'step')} of the search went by between two pieces of text.",
        ]

    def _whole(self, last: Mapping[str, float]) -> str:
        """Speak of a search whose best text is the lane's, as long as it is."""
        return (
            f"{self.info.name}'s best text of {units.count(int(last['beam_tokens']), 'token')} has a summed "
            f"log-probability of {last['best_score']:.2f}, its {int(last['beams'])} beams {last['mean_score']:.2f} on "
            f"average. {_against_greedy(last)}"
        )

    def _beginning(self, written: Sequence[Choice], last: Mapping[str, float]) -> str:
        """Speak of a lane that ended before its search did, at an end of text or where it was stopped."""
        reached = units.count(int(last["beam_tokens"]), "token")
        score = math.fsum(choice.logprob for choice in written)
        return (
            f"{self.info.name}'s text of {units.count(len(written), 'token')} has a summed log-probability of "
            f"{score:.2f}. {_against_likeliest(written)} The lane ended there, "
            f"and the search had reached {reached}: the best of its {int(last['beams'])} beams had "
            f"{last['best_score']:.2f}, all of them {last['mean_score']:.2f} on average."
        )


def _figures(found: Found, common: beams.Beam | None) -> dict[str, float]:
    """State the search in figures: scores are sums of log-probabilities, lengths are counted in tokens."""
    return {
        "mean_score": fmean(beam.score for beam in found.beams),
        "best_score": found.beams[0].score,
        "beam_tokens": found.beams[0].length,
        "shared_tokens": common.length if common else 0,
        "greedy_score": found.greedy.score,
        "greedy_tokens": found.greedy.length,
    }


def _against_greedy(last: Mapping[str, float]) -> str:
    """Compare with the greedy text, as far as the beams know it."""
    if last["greedy_tokens"] < last["beam_tokens"]:
        return f"The greedy text was no longer among them from token {int(last['greedy_tokens']):,} on."
    if last["greedy_score"] == last["best_score"]:
        return "It is the greedy text."
    return f"The greedy text has {last['greedy_score']:.2f}."


def _against_likeliest(written: Sequence[Choice]) -> str:
    """Compare with greedy decoding, which takes the likeliest token each time."""
    for number, choice in enumerate(written, start=1):
        if choice.logprob < choice.runner_up_logprob:
            return f"Its token {number:,} is the first that is not the likeliest there, which greedy decoding takes."
    return "Each of its tokens is the likeliest there, which greedy decoding takes."
