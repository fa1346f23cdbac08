"""Group the lanes of a race by the text that they wrote.

Lanes stop at different lengths, so "wrote the same text" means: equal to the end of the shorter. Of three lanes that is
no equivalence: "a b" and "a c" both agree with "a", and not with each other. So a group has a representative, its
longest lane, and its members are the lanes whose whole text is the beginning of the representative's. Any two of them
then agree to the end of the shorter.

The first group is the largest that can be made so; of equally large ones, the one with the earliest lanes. The next
groups are made the same way of the lanes that are left. Every lane that agrees with the first group's representative is
in the first group, so each other group differs from it first at one token, which all of its lanes have.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kvdemo.core.figures.metrics import first_difference
from kvdemo.engine.lane_history import LaneHistory


@dataclass(frozen=True, slots=True)
class Group:
    """Lanes that agree, by index, in the order of the race.

    `departs` is the first index (from 0) at which their token differs from that of the first group; None for the first.
    """

    lanes: tuple[int, ...]
    departs: int | None = None


def groups(records: Sequence[LaneHistory]) -> list[Group]:
    """Group the lanes of a race that have tokens, the largest group first.

    Lanes of another machine are left out: the ids of their tokens are not known, and texts can agree where ids do not.
    """
    texts = {i: record.tokens for i, record in enumerate(records) if record.tokens and not record.info.elsewhere}
    return group(texts)


def group(texts: Mapping[int, Sequence[int]]) -> list[Group]:
    """Group token ids by lane, none of them empty, as the module says."""
    left, found = dict(texts), list[Group]()
    common: Sequence[int] = ()
    while left:
        lanes = _largest(left)
        longest = max((left[lane] for lane in lanes), key=len)
        common = common or longest
        found.append(Group(lanes, first_difference(common, longest)))
        left = {lane: ids for lane, ids in left.items() if lane not in lanes}
    return found


def _largest(texts: Mapping[int, Sequence[int]]) -> tuple[int, ...]:
    """Find the most lanes whose texts are beginnings of one of them."""
    sets = (tuple(lane for lane, ids in texts.items() if _begins(ids, whole)) for whole in texts.values())
    return min(sets, key=lambda lanes: (-len(lanes), lanes))


def _begins(ids: Sequence[int], whole: Sequence[int]) -> bool:
    return len(ids) <= len(whole) and first_difference(ids, whole) is None
