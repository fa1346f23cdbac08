"""Reach one process of the engine: send without waiting for it, hear it, and end it when it is silent."""

from __future__ import annotations

import logging
import os
import pickle
import queue
import socket
import subprocess
import threading
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

from kvdemo.server.engine_process.messages import Ping

log = logging.getLogger(__name__)

#: Seconds between two looks whether the process has answered.
LOOK_SECONDS = 1.0
#: A process that has been told to end, or was killed, has so long for it.
END_SECONDS = 2.0


class Link:
    """One process, and the connection to it. It is given up when it was silent for so many `looks`."""

    def __init__(self, process: subprocess.Popen[bytes], connection: Connection, looks: int) -> None:
        self.process, self._connection, self._looks = process, connection, looks
        self.silent = False  # a question was not answered in its time, and nothing has been heard since
        self.given_up = False
        self._to_send: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._heard, self._over = threading.Event(), threading.Event()
        self._threads = [
            threading.Thread(target=work, name=f"engine {work.__name__}", daemon=True)
            for work in (self._send_all, self._watch)
        ]

    def start(self) -> None:
        """Begin to send, and to look whether the process answers. The first message must have been given."""
        for thread in self._threads:
            thread.start()

    def send(self, message: Any) -> None:
        """Have a message sent. A process that reads nothing holds up the thread that sends, and nobody else."""
        self._to_send.put(pickle.dumps(message))

    def _send_all(self) -> None:
        try:
            while (content := self._to_send.get()) is not None:
                self._connection.send_bytes(content)
        except OSError:
            log.info("the engine's process has ended: what was to be sent is not")

    def receive(self) -> Any:
        """Wait for the next answer. Raises EOFError or OSError when the process has ended."""
        answer = self._connection.recv()
        self.silent = False
        self._heard.set()
        return answer

    def _watch(self) -> None:
        """Ask the process again and again whether it is there.

        Looks are counted, not seconds: where this process stood still as well, the other is not to blame.
        """
        missed = 0
        while missed < self._looks:
            self._heard.clear()
            self.send(Ping())
            if self._over.wait(LOOK_SECONDS):
                return
            missed = 0 if self._heard.is_set() else missed + 1
        log.error("the engine's process has answered nothing for %g s: it is ended", self._looks * LOOK_SECONDS)
        self.given_up = True
        self._hang_up()

    def _hang_up(self) -> None:
        """Have whoever sends and receives here see the end, even where a driver keeps a killed process from ending."""
        with suppress(OSError), socket.socket(fileno=os.dup(self._connection.fileno())) as ours:
            ours.shutdown(socket.SHUT_RDWR)

    def end(self) -> int | None:
        """Kill the process where it has not ended, and let go of it; returns its exit code, None where it stays.

        Its connection can be closed then: no thread uses it any more, nor its number, which another file may have.
        """
        self.process.kill()
        code = None
        try:
            code = self.process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            log.warning("the engine's process %s was killed and does not end: it is left", self.process.pid)
        self._hang_up()
        self._over.set()
        self._to_send.put(None)
        for thread in self._threads:
            thread.join()
        return code
