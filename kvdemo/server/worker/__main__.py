"""Be the engine's process: connect to the page's process, load the model, and answer until that process ends.

The argument is the file descriptor of the connection. The first message has the settings of `Service`.
"""

import logging
import os
import signal
import sys
import threading
from multiprocessing.connection import Connection

from kvdemo.engine import openmp
from kvdemo.server.service import Service
from kvdemo.server.worker.answers import answer_all


def main() -> None:
    """Serve one page's process."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the page's process, whose end ends this one
    openmp.limit_spinning()
    with Connection(int(sys.argv[1])) as connection:
        service = Service(**connection.recv())
        threading.Thread(target=service.preload, name="preload", daemon=True).start()
        answer_all(connection, service)
    os._exit(0)  # a step may be running, and nobody is there to see how it ends


if __name__ == "__main__":
    main()
