"""Who may know whom. import-linter reads the imports; these tests run them."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

BLOCK = """
import sys
sys.modules.update(dict.fromkeys({blocked!r}))  # as if they were not installed, also for whoever only asks
import {module}
"""


def imports(module: str, *blocked: str) -> subprocess.CompletedProcess[str]:
    code = BLOCK.format(blocked=set(blocked), module=module)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_the_page_is_imported_without_torch() -> None:
    ran = imports("kvdemo.web.page", "torch", "transformers")
    assert ran.returncode == 0, ran.stderr


def test_the_engine_is_imported_without_gradio() -> None:
    ran = imports("kvdemo.race.session, kvdemo.models.resident_model", "gradio", "plotly", "spaces")
    assert ran.returncode == 0, ran.stderr


NOT_WITH_TRANSFORMERS = ("gradio", "plotly", "spaces", "gguf", "platformdirs", "scipy", "pandas", "pydantic")


@pytest.mark.parametrize(
    "modules",
    [
        "kvdemo.models.loading, kvdemo.models.sources.random_weights, kvdemo.race.session, kvdemo.engine.environment",
        "kvdemo.measure.roofline.device_peaks, kvdemo.measure.roofline.kernel_launches, kvdemo.measure.peak_memory",
        "kvdemo.__main__",
    ],
)
def test_a_machine_with_torch_and_transformers_alone_can_measure(modules: str) -> None:
    ran = imports(modules, *NOT_WITH_TRANSFORMERS)
    assert ran.returncode == 0, ran.stderr


LIGHT = (
    *("core.types", "core.figures.metrics", "core.settings.race", "core.settings.measure", "costs.planner"),
    *("compare.comparison", "strategies", "engine.scheduler", "race.verdict.judge", "race.document"),
    *("server.device", "server.service", "__main__"),
)


@pytest.mark.parametrize("module", ["kvdemo", *(f"kvdemo.{name}" for name in LIGHT)])
def test_comparing_and_listing_import_no_torch_and_no_gradio(module: str) -> None:
    ran = imports(module, "torch", "transformers", "gradio", "plotly", "numpy")
    assert ran.returncode == 0, ran.stderr


def test_the_import_block_of_these_tests_works() -> None:
    assert "import of torch halted" in imports("kvdemo.race.session", "torch").stderr
