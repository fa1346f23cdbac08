"""Apply a tokenizer's chat template to one message. A template is a program that came with the model's files."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase
from transformers.utils import LEGACY_PROCESSOR_CHAT_TEMPLATE_FILE

from kvdemo.core.errors import BadInput, first_line
from kvdemo.core.system.limited_process import ShortLived
from kvdemo.models.sources.checkpoint import read_json

RENDERING = "kvdemo.models.text.template_rendering"
#: A template that runs for longer is stopped; the longest known ones take milliseconds.
SECONDS = 5.0
#: Where templates run. A page asks at each pause of typing, and somebody's race may be running: it gives way to that.
RENDERER = ShortLived(RENDERING, nice=5)


def has_template(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Tell whether a tokenizer has a chat template for an ordinary conversation: its only one, or one named default."""
    return bool(_template(tokenizer))


def of_processor(folder: Path, name: str) -> str | None:
    """Read the template that a model for more than text has in a file of its own, of an older form; None without one.

    transformers reads it with the model's processor alone. Raises BadInput for a file that cannot be read.
    """
    file = folder / LEGACY_PROCESSOR_CHAT_TEMPLATE_FILE
    if not file.is_file():
        return None
    template = read_json(file, name).get("chat_template")
    return template if isinstance(template, str) else None


def prepare(tokenizer: PreTrainedTokenizerBase) -> None:
    """Begin with what takes a second before the first template can run; return at once."""
    if has_template(tokenizer):
        RENDERER.start()


def _template(tokenizer: PreTrainedTokenizerBase) -> Any:
    template = tokenizer.chat_template
    return template.get("default") if isinstance(template, dict) else template


def named_templates(tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """List the names of the templates of a tokenizer that has several."""
    return sorted(map(str, tokenizer.chat_template)) if isinstance(tokenizer.chat_template, dict) else []


def render(tokenizer: PreTrainedTokenizerBase, text: str, name: str) -> str:
    """Write the message `text` of a user, and the start of an answer, as the template of the model `name` does.

    Raises BadInput, which says to switch the template off, where the template fails, leaves the message out, or takes
    too long or too much memory.
    """
    try:
        special = tuple(
            (key, tuple(map(str, token)) if isinstance(token, list) else str(token))
            for key, token in tokenizer.special_tokens_map.items()
        )
        return _rendered(_template(tokenizer), special, text, name)
    except BadInput:
        raise
    except Exception as error:
        raise BadInput(
            f"The chat template of {name} cannot be applied ({first_line(error)}): switch it off (--no-chat)."
        ) from error


@lru_cache(maxsize=8)  # the page has asked for what a race then begins with
def _rendered(template: str, special: tuple[tuple[str, Any], ...], text: str, name: str) -> str:
    found: str = RENDERER.call(
        f"The chat template of {name}", f"{RENDERING}:write", template, dict(special), text, name,
        seconds=SECONDS, remedy="switch it off (--no-chat)",
    )  # fmt: skip
    return found
