"""Run one race from request to document: warm up, race, compare, prove, judge."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from kvdemo.caches import legacy_format
from kvdemo.caches.prefix_store import PrefixEntry, PrefixRun, PrefixSlot, PrefixStore
from kvdemo.core.cancellation import CancelToken
from kvdemo.core.errors import BadInput
from kvdemo.core.events import Diverged, Ended, Finished, Progress, RaceEvent, Started, TokensCommitted
from kvdemo.core.settings.race import RaceRequest
from kvdemo.core.system.core_waits import CoreWaits
from kvdemo.core.types import TimedStep
from kvdemo.costs.architecture import contents
from kvdemo.engine import environment
from kvdemo.engine.lane import Lane
from kvdemo.engine.lane_history import LaneHistory
from kvdemo.engine.scheduler import race
from kvdemo.engine.start_lane import describe_failure, start_lane
from kvdemo.models.errors import out_of_memory
from kvdemo.models.loaded import LoadedModel
from kvdemo.models.text.codec import Prompt
from kvdemo.race import beam_tree, candidates, document, done_by_generate, padding, remarks
from kvdemo.race.check import check_race
from kvdemo.race.divergence import reasons, run_again
from kvdemo.race.verdict.judge import judge
from kvdemo.samplers import Rule
from kvdemo.strategies.base import Strategy

log = logging.getLogger(__name__)

Emit = Callable[[RaceEvent], None]

# Before the clock runs, each lane commits this many tokens after the real prompt: prefill and four decode steps. First
# calls pay for memory, thread pools and kernel selection, which is not what a race is about. Where each new length has
# such a cost, the steps that the warm-up has taken before are quicker than those that follow (`first_time_cost`).
WARMUP_TOKENS = 5
# What a lane that runs elsewhere warms up with: a server that had read the prompt before would have it in its cache.
OTHER_PROMPT = "Hi"


def run(
    request: RaceRequest,
    model: LoadedModel,
    emit: Emit,
    stop: CancelToken,
    store: PrefixStore | None = None,
    *,
    with_candidates: bool = False,
    release: Callable[[], None] = lambda: None,
    make_room: Callable[[], bool] = lambda: False,
) -> Finished:
    """Race the request's strategies on a loaded model; pass each event to `emit`, and return the last one too.

    Lanes may start from what is in the `store` when the race begins. What one of them leaves is put there at the end.
    `with_candidates`: the events tell what each token was chosen from, also where the document need not have it.
    The caller holds the device until `release` is called: what other machines compute comes after that, when the lanes
    of this one are over and looked at. `make_room` is called where the device runs out of memory; it returns whether it
    has freed any. Raises BadInput before anything has run.
    """
    raced = _Race(request, model, *check_race(request, model), emit, store, with_candidates or request.candidates)
    return raced.run(stop, release, make_room)


def other_prompt(prompt: Prompt) -> Prompt:
    """Make another prompt of the same form, for another machine, which applies its own chat template."""
    return Prompt(OTHER_PROMPT, special=prompt.special, message=None if prompt.message is None else OTHER_PROMPT)


class _Race:
    """The state of one race while it runs."""

    def __init__(
        self,
        request: RaceRequest,
        model: LoadedModel,
        chosen: list[Strategy],
        prompt: Prompt,
        emit: Emit,
        store: PrefixStore | None,
        with_candidates: bool,
    ) -> None:
        self.request, self.model, self.prompt, self.chosen, self.emit = request, model, prompt, chosen, emit
        self.prompt_ids = model.encode(prompt)
        self.rules = [Rule(request.sampling, strategy.sampling) for strategy in chosen]
        self.records = [LaneHistory(strategy.info_in(request.sampling)) for strategy in chosen]
        self.streams = [model.text_stream() for _ in chosen]
        self.with_candidates, self.piece = with_candidates, cache(model.piece)
        self.store, self.found = store, store.find(model) if store else None
        self.handovers = [self._handover() for _ in chosen]
        self.warmed = [0 for _ in chosen]  # steps that each lane's warm-up took
        self.waits = CoreWaits()
        self._make_room: Callable[[], bool] = lambda: False

    def run(self, stop: CancelToken, release: Callable[[], None], make_room: Callable[[], bool]) -> Finished:
        self._make_room = make_room
        here = [index for index, strategy in enumerate(self.chosen) if not strategy.elsewhere]
        there = [index for index, strategy in enumerate(self.chosen) if strategy.elsewhere]
        self._warm_up(here, stop)
        lanes = self._lanes(here)  # what they prepare is told before the race begins
        self.emit(
            Started(
                lanes=tuple(record.info for record in self.records),
                prompt_text=self.prompt.text,
                prompt_tokens=len(self.prompt_ids),
                max_new_tokens=self.request.max_new_tokens,
                schedule=self.request.schedule,
                model=self.model.facts(),
            )
        )
        self._run(lanes, here, stop)
        del lanes  # their caches are free before the model runs again
        self._look_back(here, stop)
        self._keep()
        release()
        self._warm_up(there, stop)
        self._run(self._lanes(there), there, stop)
        self._look_back(there, stop)
        return self._finish()

    def _lanes(self, indices: Sequence[int]) -> list[Lane]:
        return [self._lane(self.chosen[index], self.prompt, self.handovers[index]) for index in indices]

    def _run(self, lanes: Sequence[Lane], indices: Sequence[int], stop: CancelToken) -> None:
        """Run lanes to their ends; `indices` are their places in the race."""
        with self.waits.watched():
            self._follow(lanes, indices, stop)

    def _follow(self, lanes: Sequence[Lane], indices: Sequence[int], stop: CancelToken) -> None:
        for event in race(lanes, self.request.schedule, stop, self._describe):
            if isinstance(event, Ended):
                index = indices[event.lane]
                ended = replace(event, lane=index, text=self.streams[index].flush())
                self.records[index].end(ended)
                if ended.error:
                    log.warning("%s failed: %s", self.chosen[index].spec, ended.error)
                self.emit(ended)
                self.records[index].together = self.chosen[index].settle(stop)
            else:
                self._committed(indices[event[0]], event[1])

    def _warm_up(self, indices: Sequence[int], stop: CancelToken) -> None:
        """Take each lane's first steps, untimed. A lane that fails here fails again in the race, which reports it."""
        tokens = min(WARMUP_TOKENS, self.request.max_new_tokens)
        for index in indices:
            strategy = self.chosen[index]
            if stop.is_set():
                return
            if not strategy.elsewhere:  # the race has begun when another machine warms up
                self.emit(Progress(f"Warming up {strategy.name}"))
            prompt = other_prompt(self.prompt) if strategy.elsewhere else self.prompt
            if not self._warmed_up(index, prompt, tokens, stop) and self._freed():
                self._warmed_up(index, prompt, tokens, stop)

    def _warmed_up(self, index: int, prompt: Prompt, tokens: int, stop: CancelToken) -> bool:
        """Take one lane's first steps; returns whether there was memory for them."""
        failed: list[Exception] = []

        def describe(error: Exception) -> str:
            failed.append(error)
            return str(error)

        taken = race([self._lane(self.chosen[index], prompt, self._handover(), cut=tokens)], "fair", stop, describe)
        self.warmed[index] = sum(not isinstance(event, Ended) for event in taken)
        self.chosen[index].settle(stop)
        return not any(map(out_of_memory, failed))

    def _describe(self, error: Exception) -> str:
        """Say why a lane failed; where memory ran out, what earlier races kept is dropped for the next try."""
        if out_of_memory(error) and self._freed():
            return "The device ran out of memory. What earlier races had kept is dropped now: try again."
        return describe_failure(error)

    def _freed(self) -> bool:
        """Free memory where something is kept in it that could be dropped; returns whether there was."""
        if self.model.device.type == "cuda" or not self._make_room():  # what is kept lies in main memory
            return False
        self.found = None
        for handover in self.handovers:
            if handover:
                handover.found = None
        return True

    def _lane(self, strategy: Strategy, prompt: Prompt, handover: PrefixSlot | None, cut: int | None = None) -> Lane:
        tokens, tell = self.request.max_new_tokens, lambda text: self.emit(Progress(f"{strategy.name}: {text}"))
        return start_lane(
            strategy, self.request, self.model, prompt, tokens,
            cut=cut, handover=handover, with_candidates=self.with_candidates, tell=tell,
        )  # fmt: skip

    def _handover(self) -> PrefixSlot | None:
        """Make what a lane or a warm-up starts from: kept before this race, so that no lane profits from another."""
        return PrefixSlot(self.found) if self.store else None

    def _keep(self) -> None:
        """Store what the first lane that leaves something left; a lane that failed may leave half a step."""
        for record, handover in zip(self.records, self.handovers, strict=True):
            if self.store is None or handover is None or handover.cache is None:
                continue
            if record.ended and record.ended.reason == "error":
                continue
            tokens, ran = len(self.prompt_ids), record.steps[0].step.positions
            run = PrefixRun(record.steps[0].seconds, tokens, reused=tokens - ran)
            pairs = legacy_format.on(legacy_format.to_legacy(handover.cache), "cpu")
            kept = PrefixEntry(tuple(handover.ids), pairs, run)
            try:
                record.remarks.append(self.store.put(self.model, kept))
            except BadInput as error:
                record.remarks.append(str(error))
            return

    def _committed(self, lane: int, step: TimedStep) -> None:
        stream = self.streams[lane]
        own = step.step.texts
        texts = own if own is not None else tuple(map(stream.push, step.step.tokens))
        step, chosen_from = self._candidates(step)
        self.records[lane].add(step, texts)
        if self.request.candidates:
            self.records[lane].candidates += chosen_from
        self.emit(TokensCommitted(lane, step, texts, chosen_from))
        for index, record in enumerate(self.records[1:], start=1):
            if lane in (0, index) and record.divergence is None:
                self._compare(index, record)

    def _candidates(self, timed: TimedStep) -> tuple[TimedStep, tuple[dict[str, Any] | None, ...]]:
        """Take what the tokens were chosen from out of a step, as entries: a step is kept until the race is over."""
        if not self.with_candidates:
            return timed, ()
        found = tuple(candidates.to_document(choice.candidates, self.piece) for choice in timed.step.choices)
        choices = tuple(replace(choice, candidates=None) for choice in timed.step.choices)
        return replace(timed, step=replace(timed.step, choices=choices)), found

    def _compare(self, lane: int, record: LaneHistory) -> None:
        at = record.first_divergence_from(self.records[0])
        if at is None:
            return
        record.divergence = reasons.explain(
            self.records[0],
            record,
            at,
            prompt_ids=self.prompt_ids,
            encode=lambda appended: self.model.encode(self.prompt, appended),
            piece=self.model.piece,
            rules=(self.rules[0], self.rules[lane]),
        )
        self.emit(Diverged(lane, record.divergence))

    def _prove(self, indices: Sequence[int], stop: CancelToken) -> None:
        """Check what was presumed of each divergence. A proof that fails is reported; the race's result stands."""
        for lane in indices:
            record = self.records[lane]
            presumed = record.divergence
            if presumed is None or presumed.kind not in reasons.PRESUMED:
                continue
            baseline = self.chosen[0], self.records[0]
            record.divergence = run_again.proven(
                presumed, self.model, self.prompt_ids, baseline, (self.chosen[lane], record), self.rules[lane], stop
            )
            self.emit(Diverged(lane, record.divergence))

    def _look_back(self, indices: Sequence[int], stop: CancelToken) -> None:
        """Check what was presumed of some lanes, and collect what they show; the model may run for it."""
        self._prove(indices, stop)
        for index in indices:
            strategy, record = self.chosen[index], self.records[index]
            found = remarks.first_use(self.request.schedule, record, self.warmed[index])
            if index == 0:
                found += done_by_generate.done_otherwise(self.model)
                found += self.waits.sentences() if self.request.schedule == "fair" else []  # lanes wait for each other
                found += padding.counted_in_a_cache_alone(self.model, [*self.prompt_ids, *record.tokens[:-1]])
            record.remarks = found + remarks.remarks(self.model, self.prompt_ids, strategy, record, stop)
            record.beams = beam_tree.to_document(record.steps, self.model.text_stream())

    def _finish(self) -> Finished:
        verdict = judge(self.records, self.request.schedule, contents(self.model.layers))
        built = document.build(
            self.request,
            self.records,
            verdict,
            model=self.model.facts(),
            environment=environment.describe(self.model.attention, self.model.device, self.model.spread),
            prompt_text=self.prompt.text,
            prompt_ids=self.prompt_ids,
            templated=self.prompt.templated,
        )
        finished = Finished(built, verdict)
        self.emit(finished)
        return finished
