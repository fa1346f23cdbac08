"""Keep torch's checks of distributions out of timed steps."""

from __future__ import annotations

from torch.distributions import Distribution


def leave_out() -> None:
    """Turn off, for this process, what torch checks of a distribution that is made: it copies to the host each time.

    Eta and top-h of transformers make one at each token. Scores that are no numbers are found when a step is recorded.
    """
    Distribution.set_default_validate_args(False)
