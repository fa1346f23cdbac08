"""Decide which models visitors may name: the operator's list, or on one's own computer any model."""

from __future__ import annotations

import os

from kvdemo.core.errors import BadInput
from kvdemo.core.system import public_server
from kvdemo.models.names import catalog

#: Names with commas between them, as `catalog.resolve` takes them. ANY among them stands for every Hub id.
VARIABLE = "KVDEMO_MODELS"
ANY = "*"


def _operators() -> list[str]:
    return [name.strip() for name in os.environ.get(VARIABLE, "").split(",") if name.strip()]


def listed() -> tuple[catalog.Name, ...] | None:
    """List what visitors may name; None where that is any model.

    Unless KVDEMO_MODELS lists them, these are the catalogue and the shapes on a server that strangers reach, and any
    model elsewhere. Raises BadInput for a list with a name that is none.
    """
    names = _operators()
    if ANY in names or not (names or public_server.is_public()):
        return None
    if not names:
        names = [card.id for card in catalog.CATALOG] + [catalog.RANDOM + shape for shape in catalog.SHAPES]
    return tuple(map(catalog.resolve, names))


def cards() -> tuple[catalog.Card, ...]:
    """List the models to choose from: the operator's, or else the catalogue."""
    ids = [catalog.resolve(name).id for name in _operators() if name != ANY]
    return tuple(catalog.card(one) or _own_card(one) for one in ids) or catalog.CATALOG


def _own_card(model: str) -> catalog.Card:
    return catalog.Card(model, model, model, None, None, chat=None, gated=False, note="")


def check(name: catalog.Name) -> None:
    """Raise BadInput for a model that visitors may not name, with those that they may."""
    offered = listed()
    if offered is None or name.id in [one.id for one in offered]:
        return
    raise BadInput(
        f"This server does not offer {catalog.quoted(name.id)}: choose one of {', '.join(card.id for card in cards())}."
    )


def lists(name: catalog.Name) -> bool:
    """Tell whether a model is on the list of what visitors may name. ANY puts none on it."""
    found = listed()
    if found is None:
        found = tuple(catalog.resolve(one) for one in _operators() if one != ANY)
    return name.id in [one.id for one in found]


def names(text: str) -> bool:
    """Tell whether the operator's list has a name as it is written here: that may be a folder."""
    return text in _operators()
