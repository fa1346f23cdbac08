"""Apply a tokenizer's chat template to one message. A template is a program that came with the model's files."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from transformers import PreTrainedTokenizerBase

from kvdemo.core.errors import BadInput
from kvdemo.models.errors import first_line

#: A template that runs for longer is stopped; the longest known ones take milliseconds.
SECONDS = 5.0
# How Python and JSON write a list of parts. A template that prints it so takes text, and no parts.
_PRINTED = re.compile(r"""['"]type['"]: ?['"]text['"]""")


def has_template(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Tell whether a tokenizer has a chat template for an ordinary conversation: its only one, or one named default."""
    template = tokenizer.chat_template
    return bool(template.get("default") if isinstance(template, dict) else template)


def named_templates(tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """List the names of the templates of a tokenizer that has several."""
    return sorted(map(str, tokenizer.chat_template)) if isinstance(tokenizer.chat_template, dict) else []


def render(tokenizer: PreTrainedTokenizerBase, text: str, name: str) -> str:
    """Write the message `text` of a user, and the start of an answer, as the template of the model `name` does.

    The message is handed over as text, or as a list of parts where the template takes that alone, as those of models
    for pictures do. Raises BadInput, which says to switch the template off, where the template fails or leaves the
    message out.
    """

    def rendered(content: Any) -> str:
        messages = [{"role": "user", "content": content}]
        with _at_most(SECONDS):
            return str(tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False))

    def of_other(content: Any) -> str | None:
        try:
            return rendered(content)
        except Exception:  # noqa: BLE001 - a template need not take every message
            return None

    failed: Exception | None = None
    for parts in (False, True):
        try:
            whole = rendered(_parts(text) if parts else text)
        except Exception as error:  # noqa: BLE001 - a template may raise anything
            failed = error if not parts else failed
            continue
        probe = _probe(text)
        other = of_other(_parts(probe) if parts else probe)
        if whole == other or (parts and _PRINTED.search(whole)):
            continue
        if text.strip() in whole:
            return whole
        # Not to the letter: it may escape quotes, say. A message of plain words must be there with each of them.
        written = (other or "").casefold()
        if not parts and all(word in written for word in probe.split()) and whole != of_other(""):
            return whole
    if failed:
        raise BadInput(
            f"The chat template of {name} cannot be applied ({first_line(failed)}): switch it off (--no-chat)."
        ) from failed
    raise BadInput(f"The chat template of {name} leaves the prompt out, or a part of it: switch it off (--no-chat).")


def _probe(text: str) -> str:
    """Make another message that is as long: what a template does to it shows whether it writes messages whole."""
    word = "another" if "kvdemo" in text.casefold() else "kvdemo"
    return " ".join(f"{word}{n}" for n in range(1 + len(text) // (len(word) + 2)))


def _parts(text: str) -> list[dict[str, str]]:
    return [{"type": "text", "text": text}]


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
