"""Run one measurement from request to document: device peaks, warm-up, repeats in alternating order, the sweep.

Each run has the device to itself. The order of the lanes is reversed with every repeat, so that a machine that slows
down or speeds up affects all lanes alike. A stopped measurement keeps in its document what it has done.
"""

from __future__ import annotations

import datetime
import logging
import time
from dataclasses import replace
from typing import Any

from kvdemo.core.cancellation import CancelToken
from kvdemo.core.errors import BadInput
from kvdemo.core.settings.measure import MeasureRequest
from kvdemo.core.system.core_waits import CoreWaits
from kvdemo.costs.architecture import Architecture
from kvdemo.engine import first_time_cost
from kvdemo.engine.start_lane import describe_failure, start_lane
from kvdemo.measure import first_steps
from kvdemo.measure.check import check_measurement
from kvdemo.measure.report import document
from kvdemo.measure.report.lane_entry import LaneTrials
from kvdemo.measure.report.sweep_cell import sweep_cell
from kvdemo.measure.roofline import one_row_products
from kvdemo.measure.roofline.bounds import RooflineModel
from kvdemo.measure.roofline.device_peaks import DevicePeaks, measure_peaks
from kvdemo.measure.single_run import Trial, take
from kvdemo.measure.state import Emit, State
from kvdemo.measure.sweep_prompt import prompt_of_length
from kvdemo.measure.time_left import Kind, Pace
from kvdemo.models.facts import architecture
from kvdemo.models.loaded import LoadedModel
from kvdemo.models.text.codec import Prompt
from kvdemo.race import remarks
from kvdemo.strategies.base import Strategy

log = logging.getLogger(__name__)

#: Between two words about a run that is under way, which stands still for them.
TELL_SECONDS = 5.0


