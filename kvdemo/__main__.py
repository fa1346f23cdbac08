"""Run the command line: `kvdemo COMMAND`, one file a command in `cli/`. Without a command, open the page."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from kvdemo import cli


def main(arguments: Sequence[str] | None = None) -> int:
    """Open the page for no command, or run one; returns the exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    if not given or (given[0].startswith("--") and given[0] not in ("--help", "--version")):
        from kvdemo.app import main as open_page  # noqa: PLC0415 - a machine that measures has no Gradio

        open_page(given)
        return 0
    return cli.main(given)


if __name__ == "__main__":
    sys.exit(main())
