"""The model's field says what else may be named, and offers strangers nothing that they are refused."""

from __future__ import annotations

import pytest

from kvdemo.web.components.fields import model_picker
from tests.web.scripted_backend import ScriptedBackend


class Choosy(ScriptedBackend):
    def __init__(self, *, hub: bool, folders: bool) -> None:
        super().__init__()
        self._free = {"hub": hub, "folders": folders}

    def free_names(self) -> dict[str, bool]:
        return self._free


@pytest.mark.parametrize(
    ("hub", "folders", "runs", "plans"),
    [
        (True, True, "or any Hub id, or a folder", "or any Hub id, or a folder"),
        (True, False, "or any Hub id", "or any Hub id"),
        (False, False, None, "or any Hub id"),
    ],
)
def test_the_picker_says_which_other_models_may_be_named(
    hub: bool, folders: bool, runs: str | None, plans: str
) -> None:
    backend = Choosy(hub=hub, folders=folders)
    assert model_picker(backend, "gpt2", "a").info == runs
    assert model_picker(backend, "gpt2", "b", reads_weights=False).info == plans
