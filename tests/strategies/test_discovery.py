import inspect
import sys
from importlib import import_module
from pathlib import Path

import pytest

from kvdemo.core import BadInput
from kvdemo.strategies import discover, get, introductions, load

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


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """An importable package of toy strategies; call it with file names and ids."""

    def make(**files: str):
        folder = tmp_path / "toys"
        folder.mkdir()
        (folder / "__init__.py").touch()
        for name, strategy_id in files.items():
            (folder / f"{name}.py").write_text(TOY.format(id=strategy_id))
        monkeypatch.syspath_prepend(str(tmp_path))
        return import_module("toys")

    yield make
    for name in [name for name in sys.modules if name.split(".")[0] == "toys"]:
        del sys.modules[name]


def test_a_new_file_is_a_new_strategy(package) -> None:
    found = discover(package(one="toy", _shared="hidden"))
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


def test_two_strategies_of_one_id_are_an_error(package) -> None:
    with pytest.raises(ImportError, match="two strategies are called 'toy'"):
        discover(package(one="toy", two="toy"))


def test_the_stable_ids_are_there() -> None:
    assert {"reencode", "no_cache", "dynamic_cache"} <= introductions().keys()


def test_an_unknown_strategy_gets_the_known_ones() -> None:
    with pytest.raises(BadInput, match="no strategy 'turbo': choose from .*dynamic_cache"):
        get("turbo")
