"""Let programs start where no temporary file can be written, on a full disk for example."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def have_folder() -> None:
    """Name a temporary folder where Python finds none that can be written.

    Torch and Gradio ask for its name when they are imported, and most of what they are imported for writes no file.
    """
    try:
        tempfile.gettempdir()
    except OSError:
        named = [os.environ.get(variable, "") for variable in ("TMPDIR", "TEMP", "TMP")]
        tempfile.tempdir = next((name for name in (*named, "/tmp") if name and Path(name).is_dir()), str(Path.cwd()))  # noqa: S108
