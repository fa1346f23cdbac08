"""Functions that a visitor's input might as well be."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import NoReturn

from kvdemo.core.errors import BadInput


def endless() -> NoReturn:
    while True:
        pass


def idle() -> None:
    time.sleep(60)


def greedy() -> int:
    return len(b"x" * 20_000_000_000)


def add(a: int, b: int) -> int:
    print("among the answers")  # noqa: T201
    return a + b


def refuse() -> NoReturn:
    raise BadInput("It is not so: choose another.")


def fail() -> NoReturn:
    raise ValueError("broken")


def die() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def kill_server() -> None:
    os.kill(os.getppid(), signal.SIGKILL)


def server() -> int:
    return os.getppid()


def niceness() -> int:
    return os.nice(0)


def endless_orphan(file: str) -> NoReturn:
    with Path(file).open("a", encoding="ascii") as ids:
        ids.write(f"{os.getpid()}\n")
    kill_server()
    endless()
