"""A setting is declared once: a made-up one, written in one place, is found wherever settings appear.

The package is copied, one field is added to `Sampling` in the copy, and the copy is run.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow  # each question is a process of its own

ROOT = Path(__file__).parent.parent
BEFORE = "    seed: int = setting("
MADE_UP = """    spice: float = setting(0.25, "Spice", "how hot it is", low=0, high=3, slider=(0, 1, 0.25), work=True)
"""


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package with a further sampling setting in its declaration, and nothing else changed."""
    folder = tmp_path_factory.mktemp("copy")
    shutil.copytree(ROOT / "kvdemo", folder / "kvdemo", ignore=shutil.ignore_patterns("__pycache__"))
    declaration = folder / "kvdemo/core/settings/race.py"
    source = declaration.read_text()
    assert source.count(BEFORE) == 1
    declaration.write_text(source.replace(BEFORE, MADE_UP + BEFORE))
    return folder


def run(copy: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(copy), str(ROOT)])  # the tests' own modules are this repository's
    return subprocess.run(
        [sys.executable, *arguments], cwd=copy, env=os.environ | {"PYTHONPATH": path, "COLUMNS": "200"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def printed(copy: Path, code: str) -> object:
    ran = run(copy, "-c", f"import json\nfrom tests.web.scripted_backend import ScriptedBackend\n{code}")
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def test_both_forms_have_a_control_for_a_new_setting(copy: Path) -> None:
    code = """
from kvdemo.web.page import build
components = build(ScriptedBackend()).get_config_file()["components"]
props = [(c["type"], c["props"]) for c in components if c["props"].get("label") == "Spice"]
print(json.dumps([[kind, p["value"], p["minimum"], p["maximum"], p["elem_id"]] for kind, p in props]))
"""
    slider = ["slider", 0.25, 0, 1]
    assert printed(copy, code) == [[*slider, "kv-spice"], [*slider, "kv-m-spice"]]


@pytest.mark.parametrize("command", ["race", "measure"])
def test_the_command_line_lists_and_checks_a_new_setting(copy: Path, command: str) -> None:
    shown = run(copy, "-m", "kvdemo", command, "--help").stdout
    assert "--spice SPICE" in shown
    assert "how hot it is; default: 0.25" in shown
    refused = run(copy, "-m", "kvdemo", command, "--prompt", "Hi", "--spice", "7")
    assert refused.returncode == 2
    assert refused.stderr == "kvdemo: The spice must be a number from 0 to 3, not '7'.\n"


def test_links_carry_a_new_setting(copy: Path) -> None:
    code = """
from kvdemo.web import links
read = [links.read({"spice": text}, {}, form) for form in (links.RACE, links.MEASURE) for text in ("0.5", "hot")]
written = [links.names(form)["spice"] for form in (links.RACE, links.MEASURE)]
print(json.dumps([[(link.form, len(link.notices)) for link in read], written]))
"""
    assert printed(copy, code) == [[[{"spice": 0.5}, 0], [{}, 1]] * 2, ["spice", "spice"]]


def test_the_api_takes_a_new_setting_after_the_parameters_known_by_place(copy: Path) -> None:
    code = """
from kvdemo.web.page import build
backend = ScriptedBackend()
endpoints = build(backend).get_api_info()["named_endpoints"]
last = [endpoints[name]["parameters"][-1] for name in ("/race", "/measure")]
from kvdemo.web.api import endpoints as api
from tests.web.loops import called
called(api.race_endpoint(backend), "Hi", spice=0.5)
print(json.dumps([[(one["parameter_name"], one["parameter_default"]) for one in last], backend.forms[0]["spice"]]))
"""
    assert printed(copy, code) == [[["spice", 0.25]] * 2, 0.5]


def test_documents_comparisons_and_tables_state_a_new_setting(copy: Path, tiny_folder: Path, tmp_path: Path) -> None:
    command = ("--prompt", "The fox", "--model", str(tiny_folder), "--max-new-tokens", "2", "--json")
    raced = run(copy, "-m", "kvdemo", "race", *command, "--spice", "0.5")
    measured = run(copy, "-m", "kvdemo", "measure", *command, "--spice", "1.5", "--repeats", "1", "--warmup", "0")
    assert (raced.returncode, measured.returncode) == (0, 0), raced.stderr + measured.stderr
    assert json.loads(raced.stdout)["settings"]["spice"] == 0.5
    assert json.loads(measured.stdout)["settings"]["spice"] == 1.5
    for name, text in (("a", raced.stdout), ("b", measured.stdout)):
        (tmp_path / f"{name}.json").write_text(text)
    compared = run(copy, "-m", "kvdemo", "compare", str(tmp_path / "a.json"), str(tmp_path / "b.json"))
    assert "spice" in compared.stdout
    code = f"""
from kvdemo.measure.report import tables
print(json.dumps(tables.to_markdown(json.load(open({str(tmp_path / "b.json")!r})))))
"""
    assert "spice 1.5" in str(printed(copy, code))


def test_the_chooser_gets_a_new_setting(copy: Path) -> None:
    code = """
import torch
from kvdemo.core.settings.race import RaceRequest
from kvdemo.samplers import Rule
from kvdemo.strategies.chooser import Chooser
request = RaceRequest.parse({"prompt": "Hi", "spice": "0.5"})
rule = Rule(request.sampling)
print(json.dumps([rule.values["spice"], Chooser(rule, torch.device("cpu")).plain]))
"""
    assert printed(copy, code) == [0.5, True]


def test_a_remote_server_gets_a_new_setting_where_it_is_set(copy: Path) -> None:
    code = """
from kvdemo.core.settings.race import Sampling
from kvdemo.samplers import Rule
from kvdemo.strategies.remote.openai_client import request_fields
print(json.dumps([request_fields(Rule(Sampling())), request_fields(Rule(Sampling(spice=0.5)))]))
"""
    standard = {"temperature": 0.0, "top_p": 1.0, "seed": 0}
    assert printed(copy, code) == [standard, standard | {"extra_body": {"spice": 0.5}}]
