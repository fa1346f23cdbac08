"""Token ids to text, one token at a time, without showing half characters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy

# A character is at most four bytes, so at most four byte tokens; what is still no character then is none.
MOST_TOKENS_PER_CHARACTER = 4


class TextStream:
    """Gives each token's text as it comes; a token that ends within a character gives "" until it is whole.

    Tokens are decoded behind the group that came before them, because some tokenizers write a word's leading
    space only inside a text. Each push decodes a handful of tokens, however long the text has grown.
    """

    def __init__(self, decode: Callable[[Sequence[int]], str], before: Sequence[int] = ()) -> None:
        self._decode = decode
        self._before = list(before)[-MOST_TOKENS_PER_CHARACTER:]
        self._pending: list[int] = []

    def branch(self) -> TextStream:
        """A stream of its own that goes on from here, for texts that begin alike."""
        return copy(self)

    def push(self, token: int) -> str:
        """The text that has become whole with this token."""
        self._pending = [*self._pending, token]
        text = self._decode([*self._before, *self._pending])[len(self._decode(self._before)) :]
        if text.endswith("\ufffd") and len(self._pending) < MOST_TOKENS_PER_CHARACTER:
            return ""
        self._before, self._pending = self._pending, []
        return text
