"""What a layer may look at is asked of transformers' own masks, and only while it is watched."""

from __future__ import annotations

import threading

from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS

from kvdemo.models.loaded import LoadedModel
from kvdemo.models.network import masks


def test_masks_are_made_by_transformers_alone_once_all_watches_are_over(tiny_llama: LoadedModel) -> None:
    """torch.compile cannot take apart what watches them."""
    own = ALL_MASK_ATTENTION_FUNCTIONS["eager"]
    opened, over = threading.Event(), threading.Event()

    def watch() -> None:
        with masks.watched(tiny_llama.network):
            opened.set()
            over.wait(60)

    other = threading.Thread(target=watch)
    with masks.watched(tiny_llama.network):
        other.start()
        assert opened.wait(60)
        assert ALL_MASK_ATTENTION_FUNCTIONS["eager"] is not own
    assert ALL_MASK_ATTENTION_FUNCTIONS["eager"] is not own
    over.set()
    other.join()
    assert ALL_MASK_ATTENTION_FUNCTIONS["eager"] is own
