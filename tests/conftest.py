"""Mark the tests by what they use, and give them models: two tiny random ones, and the real one.

Nothing here imports torch before a test asks for it: a run of tests that need no model starts at once, and so does the
process that hands out tests to others.
"""

from __future__ import annotations

import gc
import math
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

from kvdemo.core.system import core_waits, logs

from .serving import served

if TYPE_CHECKING:
    from kvdemo.models.loaded import LoadedModel

# Seconds are measured in benchmarks, not in tests: a busy machine fails none. Examples differ from run to run, so fewer
# of them in each find what more would.
hypothesis.settings.register_profile(
    "kvdemo", max_examples=50, deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("kvdemo")

#: A test that uses one of these fixtures gets its markers (see pyproject.toml).
FIXTURE_MARKERS = {
    "browser": ("browser",),
    "smollm2": ("model",),
    "real_app": ("model", "slow"),
    "tiny_app": ("slow",),
}
#: So does a test in one of these folders.
FOLDER_MARKERS = {"browser": ("browser",), "remote": ("slow",)}


@pytest.hookimpl(tryfirst=True)  # before pytest looks at `-m`
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test by what it uses: fixtures, a folder, a strategy that compiles, one of many kinds of models."""
    beyond = _beyond_those_at_hand(items)
    for item in items:
        fixtures = getattr(item, "fixturenames", ())
        names = [name for fixture, markers in FIXTURE_MARKERS.items() if fixture in fixtures for name in markers]
        names += [name for folder, markers in FOLDER_MARKERS.items() if folder in item.path.parts for name in markers]
        parameters = item.callspec.params.values() if hasattr(item, "callspec") else ()
        names += ["slow" for value in parameters if getattr(value, "id", None) == "compiled_cache"]
        names += ["slow"] * (item in beyond)
        for name in dict.fromkeys(names):
            item.add_marker(name)


def _beyond_those_at_hand(items: list[pytest.Item]) -> set[pytest.Item]:
    """Return tests on kinds of models that are not at hand, where the same test runs on more kinds than those."""
    configs = sys.modules.get("tests.models.tiny_configs")  # which a test of kinds has imported
    if configs is None:
        return set()
    kinds: dict[tuple[Path, str], dict[pytest.Item, str]] = {}
    for item in items:
        parameters = item.callspec.params.values() if hasattr(item, "callspec") else ()
        for value in parameters:
            if isinstance(value, str) and value in configs.TINY:
                kinds.setdefault((item.path, getattr(item, "originalname", item.name)), {})[item] = value
    many = [run for run in kinds.values() if len({*run.values()}) > len(configs.AT_HAND)]
    return {item for run in many for item, kind in run.items() if kind not in configs.AT_HAND}


def pytest_collection_finish() -> None:
    """Spare each test what the whole suite has imported: the collector no longer looks through it.

    A layer of a tiny model is done before a second thread has its part of it, so one thread computes.
    """
    gc.freeze()
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def settings_are_left_as_they_were() -> Iterator[None]:
    """A test that leaves a setting of the program behind changes what a later one tests."""
    before = _settings()
    yield
    assert _settings() == before, "use monkeypatch.setenv"


@pytest.fixture(scope="session", autouse=True)
def nothing_is_said_of_a_busy_machine() -> None:
    """What else runs beside the tests is no part of what they test."""
    core_waits.MOST = math.inf


@pytest.fixture(scope="session", autouse=True)
def every_line_of_the_log_is_written() -> None:
    """A test looks for lines that another may have caused a moment before."""
    logs.SELDOM_S = 0.0


def _settings() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith(("KVDEMO_", "GRADIO_", "TMPDIR"))}


@pytest.fixture(scope="session")
def tiny_llama() -> LoadedModel:
    """Grouped-query attention, rotary positions, a chat template."""
    from .tiny_models import CHAT_TEMPLATE, byte_level_tokenizer, loaded, tiny_llama_network  # noqa: PLC0415

    tokenizer = byte_level_tokenizer()
    tokenizer.chat_template = CHAT_TEMPLATE
    return loaded("tiny-llama", tiny_llama_network(len(tokenizer)), tokenizer)


@pytest.fixture(scope="session")
def tiny_gpt2() -> LoadedModel:
    """Multi-head attention, learned positions, no chat template."""
    from .tiny_models import byte_level_tokenizer, loaded, tiny_gpt2_network  # noqa: PLC0415

    tokenizer = byte_level_tokenizer()
    return loaded("tiny-gpt2", tiny_gpt2_network(len(tokenizer)), tokenizer)


@pytest.fixture(scope="session", params=["tiny_llama", "tiny_gpt2"])
def tiny_model(request: pytest.FixtureRequest) -> LoadedModel:
    model: LoadedModel = request.getfixturevalue(request.param)
    return model


@pytest.fixture(scope="module")
def quick_limits() -> Iterator[None]:
    """The device measured in a moment: for tests of what is done with the figures, not of the figures."""
    from kvdemo.measure.roofline import device_peaks  # noqa: PLC0415

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(device_peaks, "WARMUP_S", 0.002)
        patch.setattr(device_peaks, "READING_S", 0.001)
        patch.setattr(device_peaks, "BUSY_S", 0.0)
        for name in ("CPU_BUFFER", "MOST_CPU_BUFFER", "LEAST_BUFFER"):
            patch.setattr(device_peaks, name, 2**22)
        yield


@pytest.fixture(scope="session")
def smollm2() -> LoadedModel:
    """The real SmolLM2-135M-Instruct, from wherever it can be had; fetched and converted once."""
    from kvdemo.models.loading import load  # noqa: PLC0415
    from kvdemo.models.names.catalog import DEFAULT  # noqa: PLC0415

    return load(DEFAULT, device="cpu", dtype="float32")


@pytest.fixture(scope="session")
def tiny_folder(tiny_llama: LoadedModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny Llama as a folder."""
    from .tiny_models import save  # noqa: PLC0415

    return save(tiny_llama, tmp_path_factory.mktemp("tiny-llama"))


@pytest.fixture(scope="session")
def tiny_app(tiny_folder: Path) -> Iterator[str]:
    """The address of a running app whose default model is the tiny Llama."""
    with served({"KVDEMO_MODEL": str(tiny_folder), "KVDEMO_DEVICE": "cpu"}) as url:
        yield url


@pytest.fixture(scope="session")
def real_app() -> Iterator[str]:
    """The address of the app as it is shipped, on the real model."""
    with served() as url:
        yield url
