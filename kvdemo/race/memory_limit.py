"""Refuse what needs more memory for keys and values than is free, before anything runs.

Linux promises more memory than there is, and ends the program that uses it: on a server, everybody's. The bytes are
those of the formula (`kvdemo.costs.formulas`). Activations come on top, so a part of what is free is left to them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from kvdemo.core.errors import BadInput
from kvdemo.core.figures import units
from kvdemo.costs import formulas
from kvdemo.models import memory, placement
from kvdemo.models.loaded import LoadedModel
from kvdemo.strategies.base import Strategy

Held = Callable[[int], int]
#: Part of the free memory that keys and values may take.
SHARE = 0.8


def check_race(chosen: Sequence[Strategy], model: LoadedModel, prompt_tokens: int, max_new_tokens: int) -> None:
    """Raise BadInput where lanes that run together hold too much, with the largest token count that fits."""
    _check("This race", chosen, model, prompt_tokens, max_new_tokens)


def check_lane(strategy: Strategy, model: LoadedModel, prompt_tokens: int, max_new_tokens: int) -> None:
    """Raise BadInput where a lane that runs alone holds too much, with the largest token count that fits."""
    _check(strategy.info.name, [strategy], model, prompt_tokens, max_new_tokens)


def _check(what: str, chosen: Sequence[Strategy], model: LoadedModel, prompt_tokens: int, max_new_tokens: int) -> None:
    room, layers = room_of(model), model.layers
    if room is None or layers is None:
        return

    def held(tokens: int) -> int:
        """Count the bytes of keys and values in all lanes after so many new tokens."""
        positions = prompt_tokens + tokens
        return sum(
            formulas.layers_bytes(layers, strategy.kept(positions), model.dtype.itemsize, strategy.rows_held)
            for strategy in chosen
        )

    if held(max_new_tokens) <= room:
        return
    need = (
        f"{what} needs {units.amount(held(max_new_tokens), 'B')} of memory for keys and values, and "
        f"there is room for {units.amount(room, 'B')}"
    )
    fits = _largest(held, room, max_new_tokens)
    if not fits:
        raise BadInput(f"{need}: shorten the prompt, or choose fewer lanes or rows.")
    rows = ", or for fewer rows" if any(strategy.rows_held > 1 for strategy in chosen) else ""
    raise BadInput(f"{need}: ask for at most {fits:,} new tokens{rows}.", max_new_tokens=fits)


def _largest(held: Held, room: int, too_many: int) -> int:
    """Find the largest token count below `too_many` that fits; 0 if none does."""
    low, high = 0, too_many
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if held(middle) <= room else (low, middle)
    return low


def room_of(model: LoadedModel) -> int | None:
    """Return the bytes that a model's keys and values may take: where several devices hold them, until one is full."""
    rooms = [(room_bytes(device), share) for device, share in placement.layer_shares(model.network).items()]
    return min((int(room / share) for room, share in rooms if room is not None), default=None)


def room_bytes(device: torch.device) -> int | None:
    """Return the bytes of a device that keys and values may take. None where it does not say what is free."""
    free = memory.free_bytes(device)
    return None if free is None else int(SHARE * free)