def run(
    request: MeasureRequest, model: LoadedModel, run_id: str, emit: Emit, stop: CancelToken, notes: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Measure. Returns the document, stopped or done.

    `emit` is called before each run and every few seconds of it, never while a step is timed: it may take its time.
    The caller has the device to itself. Raises BadInput before anything has run.
    """
    return _Measurement(request, model, *check_measurement(request, model), run_id, emit, stop, notes).run()


class _Measurement:
    """The state of one measurement while it runs."""

    def __init__(
        self,
        request: MeasureRequest,
        model: LoadedModel,
        chosen: list[Strategy],
        prompt: Prompt,
        run_id: str,
        emit: Emit,
        stop: CancelToken,
        notes: tuple[str, ...],
    ) -> None:
        self.request, self.model, self.chosen, self.prompt = request, model, chosen, prompt
        self.prompt_ids = model.encode(prompt)
        self.run_id, self.emit, self.stop, self.notes = run_id, emit, stop, list(notes)
        self.started_at = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        self.records = {
            s.spec: LaneTrials(replace(s.info_in(request.race.sampling), strategy=s.spec), formula_note=s.formula_note)
            for s in chosen
        }
        self.limits: DevicePeaks | None = None
        self.machine: RooflineModel | None = None
        self.cells: list[dict[str, Any]] = []
        self.first_runs: dict[str, Trial] = {}
        self.pace = Pace(self._runs_ahead())
        self.waits = CoreWaits()
        self._changed = True
        self._told = 0.0

    def run(self) -> dict[str, Any]:
        """Run the phases in order; each returns early when it is stopped."""
        self._tell("Measuring the device")
        self._know_the_machine()
        self._warm_up()
        self._repeat()
        self._sweep()
        for record in self.records.values():
            if record.status in ("waiting", "running"):
                record.status = "stopped"
        failed = [record.error for record in self.records.values() if record.error]
        done = self._document("failed" if failed else "stopped" if self.stop.is_set() else "done")
        self.emit(State("Stopped" if self.stop.is_set() else "Done", 1.0, 0.0, done))
        return done

    def _know_the_machine(self) -> None:
        """Measure the device; from the model's shape and the device's limits, floors and reasons follow.

        None of it is needed to time a lane: what cannot be had is a note.
        """
        try:
            self.limits = measure_peaks(
                self.model.device,
                self.model.dtype,
                self.stop,
                one_row_products.matrices(self.model.network, self.model.id),
            )
            if self.limits is None:
                return
            shape = architecture.from_config(self.model.network.config)
        except Exception as error:
            log.debug("no floors for %s", self.model.id, exc_info=True)
            self.notes.append(f"No floors and no reasons: {describe_failure(error)}")
            return
        self.machine = RooflineModel(shape, self.limits, self.model.dtype.itemsize, None, self.model.read_bytes)

    def _warm_up(self) -> None:
        """Probe each lane, then run it untimed, in full length."""
        tokens = self.request.race.max_new_tokens
        for strategy in self.chosen:
            self._tell(f"Trying out {strategy.name}")
            self._probe(strategy)
        self._changed = True
        self._tell("Warming up")
        for n in range(self.request.warmup):
            for strategy in self.chosen:
                text = f"Warm-up {n + 1} of {self.request.warmup}: {strategy.name}"
                trial = self._trial(strategy, self.prompt, tokens, text)
                self.first_runs.setdefault(strategy.spec, trial)

    def _probe(self, strategy: Strategy) -> None:
        """Predict how long a lane's runs take, and know what one of its passes launches."""
        probed = first_steps.take(strategy, self.request.race, self.model, self.prompt, self.stop, self._tell)
        if probed is None or self.machine is None:
            return
        own = replace(self.machine, operations=probed.operations, lanes={})
        if draft := strategy.draft_model(self.model):
            own = replace(own, draft=self._shape_of_draft(draft), draft_read_bytes=draft.read_bytes)
        self.machine = replace(self.machine, lanes={**self.machine.lanes, strategy.spec: own})
        for kind in self.pace.ahead:
            if kind[0] == strategy.spec:
                self.pace.seconds[kind] = probed.seconds(own, *self._lengths(kind[1]))

    def _shape_of_draft(self, draft: LoadedModel) -> Architecture | None:
        """Read the draft model's shape; None, with a note, where it is not understood."""
        try:
            return architecture.from_config(draft.network.config)
        except BadInput as error:
            self.notes.append(f"The draft model's passes are left out of the floors: {error}")
            return None

    def _lengths(self, sweep_prompt: int) -> tuple[int, int]:
        """Return prompt and new tokens of a kind of run; 0 is the table's own prompt."""
        if sweep_prompt:
            return sweep_prompt, max(self.request.sweep_tokens)
        return len(self.prompt_ids), self.request.race.max_new_tokens

    def _repeat(self) -> None:
        repeats = self.request.repeats
        for repeat in range(repeats):
            order = self.chosen if repeat % 2 == 0 else self.chosen[::-1]
            for place, strategy in enumerate(order):
                record = self.records[strategy.spec]
                if record.error or self.stop.is_set():
                    continue
                record.status = "running"
                text = f"Repeat {repeat + 1} of {repeats}: {strategy.name}"
                trial = self._trial(strategy, self.prompt, self.request.race.max_new_tokens, text)
                if trial.reason == "length":
                    record.trials.append(trial)
                    record.places.append(place)
                    record.remarks = record.remarks or self._remarks(strategy, trial)
                if len(record.trials) == repeats:
                    record.status = "done"
                self._changed = True

    def _remarks(self, strategy: Strategy, trial: Trial) -> list[str]:
        """List what a lane's first timed run shows, by itself and against the warm-up run of the same lengths."""
        first = self.first_runs.get(strategy.spec)
        found = first_time_cost.between_runs(first.steps, trial.steps) if first else None
        new = [first_time_cost.warmup_sentence(strategy.info.name, found)] if found else []
        return new + remarks.remarks_on(strategy, trial.steps)

    def _sweep(self) -> None:
        for wanted in self.request.sweep_prompt:
            prompt, length = prompt_of_length(self.model, self.request.race.prompt, wanted)
            runs = self._sweep_row(prompt, length, wanted)
            taken = {s.spec: (self.records[s.spec].info, runs[s.spec]) for s in self.chosen if runs[s.spec]}
            if taken and self.chosen[0].spec in taken:
                self.cells += [sweep_cell(length, n, taken, self.machine) for n in self.request.sweep_tokens]
            if self.stop.is_set():
                return
            self._changed = True

    def _sweep_row(self, prompt: Prompt, length: int, wanted: int) -> dict[str, list[Trial]]:
        """Run each lane at one prompt length, to the most new tokens: one untimed run, then the repeats."""
        runs: dict[str, list[Trial]] = {strategy.spec: [] for strategy in self.chosen}
        most, repeats = max(self.request.sweep_tokens), self.request.sweep_repeats
        for repeat in range(1 + repeats):
            for strategy in self.chosen if repeat % 2 == 0 else self.chosen[::-1]:
                if self.records[strategy.spec].error or self.stop.is_set():
                    continue
                label = f"Sweep, {length:,} prompt tokens, {'warm-up' if repeat == 0 else f'run {repeat} of {repeats}'}"
                trial = self._trial(strategy, prompt, most, f"{label}: {strategy.name}", length=wanted)
                if repeat and trial.reason == "length":
                    runs[strategy.spec].append(trial)
        return runs

    def _trial(self, strategy: Strategy, prompt: Prompt, tokens: int, text: str, length: int = 0) -> Trial:
        """Run a lane once, and report on it now and then. A lane that fails is not run again."""
        kind = (strategy.spec, length)
        self.pace.begin()
        self._tell(text)
        lane = start_lane(strategy, self.request.race, self.model, prompt, tokens, tell=self._tell)
        with self.waits.watched():
            trial = take(lane, self.model, self.stop, lambda: self._tell(text, under_way=True))
        if trial.reason == "length":
            self.pace.done(kind)
        else:
            self.pace.drop(kind)
        if trial.error:
            record = self.records[strategy.spec]
            record.error, record.status = trial.error, "failed"
            for other in list(self.pace.ahead):
                if other[0] == strategy.spec:
                    self.pace.drop(other)
        return trial

    def _runs_ahead(self) -> dict[Kind, int]:
        request = self.request
        ahead: dict[Kind, int] = {}
        for strategy in self.chosen:
            ahead[(strategy.spec, 0)] = request.warmup + request.repeats
            ahead |= {(strategy.spec, length): 1 + request.sweep_repeats for length in request.sweep_prompt}
        return ahead

    def _tell(self, text: str, *, under_way: bool = False) -> None:
        """Emit a state, with the document if it has changed; at intervals while a run is under way."""
        now = time.monotonic()
        if under_way and now - self._told < TELL_SECONDS:
            return
        told = self._document("running") if self._changed else None
        self._changed, self._told = False, now
        self.emit(State(text, self.pace.fraction, self.pace.remaining, told))

    def _document(self, status: str) -> dict[str, Any]:
        records = list(self.records.values())
        so_far = document.Measured(
            self.run_id, self.started_at, status, records, self.limits, self.machine, self.cells,
            self.notes + self.waits.sentences(),
        )  # fmt: skip
        return document.build(self.request, self.model, self.prompt, self.prompt_ids, so_far)
