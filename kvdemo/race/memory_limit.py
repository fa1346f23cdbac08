"""Refuse what needs more memory than is free, before anything runs.

Linux promises more memory than there is, and ends the program that uses it: on a server, everybody's. Counted are:

    - keys and values of all rows of all lanes, as an exact cache holds them: by formula, and where there is none
      measured on the model (`measured_cache`)
    - activations of the largest pass: of the lane that needs most where lanes take turns, of all where they do not. A
      pass over a whole text is measured without numbers (`pass_memory`), others are estimated by formula
    - the weights of a draft model that is not loaded yet, and the keys and values of each lane's draft
    - weights that compiling packs for the CPU

Not counted: what a cache keeps in main memory beside a GPU, buffers of kernels, hidden states that a strategy keeps for
a step, and the passes that look back at the lanes when their caches are free again. A part of what is free is left to
them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch

from kvdemo.core.errors import BadInput, NoRoom
from kvdemo.core.figures import units
from kvdemo.core.types import Pass, Schedule
from kvdemo.costs import formulas
from kvdemo.costs.activations import Widths, activation_bytes, choosing_bytes, logits
from kvdemo.models import memory, placement
from kvdemo.models.facts import rope
from kvdemo.models.loaded import LoadedModel
from kvdemo.strategies.base import Beside, Strategy
from kvdemo.strategies.compatibility.measured_cache import layers_of

#: Part of the free memory that may be taken.
SHARE = 0.8
#: Layers of a cache kept in main memory that the device holds: the one at work and the one that comes next.
LAYERS_FETCHED = 2


@dataclass(frozen=True)
class _Run:
    """Lanes on a model, and what is asked of them: `rows` where another number than the lanes' own is looked at.

    `roughly` counts more than is needed, and at once for most lengths: measuring one takes a third of a second.
    """

    what: str
    lanes: tuple[tuple[Strategy, Beside], ...]
    model: LoadedModel
    prompt: int
    tokens: int
    at_once: bool = False
    rows: int | None = None
    roughly: bool = False

    @property
    def bytes(self) -> int:
        """The most bytes that are held at a time."""
        running = [self._running(lane) for lane, _ in self.lanes]
        new = {beside.owner: beside.new_bytes for _, beside in self.lanes}
        held = sum(self._held(lane, beside) for lane, beside in self.lanes)
        return held + sum(new.values()) + (sum(running) if self.at_once else max(running, default=0))

    def _held(self, lane: Strategy, beside: Beside) -> int:
        """Count the bytes of keys and values of a lane and its draft."""
        itemsize, positions = self.model.dtype.itemsize, self.prompt + self.tokens
        if not lane.kept(positions):
            return formulas.layers_bytes(beside.layers, positions, itemsize)
        found = layers_of(self.model) or ()
        layers = sorted(found, key=lambda layer: layer.bytes_per_position(itemsize), reverse=True)
        if lane.picture and lane.picture.keeps == "host":
            layers = layers[:LAYERS_FETCHED]
        whole = [replace(layer, window=None) for layer in layers]
        own = formulas.layers_bytes(
            whole if lane.keeps_prefix else layers, lane.kept(positions), itemsize, self._rows(lane)
        )
        if not (lane.picture and lane.picture.keeps == "reserved"):
            # After the prompt's pass a layer with a window holds all of it: what it keeps is a view of that.
            rows = 1 if lane.prefills_once else self._rows(lane)
            own = max(own, formulas.layers_bytes(whole, lane.kept(self.prompt), itemsize, rows))
        return own + formulas.layers_bytes(beside.layers, positions, itemsize)

    def _running(self, lane: Strategy) -> int:
        """Count the bytes of a lane's largest pass."""
        if lane.elsewhere:
            return 0
        widths = self.model.widths
        passes = [self._of_rows(lane, ran) for ran in lane.largest_passes(self.prompt, self.tokens)]
        for line in rope.switch_lengths(self.model.config):  # the text runs again there
            if self.prompt <= line < self.prompt + self.tokens:
                passes.append(Pass(self._rows(lane), line + 1, line + 1))
        return max(self._activations(ran, widths, cached=_keeps_tensors(lane)) for ran in passes)

    def _activations(self, ran: Pass, widths: Widths, *, cached: bool) -> int:
        """Count the bytes of a pass: measured where it runs a text, by formula where it looks back at a cache."""
        itemsize = self.model.dtype.itemsize
        formula = activation_bytes(ran, widths, itemsize)
        if ran.positions == 1 < ran.context:
            return formula
        measured = self.model.pass_memory.bytes(ran.positions, cached=cached, roughly=self.roughly)
        if measured is None:
            return formula
        whole = max(ran.rows * measured + itemsize * logits(ran, widths), choosing_bytes(ran, widths, itemsize))
        return whole if ran.positions == ran.context else max(whole, formula)

    def _of_rows(self, lane: Strategy, ran: Pass) -> Pass:
        return replace(ran, rows=self._rows(lane)) if ran.rows == lane.rows_held else ran

    def _rows(self, lane: Strategy) -> int:
        return lane.rows_held if self.rows is None else min(self.rows, lane.rows_held)

    def check(self, room: int) -> None:
        """Raise NoRoom where it does not fit into so many bytes, with the largest setting that does.

        BadInput where what a cache keeps is not known and cannot be measured.
        """
        if any(lane.kept(1) for lane, _ in self.lanes) and layers_of(self.model) is None:
            raise BadInput(
                f"How much the cache of {self.model.id} keeps cannot be found out, nor whether it fits into memory: "
                "choose lanes without a cache, or another model."
            )
        if replace(self, roughly=True).bytes <= room or self.bytes <= room:
            return
        need = (
            f"{self.what} needs {units.amount(self.bytes, 'B')} of memory for what is kept and what a pass "
            f"computes, and there is room for {units.amount(room, 'B')}"
        )
        fits = _largest(lambda tokens: replace(self, tokens=tokens).bytes <= room, self.tokens)
        rows = self._most_rows(room)
        remedies = [f"ask for at most {fits:,} new tokens"] if fits else []
        if rows:
            remedies.append(f"{'or for' if fits else 'ask for'} at most {units.count(rows, 'row')}")
        if remedies:
            raise NoRoom(f"{need}: {', '.join(remedies)}.", max_new_tokens=fits or None)
        shorter = _largest(lambda prompt: replace(self, prompt=prompt, tokens=1).bytes <= room, self.prompt)
        if shorter:
            most = units.count(shorter, "token")
            raise NoRoom(f"{need}: shorten the prompt to at most {most}, or choose fewer lanes.")
        raise NoRoom(f"{need}: choose fewer lanes, or a smaller model.")

    def _most_rows(self, room: int) -> int:
        """Find the most rows that fit where lanes have several; 0 where none has, or not even the fewest fit."""
        several = [lane for lane, _ in self.lanes if lane.rows_from]
        fewest = max((int(lane.options()[lane.rows_from].low) for lane in several), default=1)
        fits = _largest(
            lambda rows: replace(self, rows=rows).bytes <= room, max((lane.rows_held for lane in several), default=1)
        )
        return fits if fits >= fewest else 0


