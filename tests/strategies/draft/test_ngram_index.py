from hypothesis import given
from hypothesis import strategies as st

from kvdemo.strategies.draft.ngram_index import NGrams


def by_definition(ids: list[int], longest: int, most: int) -> list[int]:
    """Look through the text: the longest ending that was there before, two tokens at least unless one is asked for."""
    for n in range(min(longest, len(ids) - 1), min(longest, 2) - 1, -1):
        places = [place for place in range(n, len(ids)) if ids[place - n : place] == ids[-n:]]
        if places:
            full = [place for place in places if len(ids) - place >= most]
            place = full[-1] if full else places[0]
            return ids[place : place + most]
    return []


@given(st.lists(st.integers(0, 3), min_size=1, max_size=60), st.integers(1, 5), st.integers(1, 12), st.integers(1, 7))
def test_the_index_agrees_with_a_plain_search_as_the_text_grows(
    ids: list[int], longest: int, most: int, stride: int
) -> None:
    index = NGrams(longest)
    for end in [*range(1, len(ids), stride), len(ids)]:
        assert index.continuation(ids[:end], most) == by_definition(ids[:end], longest, most)


def test_the_longest_ending_comes_first_and_the_latest_place_that_is_long_enough() -> None:
    assert NGrams(2).continuation([1, 2, 7, 7, 9, 2, 8, 8, 1, 2], 2) == [7, 7]  # "1 2" before the later "2"
    assert NGrams(1).continuation([5, 1, 1, 5, 2, 2, 5], 2) == [2, 2]
    assert NGrams(3).continuation([4, 5, 4, 5], 2) == [4, 5]  # a text that runs in a circle
    assert NGrams(3).continuation([1, 2, 3, 9, 3], 4) == []  # a single token recurs by chance
