"""Share among commands: the options of a prompt and its decoding, progress on stderr, JSON on stdout."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from collections.abc import Collection
from pathlib import Path
from typing import Any

from kvdemo.core.errors import BadInput
from kvdemo.core.settings.declaration import Setting, offered

# What add_subparsers() returns, which argparse keeps to itself.
Commands = Any


def add_decoding(parser: argparse.ArgumentParser, request: type[Any], *, prompt_required: bool = True) -> None:
    """Add the settings of a race or a measurement, and the device: the same for every command that decodes."""
    prompt = parser.add_mutually_exclusive_group(required=prompt_required)
    prompt.add_argument("--prompt", metavar="TEXT")
    prompt.add_argument("--prompt-file", metavar="F", help="a UTF-8 file; - for standard input")
    add_model(parser)
    add_settings(parser, request, without={"prompt", "model"})
    parser.add_argument("--json", action="store_true")


def add_settings(parser: argparse.ArgumentParser, request: type[Any], without: Collection[str] = ()) -> None:
    """Add a flag for each setting of a class."""
    for name, setting in offered(request, "cli").items():
        if name in without:
            continue
        flag, shown = "--" + name.replace("_", "-"), _help(setting).replace("%", "%%")
        if setting.kind == "switch":
            action = argparse.BooleanOptionalAction if setting.default is None else "store_true"
            parser.add_argument(flag, action=action, help=shown)
        else:
            parser.add_argument(flag, metavar=setting.example or None, help=shown, required=bool(setting.missing))


def _help(setting: Setting) -> str:
    default = ",".join(setting.default) if setting.kind in ("several", "lanes") else setting.default
    parts = [
        setting.about.rstrip("."),
        f"one of {', '.join(setting.choices)}" if setting.choices else "",
        f"default: {default:g}" if isinstance(default, float) else f"default: {default}",
    ]
    return "; ".join(filter(None, parts if setting.kind != "switch" and default not in (None, ()) else parts[:2]))


def given(options: argparse.Namespace, request: type[Any]) -> dict[str, Any]:
    """Collect what the command line says of the settings of a class; None for those that it leaves out."""
    return {name: getattr(options, name) for name in offered(request, "cli") if hasattr(options, name)}


def add_model(parser: argparse.ArgumentParser) -> None:
    """Add the options for a model, its device and its number format."""
    parser.add_argument(
        "--model", metavar="ID_OR_FOLDER", help="catalogue name, Hub id, folder, or random:gpt2 for random weights"
    )
    parser.add_argument("--dtype", default="auto", help="float32, bfloat16, float16 or auto")
    parser.add_argument("--device", default="auto", help="cpu, cuda, mps, auto, or spread: over all GPUs")


def prompt_of(options: argparse.Namespace) -> str:
    """Return the prompt, from the command line or a file. Raises BadInput."""
    if options.prompt_file is None:
        return str(options.prompt)
    raw = sys.stdin.buffer.read() if options.prompt_file == "-" else read(options.prompt_file, "prompt file")
    return text_of(raw, options.prompt_file, "prompt file")


def read(name: str, what: str) -> bytes:
    """Read a file that the command line names. Raises BadInput."""
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise BadInput(f"The {what} {name!r} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise BadInput(f"The {what} {name!r} cannot be read: {error}.") from None


def text_of(raw: bytes, name: str, what: str) -> str:
    """Read the text of a file. Raises BadInput."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise BadInput(f"The {what} {name!r} is not UTF-8 text: save it as UTF-8.") from None


def show_progress(text: str, fraction: float | None = None) -> None:
    """Print on stderr what is being done."""
    print(text if fraction is None else f"{text} {fraction:.0%}", file=sys.stderr)


def stop_on_interrupt() -> threading.Event:
    """Return what ends the run after its step, set by the first Ctrl-C; the second one ends the program."""
    stop = threading.Event()

    def interrupted(*_: object) -> None:
        stop.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    signal.signal(signal.SIGINT, interrupted)
    return stop


def print_json(document: object) -> None:
    """Print a document, and nothing else, on stdout."""
    json.dump(document, sys.stdout, ensure_ascii=False, allow_nan=False)
    print()
