"""Tell how much one address may have of what all have together, so that no few addresses take all of it."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True)
class Quota:
    """What all may have together, and one of them alone.

    of_one   what one may have where nobody else has anything
    of_all   what all may have
    little   what one may have whatever the others have: that all is taken is for another limit to say
    """

    of_one: float
    of_all: float
    little: int = 1

    def share(self, others_have: float) -> int:
        """Return how much one may have: the same part of what others leave.

        So `n` who take all that they may leave the part (1 - of_one / of_all)^n, rounded, and whoever comes then has
        his part of that.
        """
        left = max(self.of_all - others_have, 0)
        return max(self.little, math.ceil(self.of_one * left / self.of_all))

    def allows(self, own: float, of_all: float) -> bool:
        """Tell whether one may have `own` of the `of_all` that all have, his own with them."""
        return own <= self.share(of_all - own)

    def has_place(self, address: str, taken: Collection[str]) -> bool:
        """Tell whether an address may have one more place. `taken` has the address of each place that is taken."""
        return self.allows(sum(other == address for other in taken) + 1, len(taken) + 1)
