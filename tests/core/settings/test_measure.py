import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvdemo.core.errors import BadInput
from kvdemo.core.settings.measure import MeasureRequest
from kvdemo.measure import presets


def test_missing_settings_take_their_defaults() -> None:
    request = MeasureRequest.parse({"prompt": "Hi", "repeats": "", "sweep_prompt": ""})
    assert (request.repeats, request.warmup, request.sweep_prompt) == (3, 1, ())
    assert request.race.strategies == ("no_cache", "dynamic_cache")
    assert request.race.ignore_eos  # else lanes could do unequal work


def test_lengths_come_as_text_or_as_lists_and_in_order() -> None:
    request = MeasureRequest.parse({"prompt": "Hi", "sweep_prompt": "128, 16,128", "sweep_tokens": [32, 8]})
    assert (request.sweep_prompt, request.sweep_tokens) == ((16, 128), (8, 32))


def test_the_total_of_tokens_to_decode_is_counted() -> None:
    raw = {
        "prompt": "Hi",
        "max_new_tokens": 10,
        "repeats": 4,
        "warmup": 1,
        "sweep_prompt": "5,6",
        "sweep_tokens": "2,7",
    }
    # two lanes: (4 + 1) runs of 10, and for each of 2 lengths (3 + 1) runs of 7
    assert MeasureRequest.parse(raw).steps == 2 * (5 * 10 + 2 * 4 * 7)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"repeats": 0}, "number of repeats must be a whole number from 1 to 100, not 0"),
        ({"repeats": "many"}, "not 'many'"),
        ({"warmup": -1}, "number of warm-up runs must be a whole number from 0 to 10"),
        ({"sweep_prompt": "16"}, "needs both"),
        ({"sweep_prompt": "16,x", "sweep_tokens": "8"}, "entry of the sweep's prompt lengths"),
        ({"sweep_prompt": 16, "sweep_tokens": "8"}, "with commas between them, not 16"),
        ({"sweep_prompt": ",".join(map(str, range(1, 20))), "sweep_tokens": "8"}, "at most 8"),
        ({"schedule": "simultaneous"}, "runs each lane alone"),
        ({"strategies": "no_cache,no_cache"}, "name each of them once"),
        ({"prompt": " "}, "The prompt is empty"),
        ({"speed": 1}, "There is no setting 'speed'"),
    ],
)
def test_a_measurement_that_cannot_run_gets_one_sentence(wrong: dict[str, object], says: str) -> None:
    with pytest.raises(BadInput, match=says):
        MeasureRequest.parse({"prompt": "Hi"} | wrong)


ANYTHING = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text())
FIELDS = st.sampled_from(["prompt", "repeats", "warmup", "sweep_prompt", "sweep_tokens", "preset"])


@given(st.dictionaries(FIELDS, ANYTHING))
def test_any_input_gives_a_request_or_one_sentence(raw: dict[str, object]) -> None:
    try:
        request = MeasureRequest.parse(raw)
    except BadInput as error:
        assert str(error).endswith(".")
    else:
        assert request.steps > 0


def test_every_preset_is_a_request() -> None:
    for preset in presets.list_presets("somebody/model"):
        assert MeasureRequest.parse(preset["form"]).preset == preset["id"]
