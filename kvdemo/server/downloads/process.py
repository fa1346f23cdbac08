"""Run one download in a process of its own, which can be ended at any moment."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from kvdemo.core.errors import BadInput
from kvdemo.core.events import Progress
from kvdemo.models.sources.hub import hub_cache, in_use, without_weights

log = logging.getLogger(__name__)

#: A download of which no byte came for so long is given up.
SILENCE_SECONDS = 30.0
#: The last argument of the process where it is to download weights.
WEIGHTS = "weights"


class Download:
    """The download of one model.

    hub_id     the model
    most       bytes that it may have; None where it is not for a visitor of a public server
    make_room  called with its bytes before they come; what it raises ends the download
    uses       what this process uses, that model among it
    weights    whether they are wanted, too: not where other machines compute
    """

    def __init__(
        self, hub_id: str, most: int | None, make_room: Callable[[int], None], uses: in_use.Uses, *, weights: bool
    ) -> None:
        self.hub_id = hub_id
        self.progress = Progress(f"Looking for {hub_id}")  # the latest
        self.done = threading.Event()
        self.refusal = ""  # why there is no model when it is done
        self._make_room, self._uses = make_room, uses
        self._cache = hub_cache.own() if most is None else hub_cache.visitors()
        if not weights:
            self._cache = without_weights.cache()
        self._before = hub_cache.partial_files(hub_id, self._cache)
        self._ending = threading.Lock()
        self._began = self._moved = time.monotonic()
        root = str(Path(__file__).parents[3])
        self._process = subprocess.Popen(  # noqa: S603 - this program, and a name that was resolved
            [sys.executable, "-m", __package__, hub_id, "" if most is None else str(most), WEIGHTS if weights else ""],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])},
            start_new_session=True,  # pip, which it may start, is ended with it
        )
        threading.Thread(target=self._read, name="download", daemon=True).start()

    def _read(self) -> None:
        """Take the messages until there are no more."""
        refusal = f"The download of {self.hub_id} ended by itself: try again."
        assert self._process.stdout  # noqa: S101 - a pipe
        try:
            with self._process.stdout as messages:
                for line in messages:
                    message = json.loads(line)
                    if "text" in message:
                        self._told(Progress(**message))
                    elif "size" in message:
                        self._sized(message["size"])
                    else:
                        refusal = message.get("refused", "")
        except (ValueError, OSError) as error:  # a line that was cut off, or a cache that cannot be looked through
            log.warning("the download of %s breaks off: %s", self.hub_id, error)
        finally:  # who waits must be told
            self.end(refusal)

    def _told(self, progress: Progress) -> None:
        if progress != self.progress:
            self.progress, self._moved = progress, time.monotonic()

    def _sized(self, size: int) -> None:
        """Have room made, and let the bytes come."""
        try:
            self._make_room(size)
        except BadInput as error:
            self.end(str(error))
            return
        except OSError as error:
            self.end(f"No room could be made for {self.hub_id} ({error.strerror}): choose another model.")
            return
        assert self._process.stdin  # noqa: S101 - a pipe
        with contextlib.suppress(OSError):  # it was ended meanwhile
            self._process.stdin.write(b"go on\n")
            self._process.stdin.flush()

    def end_if_late(self, seconds: float) -> None:
        """End it if it has taken longer than `seconds`, or if no more bytes come."""
        now, fraction = time.monotonic(), self.progress.fraction
        if now - self._began > seconds:
            self.end(f"{self.hub_id} was not downloaded within {seconds:,.0f} s: choose a smaller model.")
        elif fraction is not None and fraction < 1 and now - self._moved > SILENCE_SECONDS:
            self.end(
                f"Nothing of {self.hub_id} has come from the Hugging Face Hub for {SILENCE_SECONDS:.0f} s: "
                "try again later, or choose another model."
            )

    def end(self, refusal: str) -> None:
        """End the process, whatever it is doing, and remove what it has not finished. The first refusal holds."""
        with self._ending:
            if self.done.is_set():
                return
            with contextlib.suppress(ProcessLookupError):  # it has ended by itself
                if os.name == "nt":
                    self._process.kill()
                else:
                    os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            assert self._process.stdin  # noqa: S101 - a pipe
            with contextlib.suppress(OSError):
                self._process.stdin.close()
            try:
                with self._uses.alone(self.hub_id) as sole:
                    if sole:  # else another server may be downloading it, too
                        hub_cache.discard(self.hub_id, self._cache, self._before)
            except OSError as error:
                log.warning("what is left of %s stays: %s", self.hub_id, error)
            self.refusal = refusal
            self.done.set()
