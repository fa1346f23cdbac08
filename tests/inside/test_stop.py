"""Stop ends each panel before its next pass through the model, and leaves what is computed."""

from __future__ import annotations

import threading

import pytest

from kvdemo.core.settings.inside import PANELS, InsideRequest
from kvdemo.documents import schema
from kvdemo.inside import session
from kvdemo.models.loaded import LoadedModel
from tests.inside.passes import run

#: They are computed without any pass: there is nothing to stop.
AT_ONCE = ("formulas", "loops")


@pytest.mark.parametrize("panel", [panel for panel in PANELS if panel not in AT_ONCE])
def test_no_pass_is_begun_after_stop(tiny_llama: LoadedModel, panel: str) -> None:
    run(tiny_llama, panel)  # what is found out about a model once is known from here on
    whole, passes = run(tiny_llama, panel)
    assert whole["status"] == "done"
    assert passes > 1
    for at in range(1, passes):
        document, ran = run(tiny_llama, panel, stop_in=at)
        assert (document["status"], ran) == ("stopped", at)
        schema.check(document)


@pytest.mark.parametrize("panel", AT_ONCE)
def test_panels_without_a_pass_are_not_computed_after_stop(tiny_llama: LoadedModel, panel: str) -> None:
    stop = threading.Event()
    stop.set()
    request = InsideRequest.parse({"prompt": "fox", "panels": panel})
    document = session.run(request, tiny_llama, lambda _: None, stop)
    assert (document["status"], document["panels"]) == ("stopped", {})


def test_formats_that_were_compared_before_stop_are_shown(tiny_llama: LoadedModel) -> None:
    _, passes = run(tiny_llama, "rounding")
    document, _ = run(tiny_llama, "rounding", stop_in=passes - 1)
    assert [found["dtype"] for found in document["panels"]["rounding"]["formats"]] == ["float32", "bfloat16"]
