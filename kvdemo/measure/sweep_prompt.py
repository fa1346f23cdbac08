"""Make prompts of a wanted length from a given text, for a sweep over prompt lengths."""

from __future__ import annotations

from kvdemo.core.errors import BadInput
from kvdemo.models.loaded import LoadedModel
from kvdemo.models.text.codec import Prompt

#: How far from the wanted length a cut is tried, in tokens, before the nearest is taken.
SLACK = 4


def prompt_of_length(model: LoadedModel, text: str, tokens: int) -> tuple[Prompt, int]:
    """Make a prompt of about `tokens` tokens: the text repeated and cut off. Returns it with its true length.

    Text that is cut between two tokens may be tokenised differently when it is read again, so the length may differ by
    a token or two. Raises BadInput where no cut leaves a text that the model can read.
    """
    ids = model.encode_text(text, special=False)
    added = len(model.encode(Prompt(text, special=True))) - len(ids)
    wanted, copies = max(1, tokens - added), 1
    while len(ids) < wanted + SLACK and copies <= 4 * wanted:
        copies *= 2
        ids = model.encode_text((text + " ") * copies, special=False)
    cuts = sorted(range(max(1, wanted - SLACK), wanted + SLACK + 1), key=lambda n: abs(n - wanted))
    found: list[tuple[Prompt, int]] = []
    refused: list[BadInput] = []
    for cut in cuts:
        prompt = Prompt(model.decode(ids[:cut]), special=True)
        try:
            found.append((prompt, len(model.encode(prompt))))
        except BadInput as error:  # the cut leaves a word start without its word, say: a text without a token
            refused.append(error)
            continue
        if found[-1][1] == tokens:
            return found[-1]
    if not found:
        raise refused[0]
    return min(found, key=lambda made: abs(made[1] - tokens))
