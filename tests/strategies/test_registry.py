import ast
import inspect
import re
from dataclasses import asdict
from pathlib import Path

import pytest

import kvdemo
from kvdemo.core.errors import BadInput
from kvdemo.strategies import StrategyInfo, discover, get, introductions, load
from tests.toy import package

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

PICTURED = "from kvdemo.core.picture import Picture\n" + TOY.format(id="bad").replace(
    "lossless = False", "lossless = False\n    picture = Picture({picture})"
)


def test_a_new_file_is_a_new_strategy(tmp_path: Path) -> None:
    with package(tmp_path, one=TOY.format(id="toy"), _shared=TOY.format(id="hidden")):
        found = discover("toys")
        assert [i.name for i in found.values()] == ["Toy"]
        assert load(found["toy"])().summary == "Writes one token."


def test_strategy_infos_are_read_without_torch_and_agree_with_the_classes() -> None:
    for introduction in introductions().values():
        strategy = get(introduction.id)
        stated = asdict(introduction)
        del stated["module"], stated["class_name"]
        assert introduction.picture == strategy.picture
        del stated["picture"]
        assert inspect.getdoc(type(strategy)) == stated.pop("description")
        assert list(strategy.options().items()) == list(introduction.options.items())
        del stated["options"]
        assert stated == {name: getattr(strategy, name) for name in stated}


#: Lanes of a form that nobody has touched yet, of an example, and of the steps that a fresh model is tried on.
DEFAULTS = {"core/settings/race.py", "core/settings/measure.py", "web/tabs/race_examples.py", "server/service.py"}
#: Ids that are also the name of something else: a setting of a configuration, a kind of divergence.
OTHER_WORDS = {"sliding_window", "remote"}


def strings(source: str) -> str:
    """The strings of a file but for its docstrings."""
    tree = ast.parse(source)
    about = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    nodes = (node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in about)
    return "\n".join(node.value for node in nodes if isinstance(node.value, str))


def test_only_defaults_name_a_strategy_by_its_id() -> None:
    root = Path(kvdemo.__file__).parent
    own = {i.id: "/".join(i.module.split(".")[1:]) + ".py" for i in introductions().values()}
    ids = re.compile(rf"\b({'|'.join(own.keys() - OTHER_WORDS)})\b")
    knowing = set()
    for path in (*root.rglob("*.py"), *root.rglob("*.js")):
        file, source = path.relative_to(root).as_posix(), path.read_text("utf-8")
        code = strings(source) if path.suffix == ".py" else re.sub(r"//.*|/\*.*?\*/", "", source)
        knowing |= {file for found in ids.findall(code) if own[found] != file}
    assert knowing == DEFAULTS


BASE = """
from abc import abstractmethod
from kvdemo.strategies.base import Strategy, option

class Draft(Strategy):
    name = "Draft"
    lossless = False
    size: int = option(4, "Size", "How many.", low=1, high=9)

    @abstractmethod
    def draft(self): ...

    def decode(self, job):
        yield
"""
FULL = """
    id = "{id}"
    name = "Toy"
    summary = "Writes one token."
    lossless = False

    def decode(self, job):
        yield
"""


def found_in(folder: Path, **files: str) -> dict[str, StrategyInfo]:
    with package(folder, **files):
        found = discover("toys")
        for introduction in found.values():
            read = (introduction.id, introduction.name, introduction.summary, dict(introduction.options))
            strategy = load(introduction)
            assert read == (strategy.id, strategy.name, strategy.summary, strategy.options())
        return found


def test_a_strategy_may_extend_another_one(tmp_path: Path) -> None:
    source = """
from kvdemo.strategies.draft.prompt_lookup import PromptLookup
from kvdemo.strategies.base import option

class Longer(PromptLookup):
    id = "longer"
    summary = "Guesses more."
    draft_tokens = 20
    every: int = option(2, "Every", "How often.")
"""
    longer = found_in(tmp_path, one=source)["longer"]
    assert (longer.name, longer.summary, longer.lossless) == ("Prompt lookup", "Guesses more.", True)
    assert list(longer.options) == ["ngram", "every"]  # a setting that is set to a value is none any more
    assert longer.description.startswith("Looks for the last two or three tokens")


@pytest.mark.parametrize(
    "imported",
    [
        "from toys._base import Draft",
        "from ._base import Draft",
        "from . import _base\nDraft = _base.Draft",
        "from ._base import *",
        "import toys._base\nDraft = toys._base.Draft",
        "import toys._base as other\nDraft = other.Draft",
        "from ._again import Base as Draft",
        "try:\n    from ._base import Draft\nexcept ImportError:\n    Draft = object",
    ],
)
def test_a_base_may_be_in_another_file(tmp_path: Path, imported: str) -> None:
    source = f"""
{imported}

class Two(Draft):
    id = "two"
    summary = "Drafts."
    def draft(self): ...
"""
    again = "from toys._base import Draft as Base"
    found = found_in(tmp_path, _base=BASE, _again=again, two=source)
    assert list(found) == ["two"]
    assert list(found["two"].options) == ["size"]


