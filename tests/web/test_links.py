"""A race as a link."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvdemo.core.settings.declaration import offered
from kvdemo.core.settings.inside import InsideRequest
from kvdemo.core.settings.measure import MeasureRequest
from kvdemo.core.settings.race import RaceRequest
from kvdemo.web import links
from tests.web.scripted_backend import FORM

KNOWN = {"reencode": (), "dynamic_cache": (), "sliding_window": {"window", "sinks"}}


def test_a_link_fills_every_setting_of_the_form() -> None:
    query = {
        "prompt": "a,b & c", "model": "org/m", "tokens": "64", "lanes": "dynamic_cache, reencode", "temperature": "0.7",
        "top_p": "0.9", "seed": "-3", "chat": "0", "schedule": "simultaneous", "ignore_eos": "true", "run": "1",
    }  # fmt: skip
    link = links.read(query, KNOWN)
    assert link.run
    assert link.notices == ()
    assert link.form == {
        "prompt": "a,b & c", "model": "org/m", "max_new_tokens": 64, "strategies": "dynamic_cache,reencode",
        "temperature": 0.7, "top_p": 0.9, "seed": -3, "chat": False, "schedule": "simultaneous", "ignore_eos": True,
    }  # fmt: skip


def test_an_empty_link_changes_nothing() -> None:
    assert links.read({}, KNOWN) == links.Link()


@pytest.mark.parametrize(
    ("name", "value"),
    [("tokens", "many"), ("tokens", ""), ("tokens", "1e3"), ("temperature", "nan"), ("top_p", "inf"), ("seed", "1.5"),
     ("chat", "perhaps"), ("schedule", "unfair"), ("lanes", "warp_drive"), ("lanes", "reencode,warp_drive"),
     ("lanes", "warp_drive:window=1"), ("lanes", "sliding_window:window"), ("lanes", "sliding_window:size=3"),
     ("lanes", "reencode:window=3,dynamic_cache")],
)  # fmt: skip
def test_a_value_that_a_control_cannot_hold_is_left_out_with_a_notice(name: str, value: str) -> None:
    link = links.read({name: value, "prompt": "kept"}, KNOWN)
    assert link.form == {"prompt": "kept"}
    assert len(link.notices) == 1
    assert f"link's {name}" in link.notices[0]


def test_a_link_reads_lanes_with_settings_and_the_same_strategy_twice() -> None:
    lanes = "sliding_window:window=64:sinks=4,sliding_window:window=0,reencode"
    assert links.read({"lanes": lanes}, KNOWN) == links.Link({"strategies": lanes})  # what 0 means is the race's to say


def test_a_link_without_lanes_is_read_and_left_to_the_race_to_refuse() -> None:
    assert links.read({"lanes": " , "}, KNOWN) == links.Link({"strategies": ""})


@pytest.mark.parametrize(
    ("name", "key", "value"), [("tokens", "max_new_tokens", -5), ("temperature", "temperature", 9.0)]
)
def test_values_that_only_the_race_can_check_are_passed_on(name: str, key: str, value: float) -> None:
    assert links.read({name: str(value)}, KNOWN).form == {key: value}


def test_a_long_invalid_value_is_quoted_shortened() -> None:
    assert len(links.read({"tokens": "9" * 5000 + "x"}, KNOWN).notices[0]) < 160


def test_digits_without_end_do_not_crash() -> None:
    assert links.read({"tokens": "9" * 5000}, KNOWN).notices


def test_a_link_can_hold_every_field_of_its_form() -> None:
    assert set(links.names(links.RACE)) == set(offered(RaceRequest, "form")) >= set(FORM)
    assert set(links.names(links.MEASURE)) == set(offered(MeasureRequest, "form")) - {"preset"}


def test_a_link_always_states_prompt_model_tokens_and_lanes() -> None:
    race = ["prompt", "model", "max_new_tokens", "strategies"]
    assert links.always(links.RACE) == race
    assert set(links.always(links.MEASURE)) == {*race, "repeats", "warmup"}


def test_a_link_fills_the_form_of_a_measurement() -> None:
    query = {"tokens": "64", "repeats": "5", "warmup": "x", "sweep_prompt": "16,a", "schedule": "fair"}
    link = links.read(query, KNOWN, links.MEASURE)
    assert link.form == {"max_new_tokens": 64, "repeats": 5, "sweep_prompt": "16,a"}
    assert len(link.notices) == 1
    assert "warmup" in link.notices[0]


def test_a_link_survives_being_written_and_read() -> None:
    form = {"max_new_tokens": 64, "strategies": "reencode", "chat": False, "repeats": 5, "sweep_tokens": "32,128"}
    names = links.names(links.MEASURE)
    spelled = {names[key]: str(value) for key, value in form.items()}
    assert links.read(spelled, KNOWN, links.MEASURE).form == form


def test_a_link_fills_the_form_of_inside() -> None:
    query = {"prompt": "The fox", "model": "org/m", "tokens": "9", "append": " dog", "chat": "1", "layer": "x"}
    link = links.read(query, KNOWN, links.INSIDE)
    assert link.form == {"prompt": "The fox", "model": "org/m", "max_new_tokens": 9, "append": " dog", "chat": True}
    assert len(link.notices) == 1
    assert set(links.names(links.INSIDE)) == set(offered(InsideRequest))


@pytest.mark.parametrize(
    ("name", "value"),
    [("tokens", "9" * 20), ("seed", "9" * 20), ("seed", str(-(2**53))), ("tokens", "1_000"), ("tokens", "١٢"),
     ("temperature", "1_0"), ("temperature", "1e300"), ("temperature", "NaN"), ("top_p", "-inf"),
     ("lanes", ",".join(["reencode"] * 7))],
)  # fmt: skip
def test_a_number_that_no_field_can_hold_is_left_out_with_a_notice(name: str, value: str) -> None:
    link = links.read({name: value, "prompt": "kept"}, KNOWN)
    assert link.form == {"prompt": "kept"}
    assert len(link.notices) == 1
    assert f"link's {name}" in link.notices[0]


NASTY = st.one_of(
    st.text(), st.integers().map(str), st.floats().map(str), st.integers(10**15, 10**60).map(str),
    st.sampled_from(["NaN", "-Infinity", "1e999", "0x10", "1_000", "٣", "", " ", "null", "true", "[]", "{}", "\0", "🏁",
                     "reencode," * 500, "sliding_window:window=" + "9" * 400, ":" * 99, "=" * 99]),
)  # fmt: skip
FORMS = {"race": links.RACE, "measure": links.MEASURE, "inside": links.INSIDE}


@pytest.mark.parametrize("form", FORMS)
@given(data=st.data())
def test_any_link_fills_the_form_with_sendable_values_and_names_the_others(form: str, data: st.DataObject) -> None:
    """Gradio sends numbers of 64 bits, and a browser holds whole ones of 53: a larger one kept the page from coming."""
    parameters = FORMS[form]
    query = data.draw(st.dictionaries(st.sampled_from(sorted(parameters)), NASTY))
    link = links.read(query, KNOWN, parameters)
    orjson.dumps(link.form)
    for value in link.form.values():
        assert not isinstance(value, int | float) or abs(value) < 2**53
    left_out = [name for name in query if parameters[name][0] not in link.form]
    assert len(link.notices) == len(left_out)
    assert all(any(f"link's {name} " in notice for notice in link.notices) for name in left_out)
    assert all(len(notice) < 400 for notice in link.notices)
