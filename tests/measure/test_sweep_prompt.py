from hypothesis import given, settings
from hypothesis import strategies as st

from kvdemo.measure.sweep_prompt import prompt_of_length
from kvdemo.models.loaded import LoadedModel


def test_a_prompt_has_the_requested_length(tiny_model: LoadedModel) -> None:
    for wanted in (1, 2, 16, 100, 333):
        prompt, length = prompt_of_length(tiny_model, "What is KV caching?", wanted)
        assert length == len(tiny_model.encode(prompt)) == wanted


@settings(max_examples=25, deadline=None)
@given(text=st.text(min_size=1).filter(str.strip), wanted=st.integers(1, 60))
def test_for_any_text_the_stated_length_is_true_and_near_the_requested_one(
    tiny_llama: LoadedModel, text: str, wanted: int
) -> None:
    prompt, length = prompt_of_length(tiny_llama, text, wanted)
    assert length == len(tiny_llama.encode(prompt))
    assert abs(length - wanted) <= 8
