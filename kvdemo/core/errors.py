"""Define the error for input that a user can correct: one sentence that says what to do. Shorten other errors."""

from __future__ import annotations

import logging

log = logging.getLogger(__name__)

_FAULTS_IN_CODE = (
    ArithmeticError, AssertionError, AttributeError, LookupError, NameError, NotImplementedError, RecursionError,
    TypeError,
)  # fmt: skip
#: What a sentence says in place of the words of such an exception.
CODE_FAILS = "code that it needs fails"
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


def fault_in_code(error: BaseException) -> bool:
    """Tell whether an exception speaks of a fault in code, in words that only a reader of that code understands.

    StopIteration comes out of a generator as the cause of a RuntimeError.
    """
    return isinstance(error, _FAULTS_IN_CODE) or isinstance(error.__cause__, StopIteration)


def in_words(error: BaseException) -> str:
    """Say for a sentence what a library says by an exception; where that is about code, that code fails, and log it."""
    if fault_in_code(error):
        log.info("A fault in code", exc_info=error)
        return CODE_FAILS
    return first_line(error)


def first_line(error: BaseException) -> str:
    """Shorten an exception for a sentence: its first line, or else its type."""
    lines = str(error).strip().splitlines()
    return lines[0][:200].rstrip(" .:") if lines else type(error).__name__
