"""Keep connections that ask nothing, read no answer, or are slow to read from taking the server for themselves.

An open page holds two connections. Whoever opens thousands and sends nothing, or sends a request without an end, or
asks for the page a thousand times and reads none of it, would keep all others out. The web server itself waits for
such connections for ever.

Reading has a cost for each element of a request and not for each byte: a body can come in pieces of one byte, and
headers can be empty. So a parser in C reads them, a connection has its turn after some kilobytes, and few requests of
it may wait for the one before.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections import defaultdict
from typing import ClassVar

import uvicorn.config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from kvdemo.core.visitor import one_visitors
from kvdemo.web.guard import headers

#: Open files, as many as web servers are usually given. Most systems begin with 1,024.
MOST = 65_536
#: How long a connection may be without a request that has begun, or its reader without taking anything.
PATIENCE_SECONDS = 30.0
#: Connections of one address that have asked nothing yet, or half of something. A browser opens a few ahead.
MOST_SILENT = 256
#: Bytes that are read of a connection before the others have their turn: a few milliseconds, whatever they are.
READ_AT_ONCE = 16 * 1024
#: Bytes that may come without the end of the headers or a piece of a body. `headers` allows half of them.
MOST_WITHOUT_END = 64 * 1024
#: Requests of a connection that may wait for the one before. Browsers send none ahead.
MOST_AHEAD = 8


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


class WatchedConnection(HttpToolsProtocol, asyncio.BufferedProtocol):
    """A connection of the web server, which ends where it stands still and where its requests do not end.

    Of an address that has too many which have asked nothing, the oldest ends: a newer visitor of it gets in.
    """

    #: Of each address the connections that have asked nothing, or half of something, the oldest first.
    _silent: ClassVar[defaultdict[str, dict[WatchedConnection, None]]] = defaultdict(dict)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn types it
        """Watch it from the beginning."""
        super().connection_made(transport)
        self._room = bytearray()
        self._without_end, self._in_headers, self._header_bytes = 0, True, 0
        self._seen: object = self._state()
        self._watch = self.loop.call_later(PATIENCE_SECONDS, self._look)
        self._address = one_visitors(self.client[0]) if self.client else ""
        self._asks_nothing()

    def get_buffer(self, sizehint: int) -> bytearray:  # noqa: ARG002 - the hint is -1 always
        """Return where the next bytes go: as many as are read at once."""
        self._room = bytearray(READ_AT_ONCE)
        return self._room

    def buffer_updated(self, nbytes: int) -> None:
        """Take in what came."""
        data, self._room = bytes(self._room[:nbytes]), bytearray()
        self._without_end += nbytes
        self.data_received(data)
        if self._without_end > MOST_WITHOUT_END and not self.transport.is_closing():
            self.send_400_response("The request's headers do not end: send fewer.")
        if self.transport.get_protocol() is not self:  # it has become another protocol's
            self._leave()

    def on_message_begin(self) -> None:
        """Begin a request. What is raised here is answered by the code 400, and ends the connection."""
        if len(self.pipeline) >= MOST_AHEAD:
            raise ValueError("too many requests are sent ahead")
        self._in_headers, self._header_bytes = True, 0
        self._asks_nothing()
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header, but none after a body, which nothing reads, and none beyond those that make it be refused."""
        if self._in_headers and not headers.are_too_many(len(self.headers), self._header_bytes):
            self._header_bytes += len(name) + len(value)
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Begin to answer."""
        self._without_end, self._in_headers = 0, False
        self._has_asked()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a piece of a body."""
        self._without_end = 0
        super().on_body(body)

    def on_response_complete(self) -> None:
        """Go on with the next request; read no further while some wait."""
        super().on_response_complete()
        if self.pipeline:
            self.flow.pause_reading()

    def _unsupported_upgrade_warning(self) -> None:
        """Say nothing where somebody asks for another protocol, for each time that he does: he is answered by this."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Watch it no longer."""
        super().connection_lost(exc)
        self._leave()

    def _asks_nothing(self) -> None:
        """Count it among those that have asked nothing, or half of something; where these are too many, end one."""
        silent = self._silent[self._address]
        silent[self] = None
        if len(silent) > MOST_SILENT:
            oldest = next(iter(silent))
            oldest._has_asked()
            oldest.transport.abort()

    def _has_asked(self) -> None:
        silent = self._silent[self._address]
        silent.pop(self, None)
        if not silent:
            del self._silent[self._address]

    def _leave(self) -> None:
        self._watch.cancel()
        self._has_asked()

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
