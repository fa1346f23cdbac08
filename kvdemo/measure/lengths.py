"""Prompts of a wanted length, made from a given text: what a sweep over prompt lengths is run on."""

from __future__ import annotations

from kvdemo.models.loaded import LoadedModel, Prompt

#: How far from the wanted length a cut is tried, in tokens, before the nearest is taken.
SLACK = 4


def prompt_of(model: LoadedModel, text: str, tokens: int) -> tuple[Prompt, int]:
    """A prompt of so many tokens: the text, again and again, cut off. Returns it with the length that it really has.

    A cut between two tokens is not always one between the same two when the text is tokenised again, so the length
    may miss the mark by a token or two.
    """
    ids = model.tokenizer.encode(text, add_special_tokens=False)
    added = len(model.encode(Prompt(text, special=True))) - len(ids)
    wanted, copies = max(1, tokens - added), 1
    while len(ids) < wanted + SLACK and copies <= 4 * wanted:
        copies *= 2
        ids = model.tokenizer.encode((text + " ") * copies, add_special_tokens=False)
    cuts = sorted(range(max(1, wanted - SLACK), wanted + SLACK + 1), key=lambda n: abs(n - wanted))
    found: list[tuple[Prompt, int]] = []
    for cut in cuts:
        prompt = Prompt(model.decode(ids[:cut]), special=True)
        found.append((prompt, len(model.encode(prompt))))
        if found[-1][1] == tokens:
            return found[-1]
    return min(found, key=lambda made: abs(made[1] - tokens))
