import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

CODE = """
import inspect, time
import pytest

from kvdemo.web.gradio_patches.without_stubs import import_gradio
before = inspect.getfile
import ast
parsed = []
parse = ast.parse
ast.parse = lambda *a, **k: parsed.append(1) or parse(*a, **k)
import_gradio()
import gradio
assert inspect.getfile is before
assert inspect.getfile(gradio.Textbox).endswith("textbox.py")
print(len(parsed))
"""


def test_gradio_is_imported_without_parsing_its_components_and_works_afterwards() -> None:
    out = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True).stdout
    assert int(out) < 20  # twice for each of some eighty components, left to itself
