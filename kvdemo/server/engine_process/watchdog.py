"""End the engine's process when a run in it hangs. The page's process starts another one (`client`)."""

from __future__ import annotations

import logging
import os
import time

from kvdemo.server.engine_process.messages import DISOBEYED
from kvdemo.server.service import Service

log = logging.getLogger(__name__)

#: A step of a large model on a slow processor may take as long; what does not stop until then never may.
OBEDIENCE_SECONDS = 30.0


def watch(service: Service) -> None:
    """End this process when a run does not end in time: a single step may take hours, and nothing else can end it."""
    while service.overdue() < OBEDIENCE_SECONDS:
        time.sleep(1)
    log.error("a run goes on %s s after its end: the process ends", OBEDIENCE_SECONDS)
    os._exit(DISOBEYED)
