"""Tie weights that have two names, such as a tied embedding, also while another thread loads a model.

As long as transformers loads one, `tie_weights` does nothing on any model of the process (`no_tie_weights` of
transformers.initialization): a model that is built meanwhile would have its embedding twice. Of two loads at once, the
later one would leave it so for good.
"""

from __future__ import annotations

import threading

from transformers import PreTrainedModel

#: Held by whoever has transformers load a model.
LOADING = threading.Lock()
_tie_weights = PreTrainedModel.tie_weights  # as it is while nothing is loaded, since this is imported before


def tie(network: PreTrainedModel) -> None:
    """Let the weights of a network that was built be one where they have two names."""
    _tie_weights(network)
