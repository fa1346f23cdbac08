"""Define what goes between the page's process and the engine's: pickled objects over `multiprocessing.connection`.

A generator stays in the engine's process. The page's process has it go on with `Next`, once for each item, so that the
engine knows when an item has been dealt with: a measurement times nothing before that.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

#: The exit code of the engine's process where it ended because a run did not end in time.
DISOBEYED = 75


@dataclass(frozen=True, slots=True)
class Call:
    """Call a method of the service. `number` is the question's; its answer has the same.

    Where the method makes a generator, the answer is None, and the generator is known by the question's number.
    """

    number: int
    method: str
    arguments: tuple[Any, ...] = field(repr=False)  # what a visitor wrote, and who he is, is no log's


@dataclass(frozen=True, slots=True)
class Next:
    """Ask for the next item of the generator that question `of` made."""

    number: int
    of: int


@dataclass(frozen=True, slots=True)
class Close:
    """Close the generator that question `of` made. There is no answer."""

    of: int


@dataclass(frozen=True, slots=True)
class Ping:
    """Ask whether the process answers at all. The answer has the number 0, which no question has."""

    number: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call returned, or the generator's next item, or what was raised. `ended`: the generator has no more."""

    number: int
    value: Any = None
    error: Exception | None = None
    ended: bool = False
