"""Describe what stands in place of a panel that cannot be shown."""

from __future__ import annotations

from typing_extensions import TypedDict


class Cannot(TypedDict):
    """Why a panel, or a part of one, cannot be shown: one sentence."""

    cannot: str
