"""Strategies from other packages: installed as pip installs them, or laid out as pip would, and broken in every way."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from kvdemo.strategies import discover, plugins

from ..toy import REFRESH

pytestmark = pytest.mark.slow

FILES = {"kvdemo_refresh/__init__.py": "", "kvdemo_refresh/refresh.py": REFRESH}
MODULE = "kvdemo_refresh"


def files_of(package: str, value: str, files: dict[str, str]) -> dict[str, str]:
    """What an installed package consists of: its files, and what its metadata says of it."""
    about = f"{package.replace('-', '_')}-1.0.dist-info"
    return files | {
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n",
        f"{about}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{about}/entry_points.txt": f"[kvdemo.strategies]\nit = {value}\n",
        f"{about}/RECORD": "",
    }


def lay_out(folder: Path, package: str, value: str, files: dict[str, str]) -> None:
    for name, text in files_of(package, value, files).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that packages are installed in, and that this process imports from."""
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which pip has installed a package with a strategy."""
    folder = tmp_path_factory.mktemp("plugin")
    wheel = folder / "kvdemo_refresh-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in files_of("kvdemo-refresh", MODULE, FILES).items():
            archive.writestr(name, text)
    pip = ["-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--target", str(folder / "site"), str(wheel)]
    subprocess.run([sys.executable, *pip], check=True)
    return folder / "site"


def run(site: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A fresh Python that has the packages of a folder beside its own."""
    command = ["env", f"PYTHONPATH={site}", sys.executable, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def test_an_installed_strategy_is_listed_and_races(installed: Path, tiny_folder: Path) -> None:
    model = ("--model", str(tiny_folder), "--device", "cpu")
    listed = run(installed, "-m", "kvdemo", "strategies", *model)
    assert f"\n{'refresh':22} Throws its cache away every few tokens." in listed.stdout, listed.stderr
    race = ("race", "--prompt", "The fox", "--strategies", "no_cache,refresh:every=2", "--max-new-tokens", "6")
    raced = run(installed, "-m", "kvdemo", *race, *model, "--ignore-eos", "--json")
    document: dict[str, Any] = json.loads(raced.stdout)
    assert [lane["strategy"] for lane in document["lanes"]] == ["no_cache", "refresh"]
    assert document["lanes"][1]["options"] == {"every": 2, "between": "cache"}
    assert document["comparison"]["lanes"][0]["identical"]


def test_the_page_offers_it_before_its_code_or_torch_is_imported(installed: Path) -> None:
    code = """
import json, sys
from kvdemo import app
page = app.page.build(app.make_service(app.Limits()))
assert not {"torch", "kvdemo_refresh"} & sys.modules.keys(), "imported to start the page"
pickers = [part for part in page.get_config_file()["components"] if "refresh" in json.dumps(part, default=str)]
assert pickers and "Tokens that are written before all is read again." in json.dumps(pickers, default=str)
"""
    ran = run(installed, "-c", code)
    assert ran.returncode == 0, ran.stderr


ONE = REFRESH.replace("refresh", "one")


@pytest.mark.parametrize(
    ("value", "files", "says"),
    [
        ("kvdemo_broken", {"kvdemo_broken.py": "def"}, "kvdemo_broken cannot be read"),
        ("kvdemo_broken", {"kvdemo_broken.py": ONE.replace('"one"', "str(1)")}, "the id of Refresh is no literal"),
        ("kvdemo_broken", {"kvdemo_broken.py": "x = 1"}, "kvdemo_broken has no strategy"),
        ("kvdemo_broken:Other", {"kvdemo_broken.py": ONE}, "kvdemo_broken:Other has no strategy"),
        ("kvdemo_broken", {}, "kvdemo_broken has no source file"),
        ("kvdemo_broken.inner", {"kvdemo_broken/__init__.py": ""}, "kvdemo_broken.inner has no source file"),
        ("__main__", {}, ""),
        ("no module", {}, ""),
        ("kvdemo_broken", {"kvdemo_broken.py": ONE.replace('"one"', '"no_cache"')}, "no_cache is left out"),
        ("kvdemo_broken", {"kvdemo_broken.py": REFRESH}, ""),  # kvdemo-again comes first in the alphabet
    ],
)  # fmt: skip
def test_a_broken_package_is_one_warning_and_the_others_are_found(
    site: Path, caplog: pytest.LogCaptureFixture, value: str, files: dict[str, str], says: str
) -> None:
    lay_out(site, "kvdemo-again", "kvdemo_again", {"kvdemo_again.py": REFRESH})
    lay_out(site, "kvdemo-broken", value, files)
    found = plugins.discover(discover("kvdemo.strategies"))
    assert [(made.id, made.module) for made in found.values()] == [("refresh", "kvdemo_again")]
    (warning,) = caplog.messages
    assert warning.startswith("kvdemo-broken: ") and says in warning and "\n" not in warning


def test_metadata_that_cannot_be_read_is_a_warning(site: Path, caplog: pytest.LogCaptureFixture) -> None:
    lay_out(site, "kvdemo-broken", "kvdemo_broken", {})
    (site / "kvdemo_broken-1.0.dist-info" / "entry_points.txt").write_text("[kvdemo.strategies]\nno value\n")
    assert plugins.discover({}) == {}
    assert len(caplog.messages) == 1


def test_an_entry_point_may_name_one_class(site: Path) -> None:
    both = REFRESH + ONE.partition("class ")[2].join(["class ", ""]).replace("Refresh(", "One(")
    lay_out(site, "kvdemo-both", "kvdemo_both:One", {"kvdemo_both.py": both})
    assert list(plugins.discover({})) == ["one"]


def test_a_package_that_cannot_be_imported_is_a_reason_and_not_the_end(site: Path, tiny_folder: Path) -> None:
    lay_out(
        site, "kvdemo-broken", "kvdemo_broken", {"kvdemo_broken.py": REFRESH.replace("import torch", "import nowhere")}
    )
    model = ("--model", str(tiny_folder), "--device", "cpu")
    listed = run(site, "-m", "kvdemo", "strategies", "--json", *model)
    rows = {row["id"]: row for row in json.loads(listed.stdout)}
    assert rows["dynamic_cache"]["available"] and not rows["refresh"]["available"]
    assert rows["refresh"]["reason"].startswith("kvdemo_broken cannot be imported: ModuleNotFoundError")
    raced = run(site, "-m", "kvdemo", "race", "--prompt", "Hi", "--strategies", "refresh,no_cache", *model)
    assert raced.returncode == 2
    assert raced.stderr.splitlines()[-1].endswith(
        "Refresh cannot run here: kvdemo_broken cannot be imported: "
        "ModuleNotFoundError: No module named 'nowhere'."
    )  # fmt: skip
