"""Give the formulas of costs what they need to know of a loaded model."""

from __future__ import annotations

from dataclasses import replace
from weakref import WeakKeyDictionary

from transformers import PreTrainedModel

from kvdemo.core.errors import BadInput
from kvdemo.costs.architecture import Architecture
from kvdemo.models.facts import architecture
from kvdemo.models.loaded import LoadedModel

_known: WeakKeyDictionary[PreTrainedModel, Architecture | str] = WeakKeyDictionary()


def architecture_of(model: LoadedModel) -> Architecture:
    """Read the architecture of a loaded model, once. Raises BadInput where no formula gives what its layers keep."""
    if model.network not in _known:
        try:
            found = architecture.from_config(model.network.config, model.id)
            _known[model.network] = replace(found, layers=model.layers or found.layers)
        except BadInput as error:
            _known[model.network] = str(error)
    known = _known[model.network]
    if isinstance(known, str):
        raise BadInput(known)
    return known
