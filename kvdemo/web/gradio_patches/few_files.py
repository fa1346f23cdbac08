"""Take few files in one upload: each costs a folder and a file, however small it is, and Gradio takes a thousand."""

from __future__ import annotations

from typing import Any

from gradio import route_utils
from gradio.route_utils import GradioMultiPartParser

#: The page sends one at a time.
MOST_FILES = 10


class _FewFiles(GradioMultiPartParser):
    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **(named | {"max_files": MOST_FILES}))


def take_few_files() -> None:
    """Refuse uploads of more files, in this whole process. Called again it changes nothing."""
    # Gradio has no setting for it; tests/web/guard/test_uploads.py holds it.
    route_utils.GradioMultiPartParser = _FewFiles  # type: ignore[misc]
