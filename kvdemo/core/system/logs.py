"""Configure what a server process logs."""

from __future__ import annotations

import logging


def configure() -> None:
    """Log to the error stream from INFO on, but no request of a client, whose address may hold a secret, or of MCP."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    for chatty in ("httpx", "httpx2", "mcp"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
