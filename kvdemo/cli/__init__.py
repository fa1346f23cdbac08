"""Run kvdemo from the command line. Each file is a command, which adds its parser and runs itself.

With `--json`, stdout carries one document and nothing else; progress goes to stderr. Exit code 0, 2 for bad
input with one line on stderr, 1 when a lane failed.
"""

from __future__ import annotations

import argparse
import errno
import os
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from kvdemo import __version__
from kvdemo.cli import compare, inside, lists, measure, plan, race
from kvdemo.core.errors import BadInput
from kvdemo.core.system import environment

__all__ = ["main"]


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, without the usage."""

    def error(self, message: str) -> NoReturn:
        raise BadInput(f"{message} (see {self.prog} --help)")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    try:
        environment.check(os.environ)
        options = _parser().parse_args(arguments)
        command: Callable[[argparse.Namespace], int] = options.command
        code = command(options)
        sys.stdout.flush()
    except BadInput as error:
        print(f"kvdemo: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EPIPE):
            raise
        # What is left in the stream cannot be written either, and would be tried again at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        print(f"kvdemo: The output cannot be written: {error.strerror}.", file=sys.stderr)
        return 2
    return code


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="kvdemo",
        description="Race and measure decoding strategies on one prompt. Without a command, open the page "
        "(--host, --port, --root-path, --share, --log-json, --metrics, --mcp).",
    )
    parser.add_argument("--version", action="version", version=f"kvdemo {__version__}")
    files = (race, measure, inside, compare, plan, lists)
    metavar = "|".join(name for file in files for name in file.NAMES)
    commands = parser.add_subparsers(required=True, parser_class=_Parser, metavar=metavar)
    for file in files:
        file.add(commands)
    return parser
