"""Start the page, here and as a Space: the one place where the server meets the page.

Settings come from the environment, and the address from flags, too; docs/deploy.md lists them. Gradio reads
GRADIO_SERVER_NAME, GRADIO_SERVER_PORT, GRADIO_ROOT_PATH and GRADIO_SHARE itself.
"""

from __future__ import annotations  # isort: skip

import spaces  # isort: skip  # noqa: F401 - on ZeroGPU it must come before anything that touches CUDA
from kvdemo.web.gradio_patches.without_stubs import import_gradio  # isort: skip

import_gradio()  # before anything else imports it

import argparse
import contextlib
import importlib.util
import logging
import os
import signal
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gradio import routes
from spaces.config import Config as Space

from kvdemo import space
from kvdemo.core.errors import BadInput
from kvdemo.core.system import environment, logs, public_server
from kvdemo.core.system.temporary import LockedFolder, OwnFolder
from kvdemo.engine import openmp
from kvdemo.models.names import catalog, offered
from kvdemo.server.engine_process.backend import EngineBackend
from kvdemo.server.limits import Limits
from kvdemo.server.observing import run_log
from kvdemo.server.observing.observed_backend import Observed
from kvdemo.server.service import Service
from kvdemo.web import page
from kvdemo.web.backend import Backend
from kvdemo.web.guard import connections

if TYPE_CHECKING:
    import gradio as gr

    from kvdemo.server.observing.metrics import Metrics


log = logging.getLogger(__name__)


def make_service(limits: Limits) -> Service | EngineBackend:
    """Make the service as the environment asks for it: in a process of its own, where that can be."""
    model = os.environ.get("KVDEMO_MODEL") or catalog.DEFAULT
    here = environment.decodes_in_thread() or os.name == "nt"  # Windows hands no connection to a process
    if Space.zero_gpu or here:
        openmp.limit_spinning()  # a process of its own does so itself, and then knows who chose it
    if Space.zero_gpu:
        return space.make_zerogpu_service(model, limits)
    device, dtype = os.environ.get("KVDEMO_DEVICE", "auto"), os.environ.get("KVDEMO_DTYPE", "auto")
    if here:
        return Service(model, device=device, dtype=dtype, limits=limits)
    return EngineBackend(model, device=device, dtype=dtype, limits=limits)


#: Seconds that running requests get when the server is told to end.
GRACE_SECONDS = 1
METRICS, MCP = "KVDEMO_METRICS", "KVDEMO_MCP"
#: Where Gradio keeps files of visitors.
FILES = "GRADIO_TEMP_DIR"
#: The flags, and the variables of Gradio that they set.
FLAGS = {
    "host": ("GRADIO_SERVER_NAME", "ADDRESS", "to listen on; 0.0.0.0 for visitors of other machines"),
    "port": ("GRADIO_SERVER_PORT", "N", "to listen on; unless given, the first free one from 7860"),
    "root-path": ("GRADIO_ROOT_PATH", "PATH", "under which a proxy shows the page, as /kvdemo"),
}


def read_flags(arguments: Sequence[str] | None) -> None:
    """Set Gradio's variables as the flags say; one without its flag stays as it is."""
    parser = argparse.ArgumentParser(prog="kvdemo", description="Open the page. `kvdemo race --help` is for terminals.")
    for flag, (variable, shown, about) in FLAGS.items():
        kind = int if flag == "port" else str
        parser.add_argument(f"--{flag}", dest=variable, metavar=shown, type=kind, help=about)
    parser.add_argument("--share", dest="GRADIO_SHARE", action="store_const", const="True", help="make a public link")
    about = "write a line of JSON for each run to the standard error stream, as a public server does"
    parser.add_argument(
        "--metrics", dest=METRICS, action="store_const", const="1", help="count runs for Prometheus, at /metrics"
    )
    parser.add_argument(
        "--mcp", dest=MCP, action="store_const", const="1", help="offer tools to language models, by MCP"
    )
    parser.add_argument("--log-json", dest=run_log.VARIABLE, action="store_const", const="json", help=about)
    for variable, value in vars(parser.parse_args(arguments)).items():
        if value is not None:
            os.environ[variable] = str(value)


def make_metrics() -> Metrics | None:
    """Make what counts runs, where that is asked for. Raises BadInput where it cannot be had."""
    if not environment.switch(METRICS):
        return None
    try:
        from kvdemo.server.observing.metrics import Metrics  # noqa: PLC0415 - an optional dependency
    except ModuleNotFoundError as error:
        raise BadInput(
            "--metrics needs prometheus-client, which is not installed: run `pip install prometheus-client`."
        ) from error
    return Metrics()


def check_mcp() -> bool:
    """Tell whether tools are to be offered. Raises BadInput where they cannot be."""
    if not environment.switch(MCP):
        return False
    if importlib.util.find_spec("mcp") is None:
        raise BadInput('--mcp needs the package mcp, which is not installed: run `pip install "mcp>=1.30,<2"`.')
    return True


