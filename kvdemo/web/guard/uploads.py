"""Limit what is uploaded in an hour, by all visitors and by one address."""

from __future__ import annotations

import time

from kvdemo.core.shares import Quota
from kvdemo.web.guard.body import Body

#: What one address may upload of all that others leave of an hour (`core.shares`).
SHARE = 0.25
#: Uploads in an hour: each costs folders and files, however small they are (gradio_patches/few_files.py).
MOST_UPLOADS = 2000
FULL = "Too much was uploaded in the last hour: try again later."
HOUR_SECONDS = 3600


class Uploads:
    """The uploads that are under way, and those that ended in the last hour, each with the address that it is of."""

    def __init__(self, hourly_bytes: int) -> None:
        self._hourly_bytes = hourly_bytes
        self._bodies: list[tuple[str, Body]] = []

    def add(self, address: str, body: Body) -> None:
        """Count an upload from now until an hour after its end."""
        self._bodies.append((address, body))

    def is_full(self, address: str, *, shared: bool) -> bool:
        """Tell whether what was uploaded, or is announced and still comes, leaves no room for more of an address.

        One address has its share of it, but for one that is `shared`.
        """
        begin = time.monotonic() - HOUR_SECONDS
        self._bodies = [(other, body) for other, body in self._bodies if body.ended_at > begin]
        own = [body.bytes for other, body in self._bodies if other == address and not shared]
        of_all = [body.bytes for _, body in self._bodies]
        return _is_full(len(own), len(of_all), MOST_UPLOADS) or _is_full(sum(own), sum(of_all), self._hourly_bytes)


def _is_full(own: int, of_all: int, most: int) -> bool:
    return of_all >= most or own >= Quota(most * SHARE, most).share(of_all - own)
