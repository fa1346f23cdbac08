"""Define the document of Inside: what a model computes and keeps while it reads and writes a text.

A panel that cannot be shown for this model or text is `{"cannot": one sentence}`. Layers, heads and positions are
counted from 0. Shapes are those of the tensors, (rows, heads, positions, width).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from typing_extensions import TypedDict

from kvdemo.core.settings.inside import InsideRequest
from kvdemo.documents.common import Environment, Model, Prompt, Version
from kvdemo.documents.panels.attention import AttentionPanel
from kvdemo.documents.panels.cannot import Cannot
from kvdemo.documents.panels.formulas import FormulasPanel
from kvdemo.documents.panels.legacy import LegacyPanel
from kvdemo.documents.panels.loops import LoopsPanel
from kvdemo.documents.panels.past import PastPanel
from kvdemo.documents.panels.roles import RolesPanel
from kvdemo.documents.panels.rounding import RoundingPanel
from kvdemo.documents.panels.scratch import ScratchPanel
from kvdemo.documents.panels.steps import StepsPanel
from kvdemo.documents.settings import SettingsOf


class Panels(TypedDict, total=False):
    """The panels that were asked for and are computed."""

    steps: StepsPanel | Cannot
    attention: AttentionPanel | Cannot
    past: PastPanel | Cannot
    roles: RolesPanel | Cannot
    rounding: RoundingPanel | Cannot
    scratch: ScratchPanel | Cannot
    formulas: FormulasPanel | Cannot
    loops: LoopsPanel | Cannot
    legacy: LegacyPanel | Cannot


class InsideDocument(TypedDict):
    """What a model computes and keeps for one text.

    status  "stopped" where it was stopped before all panels were computed
    """

    schema: Version
    kind: Literal["inside"]
    status: Literal["running", "done", "stopped"]
    environment: Environment
    model: Model
    prompt: Prompt
    settings: Annotated[dict[str, Any], SettingsOf(InsideRequest)]
    panels: Panels
