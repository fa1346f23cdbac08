"""Whose cache a race in the page may use: its own page's, and nobody else's."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from kvdemo.core.errors import BadInput
from kvdemo.core.events import Finished, RaceEvent, TokensCommitted
from kvdemo.core.visitor import Visitor
from kvdemo.race import memory_limit
from kvdemo.server.limits import Limits
from kvdemo.server.service import Service

pytestmark = pytest.mark.slow

FORM: dict[str, Any] = {
    "prompt": "The quick brown fox", "max_new_tokens": 4, "ignore_eos": True, "strategies": "prefix_cache",
}  # fmt: skip


@pytest.fixture
def engine(tiny_folder: Path) -> Service:
    made = Service(str(tiny_folder), device="cpu")
    made.preload()
    return made


def details(batches: Iterator[list[RaceEvent]]) -> dict[str, float]:
    """What the first step of a race tells about what was kept."""
    events = [event for batch in batches for event in batch]
    assert isinstance(events[-1], Finished)
    return dict(next(event.timed.step.details for event in events if isinstance(event, TokensCommitted)))


def test_a_page_reuses_the_prefix_of_its_own_last_race_only(engine: Service) -> None:
    prompt = len(engine.held.encode(engine.held.prompt(FORM["prompt"], chat=None)))  # type: ignore[union-attr]
    assert details(engine.race(FORM, "r1", Visitor("mine", keeps=True))) == {"kept": 0, "reused": 0}
    assert details(engine.race(FORM, "r2", Visitor("strangers", keeps=True))) == {"kept": 0, "reused": 0}
    again = details(engine.race(FORM, "r3", Visitor("mine", keeps=True)))
    assert (again["kept"], again["reused"]) == (prompt + 3, prompt - 1)


def test_races_that_have_no_place_drop_nobodys_prefix(engine: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine.prefixes, "_most_pages", 2)
    details(engine.race(FORM, "r1", Visitor("mine", keeps=True)))
    monkeypatch.setattr(engine, "limits", limits := Limits(runs=1))
    monkeypatch.setattr(engine._runs._admission, "_limits", limits)
    with closing(engine.race(FORM, "r2", Visitor("mine", keeps=True))) as held:
        next(held)
        for number in range(3):
            with pytest.raises(BadInput, match="try again in a few minutes"):
                list(engine.race(FORM, f"refused {number}", Visitor(f"stranger {number}", keeps=True)))
    assert [*engine.prefixes._stores] == ["mine"]


def test_a_request_without_a_page_keeps_no_prefix(engine: Service) -> None:
    details(engine.race(FORM, "r1", Visitor("mine", keeps=True)))
    assert details(engine.race(FORM, "r2")) == {}
    assert details(engine.race(FORM, "r3", Visitor(""))) == {}


def test_no_field_of_a_form_names_a_page(engine: Service) -> None:
    for name in ("page", "visitor", "session_hash", "shelf", "kept"):
        with pytest.raises(ValueError, match="There is no setting"):
            engine.race(FORM | {name: "mine"}, "r", Visitor("strangers", keeps=True))


def test_the_prefix_of_a_closed_page_is_dropped(engine: Service) -> None:
    details(engine.race(FORM, "r1", Visitor("mine", keeps=True)))
    engine.forget("mine")
    assert engine.prefixes.bytes == 0
    assert details(engine.race(FORM, "r2", Visitor("mine", keeps=True)))["reused"] == 0


def test_a_page_closed_during_a_race_keeps_no_prefix(engine: Service) -> None:
    batches = engine.race(FORM | {"max_new_tokens": 400}, "r1", Visitor("mine", keeps=True))
    for batch in batches:
        if any(isinstance(event, TokensCommitted) for event in batch):
            break
    batches.close()  # type: ignore[attr-defined]
    engine.forget("mine")
    details(engine.race(FORM, "r2", Visitor("strangers", keeps=True)))  # it had to wait until the other was over
    assert details(engine.race(FORM, "r3", Visitor("mine", keeps=True))) == {"kept": 0, "reused": 0}


def test_loading_another_model_drops_all_kept_prefixes(
    engine: Service, tiny_folder: Path, tiny_gpt2_folder: Path
) -> None:
    details(engine.race(FORM, "r1", Visitor("mine", keeps=True)))
    other = {"model": str(tiny_gpt2_folder), "strategies": "prefix_cache", "chat": False}
    assert details(engine.race(FORM | other, "r2", Visitor("strangers", keeps=True))) == {"kept": 0, "reused": 0}
    assert engine.prefixes.for_session("mine").find(engine.held) is None  # type: ignore[arg-type]
    assert details(engine.race(FORM | {"model": str(tiny_folder)}, "r3", Visitor("mine", keeps=True))) == {
        "kept": 0,
        "reused": 0,
    }


MEASURED = FORM | {"strategies": "dynamic_cache", "repeats": 1, "warmup": 1, "max_new_tokens": 2}


@pytest.mark.parametrize("kind", ["race", "measure"])
def test_a_run_that_would_be_refused_for_memory_has_what_is_kept_dropped_and_is_tried_again(
    engine: Service, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Not one that fits, and what cannot be freed is not dropped for nothing a second time."""
    room = 10**9
    monkeypatch.setattr(memory_limit, "room_bytes", lambda _: 0 if engine.prefixes.bytes else room)
    assert details(engine.race(FORM, "r1", Visitor("mine", keeps=True)))["kept"] == 0
    assert engine.prefixes.bytes > 0
    last = [*(engine.race(FORM, "r2") if kind == "race" else engine.measure(MEASURED, "r2"))][-1]
    assert isinstance(last[-1], Finished) if kind == "race" else last["document"]["status"] == "done"
    assert engine.prefixes.bytes == 0
    room = 0
    with pytest.raises(BadInput, match="This race needs"):
        list(engine.race(FORM, "r3"))


def test_a_race_that_fits_leaves_what_is_kept(engine: Service) -> None:
    details(engine.race(FORM, "r1", Visitor("mine", keeps=True)))
    before = engine.prefixes.bytes
    details(engine.race(FORM, "r2"))
    assert engine.prefixes.bytes == before > 0


@pytest.fixture
def tiny_gpt2_folder(tiny_gpt2: Any, tmp_path: Path) -> Path:
    from tests.tiny_models import save  # noqa: PLC0415

    return save(tiny_gpt2, tmp_path)
