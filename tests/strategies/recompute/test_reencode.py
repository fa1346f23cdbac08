import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kvdemo.core.errors import BadInput
from kvdemo.models.loaded import LoadedModel
from kvdemo.strategies.recompute.reencode import Reencode
from tests.strategies.conftest import steps_of, tokens_of

ODD = [
    "a\n\n\n\nb\n",
    "🐶🐱🐭 and 👩‍👩‍👧",
    "键值缓存是什么?",
    "def f(x):\n\n    return x\n\n\n",
    "\x00",
    "\u202bمرحبا\u202c",
    "<|im_end|>",
]


def by_definition(model: LoadedModel, text: str, n: int) -> tuple[list[int], list[int]]:
    """The loop of the articles, written out: tokenise the text, run it, append the argmax's text."""
    tokens, lengths = [], []
    for _ in range(n):
        ids = model.tokenizer(text, return_tensors="pt").input_ids
        with torch.no_grad():
            token = model.network(ids).logits[0, -1].argmax()
        text += model.tokenizer.decode(token)
        tokens.append(int(token))
        lengths.append(ids.shape[1])
    return tokens, lengths


@settings(max_examples=20, deadline=None)  # on each of two models
@given(text=st.text(st.characters(codec="utf-8"), min_size=1, max_size=40))
def test_reencode_follows_its_definition_on_any_text(tiny_model: LoadedModel, text: str) -> None:
    tokens, lengths = by_definition(tiny_model, text, 4)
    steps = [next(s) for s in [steps_of(Reencode(), tiny_model, text)] for _ in range(4)]
    assert [t for s in steps for t in s.tokens] == tokens
    assert [s.positions for s in steps] == lengths


@pytest.mark.parametrize("text", ODD)
def test_reencode_follows_its_definition_on_awkward_texts(tiny_llama: LoadedModel, text: str) -> None:
    assert tokens_of(Reencode(), tiny_llama, text, 30) == by_definition(tiny_llama, text, 30)[0]


def test_reencode_holds_no_cache_and_reports_its_own_text(tiny_llama: LoadedModel) -> None:
    steps = steps_of(Reencode(), tiny_llama, "fox")
    for _ in range(5):
        step = next(steps)
        assert step.cache_bytes == 0
        assert step.texts == (tiny_llama.piece(step.tokens[0]),)


def test_a_text_that_outgrows_the_context_says_so(tiny_llama: LoadedModel) -> None:
    with pytest.raises(BadInput, match="beyond the context: ask for fewer tokens"):
        next(steps_of(Reencode(), tiny_llama, "fox " * 3000))
