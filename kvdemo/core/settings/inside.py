"""Declare what Inside can be asked to show: a text, the panels, and what each panel may vary."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from kvdemo.core.errors import BadInput
from kvdemo.core.settings.declaration import group, read, setting
from kvdemo.core.settings.race import MOST_TOKENS

Panel = Literal["steps", "attention", "past", "roles", "rounding", "scratch", "formulas", "loops", "legacy"]
PANELS: tuple[Panel, ...] = get_args(Panel)
#: Those that are shown unless some are named. Attention weights are large, so they are asked for by themselves.
SHOWN: tuple[Panel, ...] = tuple(panel for panel in PANELS if panel != "attention")
#: A document of more tokens would be too large to scrub through.
MOST_SHOWN_TOKENS = 1024
#: Far above the ids of any vocabulary; the model's own are checked against its own.
MOST_ID = 2**31 - 1
DEFAULT_PROMPT = "The quick brown fox jumps over the lazy"


@dataclass(frozen=True)
class Blocks:
    """The sizes of the attention that is written from scratch. Its numbers are random."""

    dim: int = setting(16, "Width", "numbers of one position", low=1, high=1024)
    heads: int = setting(2, "Heads", "attention heads; they share the width equally", low=1, high=64)
    positions: int = setting(8, "Positions", "length of the made-up text", low=1, high=256)
    seed: int = setting(42, "Seed", "of the random numbers", high=2**63 - 1, link="scratch_seed")


@dataclass(frozen=True)
class InsideRequest:
    """What is to be shown of which text."""

    prompt: str = setting(
        None, "Text", "the text that the model reads and goes on from", typed="text", longest=None, recorded=False,
        in_links="always", missing="The text is empty: write something for the model to read.",
    )  # fmt: skip
    model: str | None = setting(
        None, "Model", "catalogue name, Hub id, folder, or random:gpt2 for random weights", typed="text",
        example="ID_OR_FOLDER", recorded=False, in_links="always",
    )  # fmt: skip
    max_new_tokens: int = setting(
        16, "New tokens", "how many tokens the model writes after the text", named="token count", low=1,
        high=MOST_SHOWN_TOKENS, link="tokens", example="N",
    )  # fmt: skip
    continuation: tuple[int, ...] = setting(
        (), "Tokens after the text", "ids that were written after the text already; empty to have the model write",
        typed="ids", high=MOST_ID, most=MOST_SHOWN_TOKENS, longest=MOST_SHOWN_TOKENS * len(f"{MOST_ID}, "),
        only="form", recorded=False,
    )  # fmt: skip
    chat: bool | None = setting(False, "Chat template", "apply the chat template", typed="switch", named="chat setting")
    append: str = setting(
        " dog", "Appended text", "what is appended to see whether the past changes", longest=None, example="TEXT"
    )
    panels: tuple[Panel, ...] = setting(
        SHOWN, "Panels", "what to show, with commas between", typed="several", choices=PANELS, example="a,b,...",
    )  # fmt: skip
    layer: int = setting(0, "Layer", "whose attention weights, keys, values and queries are shown", high=MOST_TOKENS)
    head: int = setting(0, "Head", "whose attention weights are shown", high=MOST_TOKENS)
    batch: int = setting(1, "Batch", "sequences that the formulas count", low=1, high=1_000_000)
    length: int = setting(1024, "Length", "positions of each sequence that the formulas count", low=1, high=10**9)
    blocks: Blocks = group(Blocks)

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> InsideRequest:
        """Read a request from whatever a form, a URL or a program sent. Raises BadInput."""
        request = read(cls, raw)
        if request.blocks.dim % request.blocks.heads:
            raise BadInput(
                f"A width of {request.blocks.dim} cannot be shared equally by {request.blocks.heads} heads: choose a "
                "width that is a multiple of the heads."
            )
        return request
