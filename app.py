"""Start the app, here and as a Space: the one place where the server meets the page.

Settings come from the environment: KVDEMO_MODEL (a catalogue name, Hub id or folder), KVDEMO_DEVICE,
KVDEMO_DTYPE; Gradio reads GRADIO_SERVER_NAME, GRADIO_SERVER_PORT and GRADIO_SHARE itself.
"""

import spaces  # isort: skip - on ZeroGPU it must come before anything that touches CUDA
from kvdemo.web.gradio_import import import_gradio  # isort: skip

import_gradio()  # before anything else imports it

import logging
import os
import threading

from spaces.config import Config as Space

from kvdemo.engine import openmp
from kvdemo.models import catalog, folders
from kvdemo.server import zerogpu
from kvdemo.server.limits import Limits
from kvdemo.server.runs import Batches, BatchesOf, Request
from kvdemo.server.service import Service
from kvdemo.web import page


def on_zerogpu(batches_of: BatchesOf) -> BatchesOf:
    """Run a race or a measurement inside a lent GPU, unless it asks for more seconds than a visitor has."""

    def lent(request: Request, run_id: str) -> Batches:
        yield from batches_of(request, run_id)

    with_gpu: BatchesOf = spaces.GPU(duration=zerogpu.seconds)(lent)

    def checked(request: Request, run_id: str) -> Batches:
        zerogpu.check(request)
        return with_gpu(request, run_id)

    return checked


def make_service(limits: Limits) -> Service:
    """Make the service as the environment asks for it."""
    model = os.environ.get("KVDEMO_MODEL") or catalog.DEFAULT
    if Space.zero_gpu:
        return Service(model, device="cuda", only_default=True, on_gpu=on_zerogpu, limits=limits)
    device, dtype = os.environ.get("KVDEMO_DEVICE", "auto"), os.environ.get("KVDEMO_DTYPE", "auto")
    return Service(model, device=device, dtype=dtype, limits=limits)


def is_public() -> bool:
    """Tell whether others than this machine's users are meant to reach the page, as Gradio's variables say."""
    address = os.environ.get("GRADIO_SERVER_NAME", "127.0.0.1")
    share = os.environ.get("GRADIO_SHARE", "").lower() in ("1", "true")
    return share or bool(os.environ.get("GRADIO_ROOT_PATH")) or address not in ("127.0.0.1", "localhost", "::1")


def main() -> None:
    """Load, wire, launch. The page is up while the model still loads, except on ZeroGPU (see `Service`)."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    openmp.limit_spinning()
    limits = Limits.of_environment()
    if is_public():
        folders.close()
    service = make_service(limits)
    if Space.zero_gpu:
        service.preload()
    blocks = page.build(service)
    blocks.launch(prevent_thread_lock=True, **page.launch_options(limits.uploaded_bytes, folders.close))
    if not Space.zero_gpu:
        threading.Thread(target=service.preload, name="preload", daemon=True).start()
    blocks.block_thread()


if __name__ == "__main__":
    main()
