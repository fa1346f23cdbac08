"""Keep one model in memory at a time: the one that was used last."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable

import torch

from kvdemo.core.events import Progress
from kvdemo.models import loading
from kvdemo.models.device import SPREAD
from kvdemo.models.loaded import LoadedModel
from kvdemo.models.names import catalog, folders
from kvdemo.models.sources import find


class ResidentModel:
    """Holds a model between requests, and lets go of it before the next one is read into memory.

    Threads that ask at the same time wait for one another. A request that turns out to be bad before anything
    is read (unknown, gated, not downloadable) leaves the held model where it is; one that fails later leaves none.
    """

    def __init__(self, device: str = "auto", dtype: str = "auto", *, allow_folders: bool | None = None) -> None:
        self._device, self._dtype = device, dtype
        self._folders = allow_folders
        self._lock = threading.Lock()
        self._asked: tuple[str, bool, torch.device, torch.dtype] | None = None
        self._held: LoadedModel | None = None

    @property
    def current(self) -> LoadedModel | None:
        """The model in memory; None before the first request and after a failed one. Never waits."""
        return self._held

    def get(
        self,
        model: str,
        device: str | None = None,
        dtype: str | None = None,
        progress: Callable[[Progress], None] = lambda _: None,
        *,
        trusted: bool = False,
        download: bool | None = None,
    ) -> LoadedModel:
        """Return the model asked for, and load it unless it is held; on the default device unless another is named.

        `trusted`: the operator named it, and it may be a folder. `download` as for `sources.find`. Raises BadInput.
        """
        open_ = trusted or (folders.allowed() if self._folders is None else self._folders)
        device, dtype = device or self._device, dtype or self._dtype
        asked = (catalog.resolve(model, folders=open_).id, device == SPREAD, *loading.choose(device, dtype))
        with self._lock:
            if self._held is not None and self._asked == asked:
                return self._held
            source = find.find(model, progress, allow_folders=open_, download=download)
            self._free()
            loaded = loading.read(
                asked[0], source, device=device, dtype=dtype, progress=progress, download=download is not False
            )
            self._asked, self._held = asked, loaded
            return loaded

    def _free(self) -> None:
        self._asked = self._held = None
        gc.collect()  # a model's modules refer to one another in circles
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if torch.backends.mps.is_available():
            torch.mps.empty_cache()
