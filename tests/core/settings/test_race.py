import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvdemo.core.errors import BadInput
from kvdemo.core.settings.declaration import declared
from kvdemo.core.settings.race import RaceRequest

BAD = [
    ({"prompt": ""}, "The prompt is empty"),
    ({"prompt": " \n\t"}, "The prompt is empty"),
    ({"prompt": None}, "The prompt is empty"),
    ({"prompt": 7}, "must be text"),
    ({"prompt": "a\ud83d"}, "U+D83D, at position 2"),
    *(
        ({"max_new_tokens": bad}, "The token count must be a whole number from 1")
        for bad in (0, -5, "many", "1.5", 2.5, math.nan, math.inf, True, [], 10**12, "9" * 5000)
    ),
    *(({"temperature": bad}, "The temperature must be a number") for bad in (-1, "warm", math.nan, math.inf, True, {})),
    *(({"top_p": bad}, "The top-p must be") for bad in (0, -0.1, 1.1, "x", math.nan)),
    *(({"seed": bad}, "The seed must be a whole number") for bad in (-1, 1.5, "x", 2**63)),
    ({"schedule": "unfair"}, "There is no schedule 'unfair'"),
    ({"schedule": 3}, "There is no schedule"),
    ({"chat": "perhaps"}, "The chat setting must be true or false"),
    ({"strategies": []}, "No strategy is chosen"),
    ({"strategies": " , "}, "No strategy is chosen"),
    ({"strategies": 5}, "must be a list of names"),
    ({"strategies": [1]}, "must be a list of names"),
    ({"strategies": "a,b,c,d,e,f,g"}, "at most 6"),
    ({"model": 5}, "The model must be text"),
    ({"colour": "red"}, "no setting 'colour'"),
]


@pytest.mark.parametrize(("fields", "says"), BAD, ids=[f"{next(iter(f))}-{n}" for n, (f, _) in enumerate(BAD)])
def test_bad_input_gets_one_sentence(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(BadInput) as caught:
        RaceRequest.parse({"prompt": "Hello"} | fields)
    message = str(caught.value)
    assert says in message
    assert "\n" not in message
    assert len(message) < 250
    message.encode()  # printable wherever it is shown


def test_form_link_and_api_give_the_same_request() -> None:
    typed = RaceRequest.parse(
        {"prompt": "Hi", "max_new_tokens": 12.0, "strategies": ["no_cache", "dynamic_cache"], "chat": False, "seed": 3}
    )
    url = RaceRequest.parse(
        {"prompt": "Hi", "max_new_tokens": "12", "strategies": "no_cache,dynamic_cache", "chat": "0", "seed": "3"}
    )
    assert typed == url
    assert typed.max_new_tokens == 12
    assert typed.strategies == ("no_cache", "dynamic_cache")


def test_missing_fields_take_their_defaults() -> None:
    assert RaceRequest.parse({"prompt": "Hi", "temperature": None, "model": ""}) == RaceRequest("Hi")


@pytest.mark.parametrize("prompt", ["\x00", "مرحبا", "<script>alert(1)</script>", "${x} {{y}}", "<|im_end|>", "👩‍👩‍👧"])
def test_unusual_text_is_accepted(prompt: str) -> None:
    assert RaceRequest.parse({"prompt": prompt}).prompt == prompt


@given(st.dictionaries(st.sampled_from(sorted(declared(RaceRequest))), st.from_type(object)))
def test_any_input_gives_a_request_or_one_sentence(raw: dict[str, Any]) -> None:
    try:
        RaceRequest.parse(raw)
    except BadInput as error:
        assert str(error)


@pytest.mark.parametrize("typed", ["1_000", "١٢", "１２", "0x10", "1e3"])
def test_unusual_digits_are_refused_as_whole_numbers(typed: str) -> None:
    with pytest.raises(BadInput, match="whole number"):
        RaceRequest.parse({"prompt": "x", "max_new_tokens": typed})


@pytest.mark.parametrize("typed", ["1_0", "١", "0x1"])
def test_unusual_digits_are_refused_as_fractions(typed: str) -> None:
    with pytest.raises(BadInput, match="must be a number"):
        RaceRequest.parse({"prompt": "x", "temperature": typed})
