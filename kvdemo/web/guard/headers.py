"""Hand on only headers that are read at once, and refuse a request whose headers are too many or too long.

What reads a header is made for short ones. Some of it takes a time that grows with the square of the length: Python's
reader of cookies, before its releases of September 2024, stops the server for 40 s at one cookie of 60,000 backslashes
(CVE-2024-7592). Each look-up of a header goes through all of them.

A proxy in front may take longer ones than these; nginx and Apache by themselves do not.
"""

from __future__ import annotations

from collections.abc import Mapping

import httpx
from starlette.datastructures import Headers
from starlette.types import Scope

#: The page has no sign-in of its own, and nothing in it keeps a cookie. Browsers send those of the whole site, which
#: may be many, and of a proxy's or a Space's sign-in, which read them before they hand a request on.
UNREAD = frozenset({b"cookie", b"referer"})
#: Of one header its name and value in bytes, and how many there may be: what Apache takes. Of all together: nginx.
MOST_OF_ONE, MOST_HEADERS, MOST_TOGETHER = 8_190, 100, 32_000
#: Headers from which Gradio makes addresses.
NAME_THE_SERVER = ("host", "x-forwarded-host", "x-gradio-server")
#: Those that name a server, or that are taken apart, and the bytes that each may have. A server's name has 253 at most.
MOST_OF_SHORT = 300
SHORT: Mapping[bytes, int] = dict.fromkeys(
    [*map(str.encode, NAME_THE_SERVER), b"origin", b"content-type", b"range", b"x-forwarded-proto"], MOST_OF_SHORT
)
TOO_LARGE = (
    f"The request's headers are too large: there may be {MOST_HEADERS}, of {MOST_OF_ONE} bytes each and "
    f"{MOST_TOGETHER} together, and of {MOST_OF_SHORT} where they name a server or a type."
)
NO_HOST = "The request cannot be read: a header names a server that there cannot be."


def leave_out_unread(scope: Scope) -> None:
    """Take from a request the headers that nothing needs, among them all cookies."""
    scope["headers"] = [(name, value) for name, value in scope["headers"] if name not in UNREAD]


def are_too_large(scope: Scope) -> bool:
    """Tell whether a request has too many headers, or too long ones."""
    sizes = [len(name) + len(value) for name, value in scope["headers"]]
    return (
        are_too_many(len(sizes), sum(sizes))
        or max(sizes, default=0) > MOST_OF_ONE
        or any(len(value) > SHORT.get(name, MOST_OF_ONE) for name, value in scope["headers"])
    )


def are_too_many(number: int, together: int) -> bool:
    """Tell whether so many headers, of so many bytes together, are refused."""
    return number > MOST_HEADERS or together > MOST_TOGETHER


def name_a_server(scope: Scope) -> bool:
    """Tell whether what a request names as its server can be the name of one."""
    headers = Headers(scope=scope)
    try:
        for name in NAME_THE_SERVER:
            named = headers.get(name, "").split(",")[0].strip()
            httpx.URL(named if "://" in named else f"http://{named}")
    except httpx.InvalidURL:
        return False
    return True
