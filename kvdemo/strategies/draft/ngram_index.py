"""Index a text's n-grams, to find where the last tokens were written before."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence

# A single token recurs by chance: guesses from it were right in 2 of 100 tokens of prose (SmolLM2-135M), from two
# tokens in 20, and a wrong guess is a pass that costs more than it brings.
_SHORTEST = 2


class NGrams:
    """The n-grams of a growing text, two tokens to `longest`, and the places after them. A token is indexed once."""

    def __init__(self, longest: int) -> None:
        self._shortest, self._longest = min(_SHORTEST, longest), longest
        self._behind: defaultdict[tuple[int, ...], list[int]] = defaultdict(list)
        self._known = 0

    def continuation(self, ids: Sequence[int], most: int) -> list[int]:
        """Find what followed the last tokens earlier, at most `most` ids: after the longest n-gram that recurs.

        Of its places the latest is taken that has `most` ids after it, or else the one with the most ids. `ids` is the
        text of the last call with something appended.
        """
        self._take_in(ids)
        for n in range(min(self._longest, len(ids)), self._shortest - 1, -1):
            if places := self._behind.get(tuple(ids[-n:])):
                place = places[max(bisect_right(places, len(ids) - most) - 1, 0)]
                return list(ids[place : place + most])
        return []

    def _take_in(self, ids: Sequence[int]) -> None:
        """Index the n-grams that a token follows by now, so that the end of the text never finds itself."""
        for place in range(self._known + 1, len(ids)):
            for n in range(self._shortest, min(self._longest, place) + 1):
                self._behind[tuple(ids[place - n : place])].append(place)
        self._known = max(self._known, len(ids) - 1)
