"""Choose, load and run the small model that drafts for a large one.

It is loaded by the first run that needs it, which is a warm-up and not timed, onto the device and in the number format
of the large one. One draft model is kept for a model, the latest, as long as the model itself is in memory. A lane
keeps its own until the race is over.
"""

from __future__ import annotations

import gc
import logging
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from weakref import WeakKeyDictionary, WeakValueDictionary

import torch
from torch import Tensor
from transformers import PreTrainedModel

from kvdemo.core.errors import BadInput
from kvdemo.core.types import Pass
from kvdemo.models import loading
from kvdemo.models.device import dtype_name
from kvdemo.models.facts import architecture
from kvdemo.models.loaded import LoadedModel
from kvdemo.models.names import catalog
from kvdemo.models.network import fitting_cache
from kvdemo.models.network.forward import cache_bytes, next_token_logits, on_device
from kvdemo.models.sources import checkpoint, find
from kvdemo.strategies.base import Beside
from kvdemo.strategies.chooser import greedy
from kvdemo.strategies.compatibility.measured_cache import layers_of
from kvdemo.strategies.draft import verify
from kvdemo.strategies.draft.draft_name import AUTO, name_for
from kvdemo.strategies.longrope import Factors

log = logging.getLogger(__name__)


class _Drafts:
    """The draft models of one model by id: those that a lane still uses, and the latest one."""

    def __init__(self) -> None:
        self.alive: WeakValueDictionary[str, LoadedModel] = WeakValueDictionary()
        self.latest: LoadedModel | None = None


_drafts: WeakKeyDictionary[PreTrainedModel, _Drafts] = WeakKeyDictionary()
# Lanes that start at once load one after the other, and the same draft once.
_loading = threading.Lock()


def unavailable_reason(model: LoadedModel, asked: str) -> str | None:
    """Say why there is no draft model for this one, as far as can be told before it is loaded; None if there is one."""
    if os.environ.get("SPACES_ZERO_GPU"):
        return "ZeroGPU wants every model on the device before the first request, and a draft model would come later."
    name = name_for(model.id, asked)
    if name is None:
        return (
            f"the catalogue has no smaller model of the family of {model.id}: choose a larger model, or a draft model."
        )
    try:
        same = catalog.resolve(name, folders=asked == AUTO).id == model.id
    except BadInput as error:
        return str(error)
    if same:
        return f"{model.id} is the draft model too, and a model gains nothing by guessing for itself."
    return None


def load_draft(model: LoadedModel, asked: str) -> LoadedModel:
    """Return the draft model of a model, loaded if need be. It stays in memory for as long as a caller keeps it.

    Raises BadInput for one that does not fit the model, or not into memory beside it.
    """
    name = name_for(model.id, asked)
    if name is None:
        raise BadInput(str(unavailable_reason(model, asked)))
    draft_id = catalog.resolve(name, folders=asked == AUTO).id
    with _loading:
        drafts = _drafts.setdefault(model.network, _Drafts())
        draft = drafts.alive.get(draft_id)
        if draft is None:
            drafts.latest = None
            gc.collect()  # a model's modules refer to one another in circles
            draft = _load(model, name, asked)
            drafts.alive[draft_id] = draft
        drafts.latest = draft
        return draft


def needed(model: LoadedModel, asked: str) -> Beside:
    """Say what the draft model of a model needs: what its layers keep, and its weights where it is not loaded yet.

    Of one that no formula is known for the weights in its files count, and what it keeps is not known before it is
    loaded. Nothing counts for one whose files are not here: what it needs is checked when it is fetched and loaded.
    """
    if (name := name_for(model.id, asked)) is None:
        return Beside()
    draft_id = catalog.resolve(name, folders=asked == AUTO).id
    drafts = _drafts.get(model.network)
    if drafts and (draft := drafts.alive.get(draft_id)):
        return Beside(layers=layers_of(draft) or ())
    try:
        source = find.find(name, lambda _: None, allow_folders=asked == AUTO, download=False)
        return _needs_of_files(source.folder, name, draft_id, model.dtype.itemsize)
    except BadInput as error:
        log.info("no memory is counted for the draft model: %s", error)
        return Beside()


