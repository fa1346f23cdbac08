"""Identify who asks for a run, so that visitors share no kept data and no visitor takes all places."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Visitor:
    """Who asks for a run.

    session    of an open page, or a program's; "" where there is none
    address    of the machine that asks; "" for this machine, and where it is not known
    keeps      whether what a race keeps is there for the session's next one: so it is for a page, until it is closed
    arrival    number of the request among all of the server: who came earlier has the device earlier; None: at the end
    """

    session: str = ""
    address: str = ""
    keeps: bool = False
    arrival: int | None = field(default=None, compare=False)


NOBODY = Visitor()
