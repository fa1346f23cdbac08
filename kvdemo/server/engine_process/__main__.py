"""Be the engine's process: connect to the page's process, load the model, and answer until that process ends.

The argument is the file descriptor of the connection. The first message has the settings of `Service`.
"""

import os
import signal
import sys
import threading
import time
from multiprocessing.connection import Connection
from typing import NoReturn

from kvdemo.core.system import logs
from kvdemo.engine import openmp
from kvdemo.server.engine_process import watchdog
from kvdemo.server.engine_process.serve import answer_all
from kvdemo.server.questions import planning
from kvdemo.server.service import Service


def main() -> None:
    """Serve one page's process."""
    logs.configure()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the page's process, whose end ends this one
    openmp.limit_spinning()
    with Connection(int(sys.argv[1])) as connection:
        service = Service(**connection.recv())
        signal.signal(signal.SIGTERM, lambda *_: leave(service))
        threading.Thread(target=prepare, args=(service,), name="preload", daemon=True).start()
        threading.Thread(target=watchdog.watch, args=(service,), name="watch", daemon=True).start()
        answer_all(connection, service, service.note_question, service.answering)
        leave(service)


def prepare(service: Service) -> None:
    """Load the model; then, as soon as nobody races, what works out plans, so that no visitor's first plan waits."""
    service.preload()
    while service.health()["runs"]:
        time.sleep(1)
    planning.PLANNER.start()


def leave(service: Service) -> NoReturn:
    """Tidy up and end: a step may be running, and nobody is there to see how it ends."""
    service.close()
    planning.PLANNER.close()
    os._exit(0)


if __name__ == "__main__":
    main()