def _needs_of_files(folder: Path | None, name: str, draft_id: str, itemsize: int) -> Beside:
    """Say what a draft model needs that is not loaded: by formula, or by its files. Raises BadInput if damaged."""
    try:
        found = (
            architecture.from_hub(name) if folder is None else architecture.from_hub(str(folder), allow_folders=True)
        )
    except BadInput as error:
        if folder is None:
            raise
        log.info("of the draft model the weights in its files count: %s", error)
        return Beside(checkpoint.count_numbers(folder, draft_id) * itemsize, draft_id)
    return Beside(found.parameters * itemsize, draft_id, found.layers)


def _load(model: LoadedModel, name: str, asked: str) -> LoadedModel:
    dtype, beside = dtype_name(model.dtype), model.weight_bytes
    with torch.inference_mode(False):  # weights outlive the run that loads them
        # Only the operator can have named a folder here.
        folders = asked == AUTO
        hub_id = catalog.resolve(name, folders=folders).hub_id
        here = hub_id and find.is_here(hub_id)
        download = None if model.downloads and not here else False  # no request is made for files that are here
        draft = loading.load(
            name, device=model.device.type, dtype=dtype, allow_folders=folders, download=download, beside=beside,
            repair=model.downloads,
        )  # fmt: skip
    check_draft(model, draft)
    return draft


def check_draft(model: LoadedModel, draft: LoadedModel) -> None:
    """Raise BadInput where a token of one is not the same token of the other, or the draft's cache cannot be cut."""
    if model.tokenizer.get_vocab() != draft.tokenizer.get_vocab():
        raise BadInput(f"{draft.id} does not have the tokens of {model.id}: choose a draft model of its family.")
    if reason := verify.unavailable_reason(draft):
        raise BadInput(f"{draft.id} cannot draft: {reason}")


class Drafter:
    """Drafts the next tokens of one text with the draft model, in a cache of its own.

    passes  those of the guesses so far
    """

    def __init__(self, draft: LoadedModel, vocabulary: int) -> None:
        """Prepare a text; `vocabulary` is the number of ids that the large model knows: beyond it lies padding."""
        self._draft, self._vocabulary = draft, vocabulary
        self._cache = fitting_cache.dynamic_cache(draft.network)
        self._factors = Factors(draft)
        self._read: list[int] = []
        self._settled = 0
        self.passes: list[Pass] = []
        self._beyond = 0

    @property
    def bytes(self) -> int:
        return cache_bytes(self._cache)

    def guess(self, written: Sequence[int], most: int) -> list[int]:
        """Draft what the model would write next, greedily: `most` ids, fewer at the end of its own context.

        The ids stay on the device until the last is there: one copy for all.
        """
        context = self._draft.context_length
        most = most if context is None else min(most, context - len(written) + 1)
        if most < 1:
            return []
        unread = on_device(self._draft, self._forget(written))
        guessed: list[Tensor] = []
        while len(guessed) < most:
            context = len(written) + len(guessed)
            if self._factors.change(context):
                self._cache = fitting_cache.dynamic_cache(self._draft.network)
                unread = torch.cat((on_device(self._draft, written), *guessed))
            guessed.append(self._next(unread, context))
            unread = guessed[-1]
        ids: list[int] = torch.cat(guessed).tolist()
        self._read = [*written, *ids[:-1]]
        return ids

    def _forget(self, written: Sequence[int]) -> list[int]:
        """Cut wrong drafts off the cache; return what is left to read of the text, at least the newest token."""
        same = self._settled
        while same < min(len(self._read), len(written) - 1) and self._read[same] == written[same]:
            same += 1
        if self._read:
            self._cache.crop(same - len(self._read))
        self._beyond = 0  # layers with a window are cut back to it, too
        del self._read[same:]
        self._settled = len(written) - 1
        return list(written[same:])

    def _next(self, ids: Tensor, context: int) -> Tensor:
        """Draft the token after these ids, with which the text has `context` positions; both have shape (n,)."""
        logits = next_token_logits(self._draft, ids, self._cache)
        if len(ids) == context:
            self._cache.activate_past_recording()
        self._beyond = 0 if len(ids) == context else self._beyond + len(ids)
        self.passes.append(Pass(1, len(ids), context, draft=True, beyond=self._beyond))
        return greedy(logits[: self._vocabulary]).reshape(1)
