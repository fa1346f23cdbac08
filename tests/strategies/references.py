"""What `generate()` writes on random prompts: worked out once for a model, and compared with every strategy.

Half of the prompts are shorter than the models' windows of 8 positions and half are longer; every answer is longer.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from functools import cache

from kvdemo.models.loaded import LoadedModel

from .conftest import WORDS, all_generated

LENGTHS = (1, 3, 5, 7, 8, 9, 13, 17, 24, 40)
NEW_TOKENS = 12


def random_prompt(rng: random.Random, length: int | None = None) -> str:
    """Words from a handful that are drawn first, so that a text repeats itself here and there."""
    handful = rng.sample(range(3, WORDS), 12)
    return " ".join(f"w{rng.choice(handful)}" for _ in range(length or rng.randrange(1, 40)))


@cache
def references(model: LoadedModel, each: int = 5) -> Mapping[str, list[int]]:
    """The greedy answer to so many prompts of each length, not stopped by an end of text; the lengths in any order."""
    rng = random.Random(model.id)
    found: dict[str, list[int]] = {}
    for length in LENGTHS:
        texts = [random_prompt(rng, length) for _ in range(each)]
        found |= zip(texts, all_generated(model, texts, NEW_TOKENS), strict=True)
    assert len(found) == len(LENGTHS) * each
    assert len({token for answer in found.values() for token in answer}) > 10  # one token for all would prove nothing
    texts = rng.sample(sorted(found), len(found))
    return {text: found[text] for text in texts}
