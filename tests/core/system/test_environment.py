"""Each variable is known by its name, and one that is misspelt is refused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kvdemo.core.errors import BadInput
from kvdemo.core.system import environment
from kvdemo.models.names import folders
from kvdemo.models.network import attention

PACKAGE = Path(__file__).parents[3] / "kvdemo"


def test_the_names_are_those_that_the_package_reads() -> None:
    """That each is on the page about deployment is a matter of tests/test_readme.py."""
    package = "".join(path.read_text("utf-8") for path in PACKAGE.rglob("*.py") if path.stem != "environment")
    read = set(re.findall(r'"(KVDEMO_[A-Z_]+)"', package)) | {"KVDEMO_ENGINE"}
    assert read - set(environment.FAMILIES) == set(environment.NAMES)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("KVDEMO_PUBIC", "KVDEMO_PUBLIC"),
        ("KVDEMO_MODLES", "KVDEMO_MODELS"),
        ("KVDEMO_ALLOW_FOLDER", "KVDEMO_ALLOW_FOLDERS"),
        ("KVDEMO_CACHEDIR", "KVDEMO_CACHE_DIR"),
        ("KVDEMO_REMOTE_URI", "KVDEMO_REMOTE_URL"),
    ],
)
def test_a_misspelt_name_is_refused_with_the_one_that_was_meant(name: str, meant: str) -> None:
    with pytest.raises(BadInput, match=f"There is no variable {name}: did you mean {meant}?"):
        environment.check(["PATH", name])


def test_an_engine_is_a_process_or_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    for value, thread in [("", False), ("process", False), ("thread", True)]:
        monkeypatch.setenv("KVDEMO_ENGINE", value)
        assert environment.decodes_in_thread() is thread
    monkeypatch.setenv("KVDEMO_ENGINE", "thraed")
    with pytest.raises(BadInput, match="KVDEMO_ENGINE must be process or thread, not 'thraed'."):
        environment.check([])


def test_names_of_others_are_listed_and_those_of_kvdemo_are_not() -> None:
    ours = [*environment.NAMES, "KVDEMO_MAX_TOKENS", "KVDEMO_REMOTE_KEY_VLLM", "KVDEMO_REMOTE_MODEL_TGI", "HOME"]
    assert environment.check([*ours, "KVDEMO_REQUIRE_BROWSER", "kvdemo_public"]) == ["KVDEMO_REQUIRE_BROWSER"]


@pytest.mark.parametrize("variable", environment.SWITCHES)
@pytest.mark.parametrize("value", ["off", "False", "no", "true", "2"])
def test_a_switch_is_1_or_0_and_nothing_else(variable: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(BadInput, match=f"{variable} must be 1 or 0, not '{value}'."):
        environment.switch(variable)


def test_a_switch_that_is_not_set_has_its_default(monkeypatch: pytest.MonkeyPatch) -> None:
    for default in (False, True):
        monkeypatch.delenv("KVDEMO_METRICS", raising=False)
        assert environment.switch("KVDEMO_METRICS", default=default) is default
        for value in ("0", "1"):
            monkeypatch.setenv("KVDEMO_METRICS", value)
            assert environment.switch("KVDEMO_METRICS", default=default) is (value == "1")


def test_what_reads_a_switch_refuses_other_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """`off` once meant that strangers may name the folders of a public server."""
    for variable, read in [(folders.VARIABLE, folders.allowed), (attention.SETTING, attention.cudnn_wanted)]:
        monkeypatch.setenv(variable, "off")
        with pytest.raises(BadInput, match="must be 1 or 0"):
            read()
