import inspect
from pathlib import Path

import pytest

from kvdemo.core import BadInput
from kvdemo.strategies import discover, get, introductions, load

from ..toy import package

TOY = '''
from kvdemo.strategies.base import Strategy

class Toy(Strategy):
    """Always the same token."""

    id = "{id}"
    name = "Toy"
    summary = "Writes one token."
    lossless = False

    def decode(self, job):
        yield
'''


def test_a_new_file_is_a_new_strategy(tmp_path: Path) -> None:
    with package(tmp_path, one=TOY.format(id="toy"), _shared=TOY.format(id="hidden")) as toys:
        found = discover(toys)
        assert [i.name for i in found.values()] == ["Toy"]
        assert load(found["toy"])().summary == "Writes one token."


def test_strategies_introduce_themselves_without_torch_and_truly() -> None:
    for introduction in introductions().values():
        strategy = get(introduction.id)
        assert (strategy.id, strategy.name, strategy.summary, strategy.lossless, inspect.getdoc(type(strategy))) == (
            introduction.id,
            introduction.name,
            introduction.summary,
            introduction.lossless,
            introduction.description,
        )


def test_two_strategies_of_one_id_are_an_error(tmp_path: Path) -> None:
    with (
        package(tmp_path, one=TOY.format(id="toy"), two=TOY.format(id="toy")) as toys,
        pytest.raises(ImportError, match="two strategies are called 'toy'"),
    ):
        discover(toys)


def test_the_stable_ids_are_there() -> None:
    assert {"reencode", "no_cache", "dynamic_cache"} <= introductions().keys()


def test_an_unknown_strategy_gets_the_known_ones() -> None:
    with pytest.raises(BadInput, match="no strategy 'turbo': choose from .*dynamic_cache"):
        get("turbo")
