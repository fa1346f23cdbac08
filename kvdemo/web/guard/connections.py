"""Let the server hold more connections than the 1,024 open files that most systems begin with.

An open page holds two, and whoever opens a thousand and sends nothing would keep all others out.
"""

from __future__ import annotations

import os

#: Open files, as many as web servers are usually given.
MOST = 65_536


def allow_many() -> None:
    """Raise this process's limit of open files as far as it may, and no further than is of use."""
    if os.name == "nt":  # which has no such limit
        return
    import resource  # noqa: PLC0415 - not on Windows

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST if hard == resource.RLIM_INFINITY else min(MOST, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