def observe(service: Service | EngineBackend, *, logs_runs: bool, metrics: Metrics | None) -> Backend:
    """Have each run logged and counted as it is asked for."""
    told = [run_log.write] * logs_runs + ([metrics.add] if metrics else [])
    if not told:
        return service
    if logs_runs:
        run_log.open_log()
    observed = Observed(service, *told)
    if metrics:
        metrics.watch(observed)
    return observed


def is_public() -> bool:
    """Tell whether others than this machine's users are meant to reach the page, as Gradio's variables say."""
    address = os.environ.get("GRADIO_SERVER_NAME", "127.0.0.1")
    elsewhere = os.environ.get("GRADIO_ROOT_PATH") or os.environ.get("SPACE_ID")
    return shares() or bool(elsewhere) or address not in ("127.0.0.1", "localhost", "::1")


def shares() -> bool:
    """Tell whether a public link is asked for, as Gradio's variable says."""
    return os.environ.get("GRADIO_SHARE", "").lower() in ("1", "true")


def have_own_folder() -> OwnFolder | None:
    """Have temporary files made in a folder of this program's own."""
    try:
        return OwnFolder()
    except OSError:  # a full disk, on which the page works but for its files
        return None


def keep_files_apart() -> LockedFolder | None:
    """Have visitors' files kept in a folder of this program's own: in the one that the operator names, if any.

    By default all of Gradio's apps on a machine have one folder, which belongs to the user who ran the first of them.
    It is apart from other temporary files: Gradio takes over by name what lies there already, and copies all else.
    """
    try:
        place = Path(os.environ.get(FILES) or tempfile.gettempdir())
        place.mkdir(parents=True, exist_ok=True)
        folder = LockedFolder(place)
    except OSError:
        return None
    os.environ[FILES] = routes.DEFAULT_TEMP_DIR = str(folder.path)  # the latter was read when Gradio was imported
    return folder


def main(arguments: Sequence[str] | None = None) -> None:
    """Load, wire, launch. The page is up while the model still loads, except on ZeroGPU (see `Service`)."""
    read_flags(arguments)
    logs.configure()
    if is_public():
        public_server.declare()
    try:
        for name in environment.check(os.environ):
            log.warning("%s is no variable of kvdemo: docs/deploy.md lists them.", name)
        limits = Limits.of_environment()
        metrics, offers_tools = make_metrics(), check_mcp()
        offered.listed()
        logs_runs = run_log.is_asked_for(os.environ.get(run_log.VARIABLE, ""), public=public_server.is_public())
    except BadInput as error:
        raise SystemExit(f"kvdemo: {error}") from None
    space.trust_proxy()
    connections.allow_many()
    connections.end_idle()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end_once)
    with contextlib.ExitStack() as at_end, contextlib.suppress(KeyboardInterrupt):  # the last callback comes first
        if temporary := have_own_folder():
            at_end.callback(temporary.close)
        if files := keep_files_apart():
            at_end.callback(files.close)
        service = make_service(limits)
        if Space.zero_gpu:
            service.preload()
        blocks = page.build(observe(service, logs_runs=logs_runs, metrics=metrics))
        options = page.launch_options(
            limits.uploaded_bytes, service.declare_public, service.health, metrics.answer if metrics else None
        )
        if offers_tools:
            from kvdemo.web.api import mcp_tools  # noqa: PLC0415 - an optional dependency

            options = mcp_tools.launch_options(blocks, options)
        at_end.callback(blocks.close, verbose=False)
        at_end.callback(service.close)  # waiting runs are told
        at_end.callback(begin_to_close, blocks)
        launch(blocks, options)
        if not Space.zero_gpu:
            threading.Thread(target=service.preload, name="preload", daemon=True).start()
        tidy(files)


def launch(blocks: gr.Blocks, options: dict[str, Any]) -> None:
    """Serve the page: at the port that was named and no other, or else at the first free one. Raises SystemExit."""
    port = os.environ.get("GRADIO_SERVER_PORT")  # of which Gradio itself would take the next free one
    try:
        blocks.launch(prevent_thread_lock=True, server_port=int(port) if port else None, quiet=True, **options)
    except OSError as error:
        if "empty port" not in str(error):
            raise
        named = f"port {port}" if port else "a port from 7860"
        raise SystemExit(
            f"kvdemo: It cannot listen on {named}: end what listens there, or choose another port with --port."
        ) from error
    without = "There is no public link. " if shares() and not blocks.share_url else ""  # Gradio has said why
    print(f"{without}The page is at {blocks.local_url}", flush=True)


def end_once(*_: object) -> None:
    """End what runs, as Ctrl-C does. No further signal breaks off what then takes a few seconds at the most."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def tidy(files: LockedFolder | None) -> None:
    """Remove what visitors left in their files' folder, now and then, until this program is told to end."""
    while True:
        time.sleep(page.LOOK_FOR_FILES_SECONDS)
        if files:
            files.remove_old(page.KEEP_ALL_SECONDS)


def begin_to_close(blocks: gr.Blocks) -> None:
    """Let the web server, if it has begun, end what it answers, whoever listens."""
    if not blocks.is_running:
        return
    blocks.server_app.stop_event.set()  # the streams by which it knows who is there
    blocks.server.config.timeout_graceful_shutdown = GRACE_SECONDS
    blocks.server.should_exit = True
