"""List the models to choose from, and resolve what a user types to one of them.

Nothing is imported here that takes time: the page and the command line list the catalogue before any model library is
loaded.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from kvdemo.core.errors import BadInput


@dataclass(frozen=True, slots=True)
class Card:
    """A model as the picker shows it. `gated`: its licence must be accepted first.

    `context_length` is in tokens. None stands for what is not known.
    """

    id: str
    label: str
    hub_id: str
    parameters: int | None
    context_length: int | None
    chat: bool | None
    gated: bool
    note: str


def _card(hub_id: str, parameters: int, context_length: int, note: str, *, chat: bool, gated: bool = False) -> Card:
    name = hub_id.partition("/")[2]
    return Card(name, name, hub_id, parameters, context_length, chat, gated, note)


DEFAULT = "HuggingFaceTB/SmolLM2-135M-Instruct"

CATALOG: tuple[Card, ...] = (
    _card(DEFAULT, 134_515_008, 8192, "The default: small, and to be had without the Hub.", chat=True),
    _card("HuggingFaceTB/SmolLM2-360M-Instruct", 361_821_120, 8192, "The default's bigger sister.", chat=True),
    _card("HuggingFaceTB/SmolLM2-1.7B-Instruct", 1_711_376_384, 8192, "Every head has keys of its own.", chat=True),
    _card("openai-community/gpt2", 124_439_808, 1024, "The model of most articles on KV caching.", chat=False),
    _card("openai-community/gpt2-medium", 354_823_168, 1024, "GPT-2 with 24 layers.", chat=False),
    _card("Qwen/Qwen3-0.6B", 596_049_920, 40960, "Two query heads share each key head.", chat=True),
    _card(
        "meta-llama/Llama-2-7b-chat-hf", 6_738_415_616, 4096, "Wants a GPU and Meta's licence.", chat=True, gated=True
    ),
)

# Written before a shape's name: a model of that shape with random weights (`random_weights`).
RANDOM = "random:"
# Each shape, and the model on the Hub whose configuration states its numbers.
SHAPES: dict[str, str] = {
    "gpt2": "openai-community/gpt2",
    "gpt2-medium": "openai-community/gpt2-medium",
    "smollm2-135m": DEFAULT,
    "qwen3-0.6b": "Qwen/Qwen3-0.6B",
    "llama-2-7b": "meta-llama/Llama-2-7b-hf",
    "gemma-3-1b": "google/gemma-3-1b-pt",
}

#: Characters of what may be typed: as many as a path may have.
_MOST_TYPED = 4096
_HUB_PAGE = re.compile(r"(?:https?://)?(?:www\.)?(?:huggingface\.co|hf\.co)/", re.IGNORECASE)
_HUB_ID = re.compile(r"(?:\w(?:[\w.-]{0,94}\w)?/)?\w(?:[\w.-]{0,94}\w)?", re.ASCII)
_PATH = re.compile(r"[/\\.~]|[A-Za-z]:[/\\]")


class Name(NamedTuple):
    """What a typed name means: a model on the Hub, a shape to fill with random weights, or else the folder `id`."""

    id: str
    hub_id: str | None

    @property
    def shape(self) -> str | None:
        """The key of SHAPES in a name such as random:gpt2; None in any other."""
        return self.id.removeprefix(RANDOM) if self.id.startswith(RANDOM) else None


def quoted(text: str) -> str:
    """Quote what a user typed, short and printable."""
    shown = ascii(text[:80]) if not text[:80].isprintable() else f"'{text[:80]}'"
    return shown if len(text) <= 80 else shown[:-1] + "…'"


def card(typed: str) -> Card | None:
    """Find the catalogue's entry for a short name or a Hub id, in upper or lower case."""
    wanted = typed.casefold()
    return next((c for c in CATALOG if wanted in (c.id.casefold(), c.hub_id.casefold())), None)


def looks_like_folder(typed: str) -> bool:
    """Tell whether a text can only be a path (/models/x, ./x, ~/x, C:\\x), without reading the disk."""
    return _PATH.match(typed) is not None


def resolve(typed: str, *, folders: bool = True) -> Name:
    """Resolve what a user typed: a short name, a Hub id, the address of its page, a folder, or `random:` and a shape.

    The catalogue and the shapes come before a folder of the same name: write ./gpt2 for the folder. With `folders`
    off the disk is never read. Raises BadInput for what can be none of these.
    """
    text = typed.strip()
    if text[: len(RANDOM)].casefold() == RANDOM:
        return _random(text[len(RANDOM) :].strip())
    if len(text) > _MOST_TYPED:  # before anything takes it apart
        raise BadInput(_no_model(typed))
    if page := _HUB_PAGE.match(text):
        text = "/".join(re.split(r"[?#]", text[page.end() :])[0].strip("/").split("/")[:2])
    if not text:
        raise BadInput(f"No model was named: choose one of {names()}, or type a Hub id.")
    if known := card(text):
        return Name(known.hub_id, known.hub_id)
    if text.isprintable() and (looks_like_folder(text) or (folders and _is_folder(text))):
        if not folders:
            raise BadInput("Folders of this server cannot be opened: choose one of the models that the page offers.")
        return Name(text, None)
    if not _HUB_ID.fullmatch(text) or ".." in text or "--" in text or text.endswith(".git"):
        raise BadInput(_no_model(typed))
    return Name(text, text)


def _no_model(typed: str) -> str:
    return f"{quoted(typed)} is no model: type a Hub id such as {DEFAULT}, a folder, or one of {names()}."


def _random(shape: str) -> Name:
    if shape.casefold() not in SHAPES:
        known = ", ".join(RANDOM + name for name in SHAPES)
        raise BadInput(f"There is no shape {quoted(shape)} for random weights: choose one of {known}.")
    return Name(RANDOM + shape.casefold(), None)


def names() -> str:
    """List the catalogue's short names, for a sentence."""
    return ", ".join(c.id for c in CATALOG)


def suggestion(hub_id: str) -> str:
    """Suggest what to try instead of a model that does not exist: the nearest names, or else all of them."""
    wanted = hub_id.rpartition("/")[2].casefold()
    by_name = {c.id.casefold(): c.id for c in CATALOG}
    near = [by_name[n] for n in difflib.get_close_matches(wanted, by_name, n=2, cutoff=0.6)]
    return f"did you mean {' or '.join(near)}?" if near else f"the catalogue has {names()}."


def _is_folder(text: str) -> bool:
    try:
        return Path(text).is_dir()
    except OSError:  # a name that no file system takes
        return False
