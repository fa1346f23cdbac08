"""Define the error for input that a user can correct: one sentence that says what to do. Shorten other errors."""

from __future__ import annotations

#: After so many seconds what was `NotNow` is asked again.
AGAIN_SECONDS = 5.0


class BadInput(ValueError):
    """A request that cannot be run, or not to its end. The message is one sentence that says what to do.

    `max_new_tokens` is the largest token count that would have worked, where that is the remedy.
    """

    def __init__(self, message: str, *, max_new_tokens: int | None = None) -> None:
        super().__init__(message)
        self.max_new_tokens = max_new_tokens


class NoRoom(BadInput):
    """A run needs more memory than is free now."""


class NoTime(BadInput):
    """What was to be worked out was not, because this computer is busy: the input may be as good as any."""


class NotNow(BadInput):
    """Nothing is wrong with the input: to look at it would disturb somebody's run. Ask again in `AGAIN_SECONDS`."""


class Discarded(BadInput):
    """A model's files could not be loaded and were thrown away: they are fetched anew when they are asked for again."""


def first_line(error: BaseException) -> str:
    """Shorten an exception for a sentence: its first line, or else its type."""
    lines = str(error).strip().splitlines()
    return lines[0][:200].rstrip(" .:") if lines else type(error).__name__
