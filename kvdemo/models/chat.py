"""Apply a tokenizer's chat template to one message. A template is a program that came with the model's files."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from transformers import PreTrainedTokenizerBase

from kvdemo.core import BadInput
from kvdemo.models.errors import first_line

#: A template that runs for longer is stopped; the longest known ones take milliseconds.
SECONDS = 5.0
# What a template is tried with where it changes the message: it shows in which form it takes one.
_PROBE = "kvdemo"


def has_template(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Whether a tokenizer has a chat template for an ordinary conversation: its only one, or one named default."""
    template = tokenizer.chat_template
    return bool(template.get("default") if isinstance(template, dict) else template)


def named_templates(tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """The names of the templates of a tokenizer that has several."""
    return sorted(map(str, tokenizer.chat_template)) if isinstance(tokenizer.chat_template, dict) else []


def render(tokenizer: PreTrainedTokenizerBase, text: str, name: str) -> str:
    """The message `text` of a user, and the start of an answer, as the template of the model `name` writes them.

    The message is handed over as text, or as a list of parts where the template takes that alone, as those of models
    for pictures do. Raises BadInput, which says to switch the template off, where the template fails or leaves the
    message out.
    """

    def rendered(content: Any) -> str:
        messages = [{"role": "user", "content": content}]
        with _at_most(SECONDS):
            return str(tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False))

    failed: Exception | None = None
    for form in (_as_text, _as_parts):
        try:
            whole = rendered(form(text))
            if text.strip() in whole or (form is _as_text and _changes_messages(rendered, whole)):
                return whole
        except Exception as error:  # noqa: BLE001 - a template may raise anything
            failed = failed or error
    if failed:
        raise BadInput(
            f"The chat template of {name} cannot be applied ({first_line(failed)}): switch it off (--no-chat)."
        ) from failed
    raise BadInput(f"The chat template of {name} leaves the prompt out: switch it off (--no-chat).")


def _as_text(text: str) -> Any:
    return text


def _as_parts(text: str) -> Any:
    return [{"type": "text", "text": text}]


def _changes_messages(rendered: Callable[[Any], str], whole: str) -> bool:
    """Whether a template writes messages, if not to the letter (it may escape quotes), and `whole` is of one."""
    return _PROBE in rendered(_PROBE).casefold() and whole != rendered("")


@contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    """Raise TimeoutError inside a template that runs for longer: an endless loop, say.

    Looks at the clock with each line of the template. A debugger that traces already is left alone.
    """
    end = time.monotonic() + seconds

    def trace(frame: FrameType, _event: str, _arg: Any) -> Any:
        if time.monotonic() > end:
            raise TimeoutError(f"it ran for more than {seconds:g} s")
        return trace if frame.f_code.co_filename == "<template>" else None

    if sys.gettrace() is not None:
        yield
        return
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(None)
