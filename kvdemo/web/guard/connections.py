"""Keep connections that ask nothing, or read no answer, from taking the server's files and memory.

An open page holds two connections. Whoever opens thousands and sends nothing, or sends a request without an end, or
asks for the page a thousand times and reads none of it, would keep all others out. The web server itself waits for
such connections for ever.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections import defaultdict
from typing import ClassVar

import uvicorn.config
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from kvdemo.core.visitor import one_visitors

#: Open files, as many as web servers are usually given. Most systems begin with 1,024.
MOST = 65_536
#: How long a connection may be without a request that has begun, or its reader without taking anything.
PATIENCE_SECONDS = 30.0
#: Connections of one address that have asked nothing yet. A browser opens a few ahead.
MOST_SILENT = 256


def allow_many() -> None:
    """Raise this process's limit of open files as far as it may, and no further than is of use."""
    if os.name == "nt":  # which has no such limit
        return
    import resource  # noqa: PLC0415 - not on Windows

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST if hard == resource.RLIM_INFINITY else min(MOST, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def end_idle() -> None:
    """Let the web servers that are started from now on end the connections of which nothing comes."""
    uvicorn.config.HTTP_PROTOCOLS["auto"] = f"{__name__}:{WatchedConnection.__name__}"


class WatchedConnection(AutoHTTPProtocol):  # type: ignore[misc, valid-type]  # one of two, by what is installed
    """A connection of the web server, which ends where it stands still.

    Of an address that has too many which have asked nothing, the oldest ends: a newer visitor of it gets in.
    """

    #: Of each address the connections that have asked nothing, the oldest first.
    _silent: ClassVar[defaultdict[str, dict[WatchedConnection, None]]] = defaultdict(dict)

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Watch it from the beginning."""
        super().connection_made(transport)
        self._seen: object = self._state()
        self._watch = self.loop.call_later(PATIENCE_SECONDS, self._look)
        self._address = one_visitors(self.client[0]) if self.client else ""
        silent = self._silent[self._address]
        silent[self] = None
        if len(silent) > MOST_SILENT:
            oldest = next(iter(silent))
            oldest.has_asked()
            oldest.transport.abort()

    def data_received(self, data: bytes) -> None:
        """Take in what came."""
        super().data_received(data)
        if self.transport.get_protocol() is not self:  # it has become another protocol's
            self._leave()
        elif self.cycle is not None:
            self.has_asked()

    def connection_lost(self, exc: Exception | None) -> None:
        """Watch it no longer."""
        super().connection_lost(exc)
        self._leave()

    def has_asked(self) -> None:
        """Count it no longer among those that have asked nothing."""
        silent = self._silent[self._address]
        silent.pop(self, None)
        if not silent:
            del self._silent[self._address]

    def _leave(self) -> None:
        self._watch.cancel()
        self.has_asked()

    def _look(self) -> None:
        """End it where nothing has moved since the last look; what works on an answer may take its time."""
        before, self._seen = self._seen, self._state()
        if self._seen is not None and self._seen == before:
            self.transport.abort()  # and not close, which waits until all is read
        else:
            self._watch = self.loop.call_later(PATIENCE_SECONDS, self._look)

    def _state(self) -> tuple[object, int] | None:
        """Return what changes where something moves: the last request, and the bytes that nobody has taken.

        None while an answer is made and its reader keeps up.
        """
        unsent = self.transport.get_write_buffer_size()
        if unsent:  # the system takes more only when much of what it holds is read
            unsent += held_by_the_system(self.transport)
        answers = self.cycle is not None and not self.cycle.response_complete
        return None if answers and not unsent else (self.cycle, unsent)


def held_by_the_system(transport: asyncio.Transport) -> int:
    """Return how many bytes the operating system has taken that the other side has not; 0 where it does not say."""
    try:
        import fcntl  # noqa: PLC0415 - not on Windows
        import termios  # noqa: PLC0415 - as above

        held = fcntl.ioctl(transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, bytes(4))
    except (ImportError, OSError):
        return 0
    return int.from_bytes(held, sys.byteorder)
