"""Tell how much one address may take of what all have together, so that no few addresses take all of it."""

from __future__ import annotations

import math
from collections.abc import Iterable


def share(of_one: float, of_all: float, others_have: float) -> int:
    """Return how much one may have, where alone he may have `of_one` of `of_all`: the same part of what others leave.

    So `n` who take all that they may leave the part (1 - of_one / of_all)^n, rounded, and whoever comes then has his
    part of that. Whoever has nothing may always have one: that all is taken is for another limit to say.
    """
    left = max(of_all - others_have, 0)
    return max(1, math.ceil(of_one * left / of_all))


def has_share(address: str, held: Iterable[str], of_one: int, of_all: int) -> bool:
    """Tell whether an address has as many places as it may. `held` has the address of each place that is taken."""
    taken = list(held)
    own = taken.count(address)
    return own >= share(of_one, of_all, len(taken) - own)
