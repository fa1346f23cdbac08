"""Run the command line: `python -m kvdemo COMMAND`, one file a command in `cli/`."""

from __future__ import annotations

import sys

from kvdemo.cli import main

if __name__ == "__main__":
    sys.exit(main())
