"""Write the files to download: the JSON document, and the same as tables."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def write(document: Mapping[str, Any], tables: Mapping[str, str], folder: Path) -> dict[str, Path]:
    """Write the document and its tables into `folder`, named after the model that ran.

    `tables` has each text by its file's suffix; the answer has each path, and the document's as "json".
    """
    model = str((document.get("model") or {}).get("id", "model")).rstrip("/").rsplit("/", 1)[-1]
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", model).strip("-.")[:60] or "model"
    stem = f"kvdemo-{'measure-' if document.get('kind') == 'measure' else ''}{name}"
    texts = {"json": json.dumps(document, ensure_ascii=False, indent=1, default=str), **tables}
    paths = {suffix: folder / f"{stem}.{suffix}" for suffix in texts}
    for suffix, text in texts.items():
        paths[suffix].write_text(text, encoding="utf-8", errors="replace", newline="")
    return paths
