"""Write a message as a chat template does: in a process of its own (`chat_template`). It imports no torch."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from transformers.utils.chat_template_utils import render_jinja_template

from kvdemo.core.errors import BadInput, first_line

#: How many characters a template may write beside the message, of which it may write six for one (\\u00e4).
MOST_BESIDE, MOST_FOR_ONE = 200_000, 6
# How Python and JSON write a list of parts. A template that prints it so takes text, and no parts.
_PRINTED = re.compile(r"""['"]type['"]: ?['"]text['"]""")


def write(template: str, special_tokens: Mapping[str, Any], text: str, name: str) -> str:
    """Write the message `text` of a user, and the start of an answer, as the template of the model `name` does.

    The message is handed over as text, or as a list of parts where the template takes that alone, as those of models
    for pictures do. Raises BadInput, which says to switch the template off, where the template fails, leaves the
    message out or writes far more than it.
    """
    most = MOST_BESIDE + MOST_FOR_ONE * len(text)

    def rendered(content: Any) -> str:
        return _rendered(template, special_tokens, content, most)

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


def _rendered(template: str, special_tokens: Mapping[str, Any], content: Any, most: int) -> str:
    """Render a template. Raises what it raises, and ValueError where it writes more than so many characters."""
    messages = [{"role": "user", "content": content}]
    (written,), _ = render_jinja_template(
        conversations=[messages], chat_template=template, add_generation_prompt=True, **special_tokens
    )
    if len(written) > most:
        raise ValueError(f"it writes {len(written):,} characters, more than it may")
    return str(written)


def _probe(text: str) -> str:
    """Make another message that is as long: what a template does to it shows whether it writes messages whole."""
    word = "another" if "kvdemo" in text.casefold() else "kvdemo"
    return " ".join(f"{word}{n}" for n in range(1 + len(text) // (len(word) + 2)))


def _parts(text: str) -> list[dict[str, str]]:
    return [{"type": "text", "text": text}]
