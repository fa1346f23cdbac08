"""Be the process of one download: find a model's files, or get them, and say how far that is.

A line of JSON on the standard output is a message; the arguments and messages are those of `process.Download`. It ends
when its standard input does.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
from typing import Any

from kvdemo.core.errors import BadInput
from kvdemo.core.events import Progress
from kvdemo.models.sources import find
from kvdemo.models.sources.hub import hub

log = logging.getLogger(__name__)


def main(hub_id: str, most: str, weights: str) -> None:
    """Download a model; where `most` is a number of bytes, for a visitor; where `weights` is empty, all but them."""
    messages = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever prints must not print among the messages
    may_go_on = threading.Event()

    def listen() -> None:
        for _ in sys.stdin:
            may_go_on.set()
        os._exit(1)  # nobody waits for it any more

    def say(**message: Any) -> None:
        print(json.dumps(message), file=messages, flush=True)

    def make_room(size: int) -> None:
        say(size=size)
        may_go_on.wait()

    def tell(progress: Progress) -> None:
        say(text=progress.text, fraction=progress.fraction)

    threading.Thread(target=listen, daemon=True).start()
    terms = hub.Terms(int(most), make_room) if most else None
    try:
        find.find(hub_id, tell, allow_folders=False, download=True, terms=terms, weights=bool(weights))
    except BadInput as error:
        say(refused=str(error))
    except Exception:
        log.exception("%s could not be downloaded", hub_id)
        say(refused=f"{hub_id} could not be downloaded: the server's log says why; choose another model.")
    else:
        say(here=True)
    os._exit(0)  # the Hub's client may have threads that still wait for the network


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    for chatty in ("httpx", "httpx2"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    main(*sys.argv[1:])
