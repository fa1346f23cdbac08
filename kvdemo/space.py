"""Be a Space of Hugging Face: trust its proxy, and on ZeroGPU run what needs a GPU where one is lent.

Imported after `spaces` (`kvdemo.app`), which must come before anything that touches CUDA.
"""

from __future__ import annotations

import math
import os
from collections.abc import Generator
from contextlib import closing
from datetime import timedelta
from typing import Any

import gradio as gr
import spaces
from spaces.config import Config
from spaces.zero import config

from kvdemo.core.errors import BadInput
from kvdemo.core.settings.request import Request
from kvdemo.server import zerogpu
from kvdemo.server.limits import Limits
from kvdemo.server.run import Asked
from kvdemo.server.runs import Batches, BatchesOf
from kvdemo.server.service import Service

#: Where a Space's proxy is, for the server in its container: in private networks.
PRIVATE_NETWORKS = "127.0.0.1,::1,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16"


def trust_proxy() -> None:
    """On a Space, take visitors' addresses from its proxy: of those it names, the last that is not its own network's.

    Elsewhere anybody may be in the same network, and only a proxy on this machine is believed (uvicorn's default).
    """
    if os.environ.get("SPACE_ID"):
        os.environ.setdefault("FORWARDED_ALLOW_IPS", PRIVATE_NETWORKS)


def on_zerogpu(batches_of: BatchesOf, terms: zerogpu.Terms) -> BatchesOf:
    """Run a run inside a lent GPU, in the process that `spaces` makes for it.

    Of an error raised there it tells the name alone, so a sentence comes back as if it were a batch.
    """

    def lent(request: Request, run_id: str, asked: Asked) -> Generator[list[Any] | BadInput, None, None]:
        try:
            yield from batches_of(request, run_id, asked)
        except BadInput as error:
            yield error

    def seconds(request: Request, *_: Any) -> int:
        return math.ceil(terms.ask(request).seconds / seconds_counted())

    with_gpu = spaces.GPU(duration=seconds)(lent)

    def told(request: Request, run_id: str, asked: Asked) -> Batches:
        try:
            with closing(with_gpu(request, run_id, asked)) as batches:
                for batch in batches:
                    if isinstance(batch, BadInput):
                        raise batch
                    yield batch
        except gr.Error as error:
            raise terms.refusal(request, f"{error.title}: {error.message}") from error

    return told


def seconds_counted() -> float:
    """Return what `spaces` asks for where it is told a second: more on a GPU that is slower than the quotas assume."""
    if not Config.zero_gpu:
        return 1.0
    from spaces.zero.client import get_duration_seconds  # noqa: PLC0415 - there on ZeroGPU alone

    return float(get_duration_seconds(timedelta(seconds=100), None)) / 100


def lent_gpu() -> str:
    """Return the name of the GPU that ZeroGPU lends."""
    return str(config.get_config()["model"])


def make_zerogpu_service(model: str, limits: Limits, device: str = "cuda") -> Service:
    """Make a service that is lent a GPU for each run, for as long as earlier steps predict, or else a roofline."""

    def forecast(request: Request) -> float | None:
        return service.forecast(request)

    terms = zerogpu.Terms(forecast, lambda: service.pass_seconds(lent_gpu()), limits.seconds)
    service = Service(
        model, device=device, only_default=True, limits=limits, lent=terms,
        on_gpu=lambda batches_of: on_zerogpu(batches_of, terms),
    )  # fmt: skip
    return service
