"""Sentences quote what a library says, and not what Python says of a fault in code, which goes to the log."""

from __future__ import annotations

import logging

import pytest

from kvdemo.core.errors import CODE_FAILS, in_words


@pytest.mark.parametrize(
    "error",
    [
        IndexError("list index out of range"),
        KeyError("layer_types"),
        TypeError("unsupported operand type(s) for //: 'NoneType' and 'int'"),
        AttributeError("'NoneType' object has no attribute 'shape'"),
        ZeroDivisionError("integer modulo by zero"),
        RecursionError("maximum recursion depth exceeded"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_no_sentence_quotes_a_fault_in_code(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        assert in_words(error) == CODE_FAILS
    assert str(error) in caplog.text


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            ValueError("hidden_size must be even:\nsee the documentation"),
            "hidden_size must be even",
        ),
        (RuntimeError("CUDA error. "), "CUDA error"),
        (OSError(), "OSError"),
    ],
)
def test_a_sentence_quotes_the_first_line_of_what_a_library_says(error: Exception, said: str) -> None:
    assert in_words(error) == said
