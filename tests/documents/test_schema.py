"""Each kind of document is what its published JSON Schema says: no key more, no key less."""

from __future__ import annotations

import copy
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from docs.schema import typescript
from kvdemo.compare.comparison import compare
from kvdemo.core.settings.measure import MeasureRequest
from kvdemo.core.settings.race import RaceRequest
from kvdemo.costs.architecture import Architecture, LayerCache
from kvdemo.costs.planner import plan
from kvdemo.documents import schema
from kvdemo.documents.schema import Kind
from kvdemo.measure import measurement
from kvdemo.measure.state import State
from kvdemo.models.loaded import LoadedModel
from kvdemo.race import session

PUBLISHED = Path(__file__).parents[2] / "docs" / "schema"
pytestmark = pytest.mark.usefixtures("quick_limits")


def raced(model: LoadedModel, stopped: bool = False, **form: Any) -> dict[str, Any]:
    stop = threading.Event()
    if stopped:
        stop.set()
    request = RaceRequest.parse({"prompt": "The fox", "max_new_tokens": 6, "chat": False} | form)
    return dict(session.run(request, model, lambda _: None, stop).document)


def measured(model: LoadedModel, **form: Any) -> list[dict[str, Any]]:
    """A measurement's document in all its states; the last is the finished one."""
    states: list[State] = []
    short = {"prompt": "The fox", "max_new_tokens": 4, "repeats": 2, "warmup": 1, "chat": False}
    measurement.run(MeasureRequest.parse(short | form), model, "run1", states.append, threading.Event())
    return [state.document for state in states if state.document]


def planned(*layers: LayerCache, **more: Any) -> dict[str, Any]:
    shape = Architecture("a model", layers, 32, 128, 4096, 32_000, 7 * 10**9, 7 * 10**9, 4096, "grouped-query")
    return plan(shape, **{"memory_bytes": 24 * 10**9, "bandwidth_bytes_per_s": 6e11} | more)


FULL = LayerCache("full", kv_heads=8, head_dim=128)
WINDOW = LayerCache("sliding", kv_heads=8, head_dim=128, window=1024)


def test_races_match_their_schema(tiny_llama: LoadedModel) -> None:
    schema.check(raced(tiny_llama))
    schema.check(raced(tiny_llama, strategies="reencode,beam_search,batched:rows=2", inputs=True, chat=True))
    schema.check(raced(tiny_llama, strategies="sliding_window:window=4:sinks=1,dynamic_cache,prompt_lookup"))
    schema.check(raced(tiny_llama, schedule="simultaneous", temperature=0.9, top_p=0.5, seed=3))
    schema.check(raced(tiny_llama, stopped=True))
    schema.check(raced(tiny_llama, strategies="no_cache", max_new_tokens=1))


@pytest.mark.slow
def test_every_state_of_a_measurement_matches_the_schema(tiny_llama: LoadedModel) -> None:
    states = measured(tiny_llama, strategies="no_cache,beam_search", sweep_prompt="4,8", sweep_tokens="1,2")
    assert states[-1]["sweep"]["cells"] and len(states) > 3
    for document in states:
        schema.check(document)


@pytest.mark.parametrize("layers", [[FULL], [WINDOW], [FULL, WINDOW, WINDOW]])
@pytest.mark.parametrize("memory_bytes", [10**9, 24 * 10**9, 10**12])
def test_plans_match_their_schema(layers: list[LayerCache], memory_bytes: int) -> None:
    schema.check(planned(*layers, memory_bytes=memory_bytes))
    schema.check(planned(*layers, memory_bytes=memory_bytes, dtype="int4", batch=8, context=100_000))


@pytest.mark.slow
def test_comparisons_match_their_schema(tiny_llama: LoadedModel) -> None:
    race, search, measurement_ = (
        raced(tiny_llama),
        raced(tiny_llama, strategies="no_cache,beam_search"),
        measured(tiny_llama)[-1],
    )
    for pair in ((race, race), (race, measurement_), (race, search), (search, search), (measurement_, measurement_)):
        schema.check(compare(*pair))


def parts(value: Any) -> Iterator[dict[str, Any]]:
    """Every object within a value, the outer one first."""
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from parts(inner)


def test_an_extra_or_missing_key_is_found_at_any_depth(tiny_llama: LoadedModel) -> None:
    race = raced(tiny_llama, strategies="beam_search,reencode")
    free = [race["lanes"][0]["options"], *(lane["sampling"] for lane in race["lanes"])]
    free += [*(step.get("details") for lane in race["lanes"] for step in lane["steps"])]
    free += [finding["numbers"] for finding in race["verdict"]["findings"]]  # a dictionary of any names
    left_out = {"details", "passes", "beams"}
    for number, part in enumerate(parts(race)):
        if part in free:
            continue
        for key in [*(part.keys() - left_out), None]:
            changed = copy.deepcopy(race)
            at = list(parts(changed))[number]
            if key is None:
                at["unheard_of"] = 1
            else:
                del at[key]
            with pytest.raises(ValidationError, match=key or "unheard_of"):
                schema.check(changed)


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [("settings", "seed", "0"), ("settings", "chat", 1), ("prompt", "tokens", [1.5]), ("model", "parameters", None)],
)
def test_a_value_of_another_type_is_found(tiny_llama: LoadedModel, section: str, key: str, value: Any) -> None:
    race = raced(tiny_llama)
    race[section][key] = value
    with pytest.raises(ValidationError, match=key):
        schema.check(race)


@pytest.mark.parametrize("kind", schema.KINDS)
def test_the_published_schemas_are_those_of_the_code(kind: Kind) -> None:
    published = json.loads((PUBLISHED / f"{kind}.json").read_text("utf-8"))
    assert published == json.loads(schema.published(kind)), "write them again: python -m docs.schema.write"


def test_the_browsers_types_are_those_of_the_code() -> None:
    written = typescript.FILE.read_text("utf-8")
    assert written == typescript.declarations(), "write them again: python -m docs.schema.write"


def test_only_the_documents_have_a_published_schema() -> None:
    assert {file.stem for file in PUBLISHED.glob("*.json")} == set(schema.KINDS)
