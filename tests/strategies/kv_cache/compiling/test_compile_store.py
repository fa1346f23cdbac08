import os
import shutil
from pathlib import Path

import pytest

from kvdemo.strategies.kv_cache.compiling import compile_store

pytestmark = pytest.mark.slow  # torch imports its compiler, which takes seconds

SETTING = "TORCHINDUCTOR_CACHE_DIR"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KVDEMO_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv(SETTING, "to be restored")
    monkeypatch.delenv(SETTING)
    return tmp_path / "cache"


@pytest.mark.parametrize("set_by_torch", [False, True])
def test_compiled_code_is_kept_in_the_apps_folder_by_version_of_torch(cache: Path, set_by_torch: bool) -> None:
    if set_by_torch:
        from torch._inductor.runtime.cache_dir_utils import default_cache_dir  # noqa: PLC0415 - slow to import

        os.environ[SETTING] = default_cache_dir()
    compile_store.prepare()
    folder = Path(os.environ[SETTING])
    assert folder.is_dir()
    assert folder.is_relative_to(cache)
    assert folder.name.startswith("torch-2.")


def test_a_folder_set_by_the_user_is_kept(tmp_path: Path, cache: Path) -> None:
    os.environ[SETTING] = str(tmp_path / "own")
    compile_store.prepare()
    assert os.environ[SETTING] == str(tmp_path / "own")
    assert not cache.exists()


def test_a_full_disk_does_not_stop_compiling(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compile_store.shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9, 0))
    compile_store.prepare()
    assert SETTING not in os.environ
    assert "Compiled code is not kept for the next start" in caplog.text


def test_an_unwritable_disk_does_not_stop_compiling(cache: Path, caplog: pytest.LogCaptureFixture) -> None:
    cache.write_text("not a folder")
    compile_store.prepare()
    assert SETTING not in os.environ
    assert "not kept for the next start" in caplog.text
