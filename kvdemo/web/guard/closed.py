"""Close the addresses of Gradio that this page does not need.

Gradio answers them for every app. One fetches any file of the internet for whoever names it, one takes videos beside
the quota for uploads, one writes a file for each time that it is asked, one looks twenty times a second for as long as
somebody listens. Each address of Gradio is either closed here or listed as open in tests/web/guard/test_closed.py.
"""

from __future__ import annotations

import re

SENTENCE = "There is nothing at this address."
_OF_THE_API = (
    "component_server", "custom_component/", "deep_link", "dev/", "file/", "file=https?:", "process_recording",
    "profiling/", "proxy=", "run-history/", "runs", "stream/", "undo-vibe-edit", "vibe-",
)  # fmt: skip
_OF_THE_SITE = ("login", "logout", "monitoring")
#: The former at any place: an app under a path of its own may be asked with that path and without it.
_CLOSED = re.compile(rf"/gradio_api/(?:{'|'.join(_OF_THE_API)})|^/(?:{'|'.join(_OF_THE_SITE)})(?:/|$)", re.IGNORECASE)


def is_closed(path: str) -> bool:
    """Tell whether nothing is answered at a path."""
    return _CLOSED.search(path) is not None
