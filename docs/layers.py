"""Draw the layers of the package from the import contract in pyproject.toml, as a Mermaid diagram.

`python docs/layers.py` writes it into docs/architecture.md; a test says when it is out of date.
"""

from __future__ import annotations

import ast
import itertools
import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "architecture.md"
BEGIN, END = "<!-- layers: written by docs/layers.py -->\n", "<!-- end of layers -->"


def layers() -> list[list[str]]:
    """Read the packages of each layer, the highest layer first. Packages of one layer do not import each other."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contract = next(c for c in settings["tool"]["importlinter"]["contracts"] if c["type"] == "layers")
    return [[name.strip() for name in layer.split("|")] for layer in contract["layers"]]


def summary(package: str) -> str:
    """Return the first sentence of a package's docstring."""
    source = (ROOT / "kvdemo" / package / "__init__.py").read_text(encoding="utf-8")
    first = (ast.get_docstring(ast.parse(source)) or "").partition("\n")[0]
    return re.split(r"[.:;](?:\s|$)", first)[0]


def mermaid() -> str:
    """Draw the diagram: one box a package, one row a layer, an arrow from each layer to the next one below."""
    lines = ["```mermaid", "flowchart TB"]
    rows = layers()
    for packages in rows:
        name = "_".join(packages)
        lines += [f'    subgraph {name}_layer[" "]', "        direction LR"]
        lines += [f'        {package}["<b>{package}</b><br>{summary(package)}"]' for package in packages]
        lines.append("    end")
    names = [f"{'_'.join(packages)}_layer" for packages in rows]
    lines += [f"    {upper} --> {lower}" for upper, lower in itertools.pairwise(names)]
    return "\n".join([*lines, "```", ""])


def drawn(page: str) -> str:
    """Return the page with the diagram of today."""
    before, _, rest = page.partition(BEGIN)
    return f"{before}{BEGIN}{mermaid()}{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    PAGE.write_text(drawn(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