def test_helper_bases_are_no_strategies(tmp_path: Path) -> None:
    source = f"""
from typing import Generic, TypeVar
from kvdemo.strategies.base import Strategy
from kvdemo.strategies.kv_cache.dynamic_cache import DynamicCached
{BASE}
T = TypeVar("T")

class WithoutId(Strategy):
    def decode(self, job):
        yield

class Remarks(DynamicCached):
    pass

class Abstract(Strategy, Generic[T]):
    id = "one"
    name = "One"

class One(Abstract[int]):
    summary = "One."
    lossless = False
    def decode(self, job):
        yield

class Two(Remarks):
    id = "two"

class Other:
    id = "other"
"""
    assert list(found_in(tmp_path, both=source)) == ["one", "two"]


def test_a_remote_strategy_is_known_before_its_import(tmp_path: Path) -> None:
    source = "from kvdemo.strategies.remote.remote import Remote\nclass Mine(Remote):\n    id = 'mine'\n"
    assert found_in(tmp_path, mine=source)["mine"].elsewhere
    assert introductions()["remote"].elsewhere and not introductions()["dynamic_cache"].elsewhere


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("def", r"toys\.bad cannot be read .*bad\.py"),
        ("a = '\0'", r"toys\.bad cannot be read"),
        (TOY.format(id="bad").replace('summary = "Writes one token."', ""), "toys.bad: Toy has an id and no summary"),
        (TOY.format(id="bad").replace('"Toy"', "str(3)"), "toys.bad: the name of Toy is no literal"),
        (
            "from kvdemo.strategies.base import Strategy, option\nclass Toy(Strategy):" + FULL.format(id="bad")
            + "    size: int = option(4, 'Size')\n",
            "toys.bad: the option size of Toy cannot be made",
        ),
        (
            "from kvdemo.strategies.base import Strategy, option\nclass Toy(Strategy):" + FULL.format(id="bad")
            + "    size: int = option(4, 'Size', 'How many.', high=3)\n",
            "toys.bad: the option size of Toy cannot be made .*3",
        ),
        (TOY.format(id="bad:id"), "toys.bad: 'bad:id' is no id"),
        (TOY.format(id="bad").replace("False", "0"), "toys.bad: the lossless of Toy is 0: state a bool"),
        (
            TOY.format(id="bad").replace("lossless = False", "lossless = False\n    picture = 'rosy'"),
            r"toys.bad: the picture of Toy is no Picture\(...\)",
        ),
        (
            PICTURED.format(picture="computes='rosy', keeps='all'"),
            r"toys.bad: the picture of Toy cannot be made \(computes is 'rosy': state one of all, new,",
        ),
        (
            PICTURED.format(picture="computes='new', keeps='window', window='size'"),
            r"toys.bad: the picture of Toy cannot be made \(sinks is missing",
        ),
    ],
)  # fmt: skip
def test_a_broken_file_is_named(tmp_path: Path, source: str, says: str) -> None:
    with pytest.raises(ImportError, match=says):
        found_in(tmp_path, bad=source)


def test_every_strategy_declares_a_picture() -> None:
    """The settings that it names must be its own: the picture follows them in the form."""
    for introduction in introductions().values():
        picture = introduction.picture
        assert picture is not None, introduction.id
        assert set(picture.settings) <= introduction.options.keys()
        if picture.packing:
            assert picture.bits.keys() == set(introduction.options[picture.packing].choices)
            assert picture.in_full.keys() <= picture.bits.keys()
        assert (picture.computes == "all") == introduction.recomputes
        assert (picture.computes == "elsewhere") == introduction.elsewhere


def test_a_strategy_may_declare_no_picture(tmp_path: Path) -> None:
    assert found_in(tmp_path, one=TOY.format(id="toy"))["toy"].picture is None


def test_a_file_that_cannot_be_imported_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        ImportError, match=r"toys.bad cannot be imported: ModuleNotFoundError: No module named 'nowhere'"
    ):
        found_in(tmp_path, bad="import nowhere\n" + TOY.format(id="bad"))


def test_two_strategies_of_one_id_are_an_error(tmp_path: Path) -> None:
    with (
        package(tmp_path, one=TOY.format(id="toy"), two=TOY.format(id="toy")),
        pytest.raises(ImportError, match="two strategies are called 'toy'"),
    ):
        discover("toys")


def test_the_stable_ids_are_there() -> None:
    assert {"reencode", "no_cache", "dynamic_cache"} <= introductions().keys()


def test_an_unknown_strategy_gets_the_known_ones() -> None:
    with pytest.raises(BadInput, match="no strategy 'turbo': choose from .*dynamic_cache"):
        get("turbo")
