from hypothesis import given
from hypothesis import strategies as st

from kvdemo.models.loaded import LoadedModel
from kvdemo.models.text import TextStream


@given(text=st.text(st.characters(codec="utf-8")))
def test_the_pieces_of_a_text_join_to_the_text(tiny_llama: LoadedModel, text: str) -> None:
    stream = TextStream(tiny_llama.decode)
    ids = tiny_llama.tokenizer.encode(text, add_special_tokens=False)
    assert "".join(stream.push(token) for token in ids) == tiny_llama.decode(ids)


def test_half_a_character_waits_for_its_other_half(tiny_llama: LoadedModel) -> None:
    ids = tiny_llama.tokenizer.encode("🐶", add_special_tokens=False)
    assert len(ids) == 4  # one token a byte: the tiny tokenizer has never seen a dog
    stream = TextStream(tiny_llama.decode)
    assert [stream.push(token) for token in ids] == ["", "", "", "🐶"]


def test_what_never_becomes_a_character_is_shown_after_four_tokens(tiny_llama: LoadedModel) -> None:
    first = tiny_llama.tokenizer.encode("🐶", add_special_tokens=False)[0]
    stream = TextStream(tiny_llama.decode)
    pieces = [stream.push(first) for _ in range(4)]
    assert pieces[:3] == ["", "", ""]
    assert set(pieces[3]) == {"\ufffd"}


def test_branches_share_half_a_character_and_nothing_after_it(tiny_llama: LoadedModel) -> None:
    dog, cat = (tiny_llama.tokenizer.encode(text, add_special_tokens=False) for text in "🐶🐱")
    assert dog[:3] == cat[:3]
    stream = TextStream(tiny_llama.decode)
    assert [stream.push(token) for token in dog[:2]] == ["", ""]
    branches = stream.branch(), stream.branch()
    shown = ["".join(branch.push(t) for t in ids[2:]) for branch, ids in zip(branches, (dog, cat), strict=True)]
    assert shown == ["🐶", "🐱"]


def test_each_push_decodes_a_handful_of_tokens() -> None:
    longest = 0

    def decode(ids):
        nonlocal longest
        longest = max(longest, len(ids))
        return "x" * len(ids)

    stream = TextStream(decode, before=range(1000))
    for token in range(1000):
        stream.push(token)
    assert longest <= 8
