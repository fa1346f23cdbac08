"""The page as Gradio will serve it: every part is there, private listeners stay private, scripts are inert text."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kvdemo import strategies
from kvdemo.core.events import Ended
from kvdemo.core.settings.declaration import offered
from kvdemo.core.settings.measure import MeasureRequest
from kvdemo.core.settings.race import DEFAULT_PROMPT, RaceRequest
from kvdemo.web import assets
from kvdemo.web.api.states import measure_states, race_states, state_after
from kvdemo.web.components import downloads
from kvdemo.web.page import build, launch_options
from kvdemo.web.tabs import measure_form
from kvdemo.web.tabs.race_examples import EXAMPLES, Example
from kvdemo.web.words.figures import DEFINITIONS
from tests.web.scripted_backend import FORM, MEASURE, PRESETS, STRATEGIES, ScriptedBackend


@pytest.fixture(scope="module")
def config() -> dict[str, Any]:
    """What the page's server tells a browser; it takes half a second to build."""
    made: dict[str, Any] = build(ScriptedBackend()).get_config_file()
    return made


def test_only_the_documented_endpoints_are_public(config: dict[str, Any]) -> None:
    public = {d["api_name"] for d in config["dependencies"] if d["api_visibility"] == "public"}
    assert public == {"race", "measure", "inside", "plan", "models", "strategies", "samplers"}


def test_plans_of_the_page_and_of_programs_wait_in_one_line_and_other_forms_ask_in_others() -> None:
    page = build(ScriptedBackend())
    asks = {page.blocks[of].elem_id: fn for fn in page.fns.values() for of, event in fn.targets if event == "ask"}
    (plan,) = [fn for fn in page.fns.values() if fn.api_name == "plan"]
    lines = {tab: asks[f"kv-ask-{tab}"].concurrency_id for tab in ("race", "measure", "plan")}
    assert plan.concurrency_id == lines["plan"]
    assert len(set(lines.values())) == 3


def test_the_page_of_a_visitor_has_no_component_of_the_endpoints(config: dict[str, Any]) -> None:
    types = {c["id"]: c["type"] for c in config["components"]}
    assert "api" in types.values()
    assert "api" not in {types[component] for component in config["page"][""]["components"]}


def test_only_the_first_tab_is_mounted_at_once(config: dict[str, Any]) -> None:
    tabs = [c["props"] for c in config["components"] if "kv-tab" in (c["props"].get("elem_classes") or ())]
    assert len(tabs) > 3
    assert [tab["visible"] for tab in tabs] == [True] + [False] * (len(tabs) - 1)


def test_every_form_key_has_a_labelled_control(config: dict[str, Any]) -> None:
    labels = {c["props"].get("label") for c in config["components"]}
    assert {"Prompt", "Model", "Lanes", "New tokens", "Schedule", "Chat template", "Temperature", "Top-p", "Seed",
            "Ignore end of text", "Repeats", "Warm-up", "Prompt lengths"} <= labels  # fmt: skip


def test_the_first_form_offers_every_strategy_with_its_settings_for_all_forms(config: dict[str, Any]) -> None:
    pickers = [c["props"] for c in config["components"] if c["props"].get("label") == "Lanes"]
    assert [picker["value"] for picker in pickers] == ["reencode,dynamic_cache", "no_cache,dynamic_cache"]
    facts = [json.loads(picker["js_on_load"].split(", ", 5)[5].removesuffix(")")) for picker in pickers]
    assert ["offers" in one for one in facts] == [True, False]
    offered = {s["id"]: s["options"] for s in facts[0]["offers"]["strategies"]}
    assert list(offered) == [s["id"] for s in STRATEGIES]
    window = offered["sliding_window"]
    assert {name: option["whole"] for name, option in window.items()} == {
        "window": True, "share": False, "kind": False
    }  # fmt: skip
    assert window["kind"]["choices"] == ["fp8", "int4"]


def test_the_page_states_models_and_strategies_once(config: dict[str, Any]) -> None:
    """A docstring of a strategy is long, and the page is as large as what it states."""
    text = json.dumps(config)
    for row in STRATEGIES:
        listed = json.dumps(json.dumps({"id": row["id"]})[1:-1])[1:-1]  # in a script within the configuration
        assert text.count(listed) == 1, row["id"]


def test_launch_options_are_what_launch_takes() -> None:
    options = launch_options()
    assert options["footer_links"] == []
    assert options["head"] == assets.head()


def test_every_number_is_defined_and_every_definition_is_used() -> None:
    folder = assets.FRONTEND
    scripts = "".join((folder / path).read_text("utf-8") for path in assets.files() if path.parts[0] != "base")
    cards = (folder / "race" / "lanes" / "lane_card.js").read_text("utf-8")
    lane = re.findall(r"\"(\w+)\"", cards.split("METRICS = [")[1].split("]")[0])
    assert set(lane) <= set(DEFINITIONS)
    unused = {key for key in DEFINITIONS if f'"{key}"' not in scripts and f"definitions.{key}" not in scripts}
    assert not unused - {"probability"}
    assert all(entry["name"] and entry["long"] and entry["text"] for entry in DEFINITIONS.values())


def test_every_example_has_a_note() -> None:
    assert all(example.label and example.text.strip() and example.why for example in EXAMPLES)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.label)
def test_every_example_is_a_valid_race(example: Example) -> None:
    for spec in RaceRequest.parse(example.form).strategies:
        strategies.check(spec)


def test_the_first_example_is_the_default_race_and_the_drift_example_is_explained() -> None:
    question, drift = EXAMPLES[:2]
    assert (question.label, question.text) == ("Question", DEFAULT_PROMPT)
    assert drift.label == "Drift"
    assert "Text is no faithful carrier of tokens" in drift.why and "not the cache's doing" in drift.why


