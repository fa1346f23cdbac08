"""Classes of settings: what one inside another keeps, replaces and fixes, and what each place is offered."""

from dataclasses import dataclass

import pytest

from kvdemo.core.errors import BadInput
from kvdemo.core.settings.declaration import declared, group, in_documents, offered, read, recorded, setting, values


@dataclass(frozen=True)
class Oven:
    heat: int = setting(180, "Heat", "in degrees", low=50, high=300, link="degrees")
    fan: bool = setting(False, "Fan", "blow the air about")
    light: bool = setting(True, "Light", "so that one can look in", only="cli", recorded=False)


@dataclass(frozen=True)
class Bake:
    dish: str = setting(None, "Dish", "what to bake", typed="text", missing="Nothing is to be baked: name a dish.")
    oven: Oven = group(Oven, defaults={"heat": 220}, fixed={"fan": True})
    minutes: tuple[int, ...] = setting((30,), "Minutes", "when to look", typed="lengths", high=600, most=2)


def test_the_settings_of_a_group_belong_to_the_outer_class_except_fixed_ones() -> None:
    assert list(declared(Bake)) == ["dish", "heat", "light", "minutes"]
    assert (declared(Oven)["heat"].default, declared(Bake)["heat"].default) == (180, 220)


def test_group_defaults_fill_missing_settings_and_fixed_ones_cannot_be_given() -> None:
    assert read(Bake, {"dish": "pie", "heat": " ", "minutes": None}) == Bake("pie", Oven(220, fan=True))
    assert read(Bake, {"dish": "pie", "heat": "90"}).oven.heat == 90
    with pytest.raises(BadInput, match="There is no setting 'fan'"):
        read(Bake, {"dish": "pie", "fan": True})


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"dish": ""}, "Nothing is to be baked: name a dish."),
        ({"heat": 500}, "The heat must be a whole number from 50 to 300, not 500."),
        ({"minutes": "1,2,3"}, "choose at most 2"),
        ({"minutes": "soon"}, "The entry of the minutes must be a whole number from 1 to 600, not 'soon'."),
    ],
)
def test_a_wrong_value_gets_the_sentence_of_its_declaration(wrong: dict[str, object], says: str) -> None:
    with pytest.raises(BadInput) as caught:
        read(Bake, {"dish": "pie"} | wrong)
    assert says in str(caught.value)


def test_each_place_offers_the_common_settings_and_its_own() -> None:
    assert "light" in offered(Bake, "cli")
    assert "light" not in offered(Bake, "form")
    assert "light" not in offered(Bake)


def test_written_values_are_read_back_unchanged() -> None:
    bake = read(Bake, {"dish": "pie", "heat": 90, "minutes": "9,5"})
    flat = values(bake)
    assert flat == {"dish": "pie", "heat": 90, "fan": True, "light": True, "minutes": (5, 9)}
    assert read(Bake, {name: flat[name] for name in declared(Bake)}) == bake


def test_a_document_states_fixed_settings_and_writes_tuples_as_lists() -> None:
    bake = read(Bake, {"dish": "pie"})
    assert recorded(bake) == {"dish": "pie", "heat": 220, "fan": True, "minutes": [30]}
    assert list(in_documents(Bake)) == list(recorded(bake))
