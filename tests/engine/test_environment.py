import json
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from kvdemo.engine import environment

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="there is no git here")


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository that holds a package, committed."""
    package = tmp_path / "repository" / "package"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    git(package.parent, "init", "-q")
    git(package.parent, "add", ".")
    git(package.parent, "commit", "-q", "-m", "one")
    git(package.parent, "tag", "-a", "v1", "-m", "a tag does not stand for the hash")
    return package


@pytest.fixture(autouse=True)
def ask_again() -> None:
    environment.git_revision.cache_clear()
    environment.gpu_driver.cache_clear()


def test_the_environment_is_json_and_states_the_reported_attention() -> None:
    told = json.loads(json.dumps(environment.describe("sdpa"), allow_nan=False))
    assert told["attention"] == "sdpa"
    assert told["attention_line"] == "sdpa; flash first, then math"
    assert environment.describe().keys() == told.keys()
    assert environment.describe()["attention"] is None


def test_how_openmp_waits_is_stated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")
    assert environment.describe()["openmp"] == "OMP_WAIT_POLICY=active (from the environment)"


@needs_git
def test_the_revision_is_the_commits_short_hash(checkout: Path) -> None:
    revision = environment.git_revision(checkout)
    assert revision
    assert len(revision) < 12
    assert git(checkout, "rev-parse", "HEAD").startswith(revision)


@needs_git
def test_a_changed_checkout_is_called_dirty_and_a_new_file_does_not_make_it_so(checkout: Path) -> None:
    (checkout / "notes.txt").write_text("mine")
    clean = environment.git_revision(checkout)
    (checkout / "__init__.py").write_text("changed = True")
    environment.git_revision.cache_clear()
    assert environment.git_revision(checkout) == f"{clean}-dirty"


@needs_git
def test_git_environment_variables_do_not_change_the_revision(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_DIR", str(checkout / "nowhere"))
    assert environment.git_revision(checkout)


@needs_git
def test_a_package_inside_another_repository_has_no_revision(checkout: Path) -> None:
    installed = checkout.parent / ".venv" / "package"
    installed.mkdir(parents=True)
    (installed / "__init__.py").write_text("")
    assert environment.git_revision(installed) is None


def test_without_a_checkout_or_a_working_git_there_is_no_revision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert environment.git_revision(tmp_path) is None
    assert environment.git_revision(tmp_path / "nowhere") is None
    assert environment.program_output("no-such-program-anywhere") is None

    def hang(*_: object, timeout: float, **__: object) -> None:
        assert timeout <= 5
        raise subprocess.TimeoutExpired("git", timeout)

    monkeypatch.setattr(subprocess, "run", hang)
    environment.git_revision.cache_clear()
    assert environment.git_revision(tmp_path) is None


@pytest.mark.parametrize(
    ("precision", "device", "line"),
    [("highest", "cuda", "highest (TF32 off)"), ("high", "cuda", "high (TF32 on)"), ("highest", "cpu", "highest")],
)
def test_the_float32_matmul_precision_is_stated(
    monkeypatch: pytest.MonkeyPatch, precision: str, device: str, line: str
) -> None:
    monkeypatch.setattr(torch, "get_float32_matmul_precision", lambda: precision)
    assert environment.float32_matmul(torch.device(device)) == line


@pytest.mark.parametrize(
    ("said", "version"),
    [
        ("NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat Aug 19 01:15:15 UTC 2023\nGCC", "535.104.05"),
        ("NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release Build", "580.65.06"),
        ("", None),
    ],
)
def test_the_driver_is_read_from_the_kernel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, version: str | None
) -> None:
    (tmp_path / "version").write_text(said)
    monkeypatch.setattr(environment, "NVIDIA_DRIVER", tmp_path / "version")
    assert environment.gpu_driver() == version


@pytest.mark.parametrize(
    ("answer", "version"), [("535.104.05\n535.104.05", "535.104.05"), ("570.86", "570.86"), (None, None)]
)
def test_nvidia_smi_is_asked_where_the_kernel_states_no_driver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str | None, version: str | None
) -> None:
    monkeypatch.setattr(environment, "NVIDIA_DRIVER", tmp_path / "missing")
    monkeypatch.setattr(environment, "program_output", lambda *_: answer)
    assert environment.gpu_driver() == version


def test_a_driver_is_stated_when_there_is_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "gpu_driver", lambda: "580.65.06")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert environment.describe()["driver"] is None
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    gpu = SimpleNamespace(name="NVIDIA H200", total_memory=1)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: gpu)
    assert environment.describe()["driver"] == "580.65.06"
