"""Name who asks for a run, so that what belongs to one visitor stays with it, and nobody takes all places."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Visitor:
    """Who asks for a run.

    session    of an open page, or a program's; "" where there is none
    address    of the machine that asks; "" for this machine, and where it is not known
    keeps      whether what a race keeps is there for the session's next one: so it is for a page, until it is closed
    """

    session: str = ""
    address: str = ""
    keeps: bool = False


NOBODY = Visitor()