def _keeps_tensors(lane: Strategy) -> bool:
    """Tell whether a lane's cache keeps the tensors themselves that a pass computes, and no copies of them."""
    return lane.picture is not None and lane.picture.keeps == "all"


def check_race(
    chosen: Sequence[Strategy], model: LoadedModel, prompt_tokens: int, max_new_tokens: int, schedule: Schedule
) -> None:
    """Raise NoRoom where lanes that run together hold too much, with the largest setting that fits."""
    if (room := room_of(model)) is not None:
        _run("This race", chosen, model, prompt_tokens, max_new_tokens, schedule).check(room)


def check_lane(strategy: Strategy, model: LoadedModel, prompt_tokens: int, max_new_tokens: int) -> None:
    """Raise NoRoom where a lane that runs alone holds too much, with the largest setting that fits."""
    if (room := room_of(model)) is not None:
        _run(strategy.info.name, [strategy], model, prompt_tokens, max_new_tokens, "fair").check(room)


def needed_bytes(
    chosen: Sequence[Strategy], model: LoadedModel, prompt_tokens: int, max_new_tokens: int, schedule: Schedule = "fair"
) -> int:
    """Estimate the most bytes that lanes hold at a time beside the model's own weights."""
    return _run("", chosen, model, prompt_tokens, max_new_tokens, schedule).bytes


def _run(
    what: str, chosen: Sequence[Strategy], model: LoadedModel, prompt: int, tokens: int, schedule: Schedule
) -> _Run:
    lanes = tuple((lane, lane.held_beside(model)) for lane in chosen)
    return _Run(what, lanes, model, prompt, tokens, at_once=schedule == "simultaneous")


def _largest(fits: Callable[[int], bool], too_many: int) -> int:
    """Find the largest number below `too_many` that fits; 0 if none does."""
    low, high = 0, too_many
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def room_of(model: LoadedModel) -> int | None:
    """Return the bytes that a model's keys and values may take: where several devices hold them, until one is full."""
    rooms = [(room_bytes(device), share) for device, share in placement.layer_shares(model.network).items()]
    return min((int(room / share) for room, share in rooms if room is not None), default=None)


def room_bytes(device: torch.device) -> int | None:
    """Return the bytes of a device that runs may take. None where it does not say what is free."""
    free = memory.free_bytes(device)
    return None if free is None else int(SHARE * free)
