"""Define what a strategy says of its steps so that they can be drawn: `Picture`. Standard library only.

The page draws a step as a row of positions. What it computes and what its cache keeps decide how.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

Computes = Literal["all", "new", "drafted", "elsewhere"]
Keeps = Literal["nothing", "all", "reserved", "window", "packed", "host", "elsewhere"]


@dataclass(frozen=True, kw_only=True)
class Picture:
    """What a strategy's steps compute and keep. Where a number is a setting of the strategy, its name stands for it.

    computes  all        every position, each step
              new        the prompt, then the newest position
              drafted    the newest position and a draft after it, of which the wrong part is cut off again
              elsewhere  another machine does, and does not say what
    keeps     nothing    no keys and values
              all        those of all positions
              reserved   those of all positions, in room that is taken at the start
              window     those of the first and of the latest positions
              packed     those of all positions, in fewer bits
              host       those of all positions, in main memory
              elsewhere  another machine does
    draft     drafted: the setting for the most tokens that are drafted
    window    window: the setting for how many of the latest positions are kept
    sinks     window: the setting for how many of the first positions are kept
    packing   packed: the setting for the number format
    bits      packed: the bits of a number in each format
    in_full   packed: the most of the newest positions that a format keeps unpacked; 0 where it is not named

    How many rows run side by side, whether they are texts of a search, and whether a part of the prompt may be found
    computed, follows from what a strategy states anyway (`rows_from`, `searches`, `keeps_prefix`).

    Raises ValueError for values that do not go together.
    """

    computes: Computes
    keeps: Keeps
    draft: str = ""
    window: str = ""
    sinks: str = ""
    packing: str = ""
    bits: Mapping[str, int] = field(default_factory=dict, hash=False)
    in_full: Mapping[str, int] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        for name, kind in (("computes", Computes), ("keeps", Keeps)):
            if getattr(self, name) not in get_args(kind):
                raise ValueError(f"{name} is {getattr(self, name)!r}: state one of {', '.join(get_args(kind))}")
        needed = {
            "draft": self.computes == "drafted",
            "window": self.keeps == "window",
            "sinks": self.keeps == "window",
            "packing": self.keeps == "packed",
            "bits": self.keeps == "packed",
        }
        for name, wanted in needed.items():
            if bool(getattr(self, name)) != wanted:
                raise ValueError(
                    f"{name} is {'missing' if wanted else 'given'}, though it {'is needed' if wanted else 'has no use'}"
                )

    @property
    def settings(self) -> tuple[str, ...]:
        """The settings that it names."""
        return tuple(name for name in (self.draft, self.window, self.sinks, self.packing) if name)