def test_downloads_stay_in_their_folder_for_any_model_name_and_text(tmp_path: Path) -> None:
    document = {"schema": 1, "model": {"id": "org/../We ird\x00/"}, "text": "half \ud83d an emoji"}
    files = downloads.write(document, {"csv": "a,b\r\n1,2\r\n"}, tmp_path)
    assert {path.parent for path in files.values()} == {tmp_path}
    assert json.loads(files["json"].read_text("utf-8"))["schema"] == 1
    assert files["csv"].read_bytes() == b"a,b\r\n1,2\r\n"


def test_files_of_a_measurement_and_a_race_have_different_names(tmp_path: Path) -> None:
    names = [
        downloads.write({"kind": kind, "model": {"id": "m"}}, {}, tmp_path)["json"].name for kind in ("", "measure")
    ]
    assert names == ["kvdemo-m.json", "kvdemo-measure-m.json"]


def test_the_api_streams_progress_and_ends_with_the_document() -> None:
    states = list(race_states(ScriptedBackend(), FORM, "r1"))
    assert states[0] == {"state": "preparing", "text": "Loading", "fraction": 0.25}
    assert states[1]["lanes"][0] == {
        "strategy": "reencode", "tokens": 0, "seconds": 0.0, "text": "", "finish_reason": None
    }  # fmt: skip
    assert [lane["tokens"] for lane in states[2]["lanes"]] == [1, 1]
    assert states[-1]["schema"] == 1


def test_the_api_streams_the_whole_text_of_a_lane() -> None:
    state = {"lanes": [{"text": "ok ", "finish_reason": None}]}
    ended = state_after(state, Ended(0, "length", text="\ufffd"))
    assert ended["lanes"] == [{"text": "ok \ufffd", "finish_reason": "length"}]


def test_an_abandoned_api_call_abandons_the_race() -> None:
    script = ScriptedBackend()
    states = race_states(script, FORM, "r1")
    next(states)
    states.close()
    assert script.closed


def test_the_api_streams_a_measurement_and_ends_with_the_document() -> None:
    script = ScriptedBackend()
    states = list(measure_states(script, MEASURE, "r1"))
    assert states[0] == {"state": "measuring", "text": "Loading", "fraction": None, "remaining_s": None}
    assert states[-1]["lanes"][0]["tokens"] == list(range(200))  # the whole document, not what the tab draws
    assert script.closed


def test_a_preset_fills_the_whole_form() -> None:
    backend = ScriptedBackend()
    form = measure_form.filled(backend, PRESETS[2])
    assert list(form) == list(offered(MeasureRequest, "form"))
    assert (form["sweep_prompt"], form["sweep_tokens"], form["preset"]) == ("16,128", "32,128", "sweep")


@pytest.mark.slow
def test_the_page_needs_no_model_library() -> None:
    code = "import sys; sys.modules.update(torch=None, transformers=None); import kvdemo.web.page"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def _ids_asked(backend: ScriptedBackend, tab: str) -> tuple[set[str], set[str]]:
    """What a tab asks about its form: the ids of the controls whose change puts the question, and of what is told."""
    config = build(backend).get_config_file()
    ids = {one["id"]: one["props"].get("elem_id") for one in config["components"]}
    (changes,) = (one for one in config["dependencies"] if one["js"] and f"'ask', '{tab}'" in str(one["js"]))
    asker = next(number for number, name in ids.items() if name == f"kv-ask-{tab}")
    (asked,) = (one for one in config["dependencies"] if (asker, "ask") in map(tuple, one["targets"]))
    return {ids[number] for number, _ in changes["targets"]}, {ids[number] for number in asked["outputs"]}


@pytest.mark.slow
def test_the_gpu_seconds_of_a_race_are_shown_on_zerogpu_and_follow_every_setting() -> None:
    lent = ScriptedBackend(lent="It asks for {max_new_tokens} GPU seconds.")
    watched, told = _ids_asked(lent, "race")
    assert {"kv-prompt", "kv-tokens", "kv-schedule"} <= watched
    assert told == {"kv-tokens", "kv-again-race", "kv-gpu-cost"}
    (line,) = (c for c in build(lent).get_config_file()["components"] if c["props"].get("elem_id") == "kv-gpu-cost")
    assert line["props"]["value"] == "It asks for 128 GPU seconds."


@pytest.mark.slow
def test_the_gpu_seconds_of_a_panel_of_inside_are_shown_where_a_gpu_is_lent() -> None:
    lent = ScriptedBackend(lent="It asks for {max_new_tokens} GPU seconds.")
    watched, told = _ids_asked(lent, "inside")
    assert {"kv-i-prompt", "kv-i-tokens", "kv-i-model"} <= watched
    assert told == {"kv-i-gpu-cost"}
    (line,) = (c for c in build(lent).get_config_file()["components"] if c["props"].get("elem_id") == "kv-i-gpu-cost")
    assert line["props"]["value"] == "Each panel: It asks for 16 GPU seconds."


@pytest.mark.slow
def test_a_server_with_its_own_device_shows_no_gpu_seconds() -> None:
    watched, told = _ids_asked(ScriptedBackend(), "race")
    assert told == {"kv-tokens", "kv-again-race"}
    assert "kv-schedule" not in watched
    ids = {one["props"].get("elem_id") for one in build(ScriptedBackend()).get_config_file()["components"]}
    assert not ids & {"kv-gpu-cost", "kv-i-gpu-cost", "kv-ask-inside"}
