"""Refuse what the page of another website asks for in the name of a visitor, who need not know of it.

Otherwise any website could have its visitors' browsers start runs here: in a network that it cannot reach itself, on
the visitor's own machine, or with the password that his browser keeps. Programs send none of these headers, and links
are followed by GET. Answers are kept from such pages by `gradio_patches/own_origin.py`.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import Scope

SENTENCE = (
    "A page of another website asked for this, and only the page of this server and programs may. A proxy in front of "
    "it has to pass on the header Host."
)
#: Requests that change nothing.
_SAFE = ("GET", "HEAD", "OPTIONS")


def is_of_another_site(scope: Scope) -> bool:
    """Tell whether the page of another website asks to change something here.

    Browsers say so themselves (Sec-Fetch-Site), but not to a server without https; there the page's origin is compared
    with the name under which the server is asked.
    """
    headers = Headers(scope=scope)
    if scope["method"] in _SAFE:
        return False
    if site := headers.get("sec-fetch-site"):
        return site not in ("same-origin", "none")
    origin = headers.get("origin")
    if origin is None:
        return False
    names = {_hostname(f"//{headers.get(name, '')}") for name in ("host", "x-forwarded-host")}
    return (_hostname(origin) or None) not in names


def _hostname(address: str) -> str:
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""
