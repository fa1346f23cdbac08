"""Settings of a strategy: read from its source, set by a spec, checked, and part of the lane's name."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvdemo import samplers
from kvdemo.core.errors import BadInput
from kvdemo.core.settings import strategy_spec
from kvdemo.core.settings.declaration import offered, read_value
from kvdemo.core.settings.race import RaceRequest
from kvdemo.core.types import Option
from kvdemo.strategies import discover, load

from ..cases import cases
from ..toy import package

TOY = '''
from kvdemo.strategies.base import Strategy, option

class Toy(Strategy):
    """Always the same token."""

    id = "toy"
    name = "Toy"
    summary = "Writes one token."
    lossless = False

    window: int = option(64, "Window", "Latest positions kept.", low=1, high=4096)
    share: float = option(0.5, "Share", "How much.", high=1)
    kind: str = option("fp8", "Format", "Of the numbers.", choices=("fp8", "int4"))

    def decode(self, job):
        yield
'''
OPTIONS = {
    "window": Option(64, "Window", "Latest positions kept.", low=1, high=4096),
    "share": Option(0.5, "Share", "How much.", high=1),
    "kind": Option("fp8", "Format", "Of the numbers.", choices=("fp8", "int4")),
}


@pytest.fixture
def toy(tmp_path: Path):
    with package(tmp_path, toy=TOY):
        yield discover("toys")["toy"]


def test_settings_read_from_the_source_agree_with_the_classes(toy) -> None:
    assert toy.options == OPTIONS == load(toy).options()


def test_an_instance_holds_its_values_and_its_spec_states_those_that_are_not_default(toy) -> None:
    made = load(toy)(window=32)
    assert (made.window, made.share, made.kind) == (32, 0.5, "fp8")
    assert made.spec == "toy:window=32"
    assert made.info.name == "Toy (window 32)"
    assert made.info.options == {"window": 32, "share": 0.5, "kind": "fp8"}
    assert load(toy)().spec == "toy"
    assert load(toy)().info.name == "Toy"


@given(st.integers(1, 4096), st.floats(0, 1), st.sampled_from(["fp8", "int4"]))
def test_a_written_spec_is_read_back_unchanged(window: int, share: float, kind: str) -> None:
    values = {"window": window, "share": share, "kind": kind}
    strategy_id, given_values = strategy_spec.split(strategy_spec.write("toy", OPTIONS, values))
    assert strategy_id == "toy"
    assert strategy_spec.read("toy", OPTIONS, given_values) == values


SHARED = cases("lane_specs")
SHARED_OPTIONS, SHARED_SAMPLING = (
    {
        name: Option(option["default"], name, "", option["low"], option["high"], tuple(option["choices"]))
        for name, option in SHARED[kind].items()
    }
    for kind in ("options", "sampling")
)


@pytest.mark.parametrize(("text", "lanes"), SHARED["read"])
def test_lanes_are_read_as_in_javascript(text: str, lanes: list[list[Any]]) -> None:
    specs = read_value(offered(RaceRequest)["strategies"], text)
    assert [list(strategy_spec.split(spec)) for spec in specs] == lanes


@pytest.mark.parametrize(("spec", "shortest"), SHARED["shortest"])
def test_a_spec_is_written_as_in_javascript(spec: str, shortest: str) -> None:
    strategy_id, given_values = strategy_spec.split(spec)
    values, sampling = strategy_spec.read_lane(strategy_id, SHARED_OPTIONS, SHARED_SAMPLING, given_values)
    assert strategy_spec.write(strategy_id, SHARED_OPTIONS, values, sampling) == shortest


@pytest.mark.parametrize(("spec", "name"), SHARED["names"])
def test_a_lane_is_named_as_in_javascript(toy, spec: str, name: str) -> None:
    _, given_values = strategy_spec.split(spec)
    assert load(toy)(**given_values).info.name == name


def test_the_shared_cases_hold_the_settings_of_the_samplers() -> None:
    declared = samplers.options()
    for name, option in SHARED_SAMPLING.items():
        assert (declared[name].label, declared[name].default) == (SHARED["sampling"][name]["label"], option.default)
        assert type(declared[name].default) is type(option.default)


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("toy:window", "write it as toy:setting=value"),
        ("toy:window=1:window=2", "cannot be read"),
        ("toy:size=3", "toy has no setting 'size': it has window, share, kind"),
        ("toy:window=0", "window must be a whole number from 1 to 4,096, not '0'"),
        ("toy:window=big", "not 'big'"),
        ("toy:share=2", "share must be a number from 0 to 1"),
        ("toy:kind=int3", "no format 'int3': choose fp8 or int4"),
    ],
)
def test_a_bad_setting_gets_a_sentence(spec: str, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        strategy_id, values = strategy_spec.split(spec)
        strategy_spec.read(strategy_id, OPTIONS, values)


def test_a_setting_of_a_strategy_without_settings_is_refused() -> None:
    with pytest.raises(BadInput, match="no_cache has no setting 'window': it has none"):
        strategy_spec.read("no_cache", {}, {"window": "3"})
