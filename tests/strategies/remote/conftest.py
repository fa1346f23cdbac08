"""A real server for the lanes of other machines, and a race with them."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kvdemo.core.events import RaceEvent
from kvdemo.core.settings.race import RaceRequest
from kvdemo.documents import schema
from kvdemo.models.loaded import LoadedModel
from kvdemo.race import session
from tests.strategies.serving import transformers_serve

PROMPT = "The quick brown fox"


@pytest.fixture(scope="package")
def server(tiny_folder: Path) -> Iterator[str]:
    with transformers_serve(tiny_folder) as url:
        yield url


def raced(model: LoadedModel, *lanes: str, emit: Callable[[RaceEvent], None] = lambda _: None, **form: Any) -> dict:
    form = {"prompt": PROMPT, "chat": False, "max_new_tokens": 12, "ignore_eos": True} | form
    request = RaceRequest.parse(form | {"strategies": lanes or ("dynamic_cache", "remote")})
    document = dict(session.run(request, model, emit, threading.Event()).document)
    schema.check(document)
    return document
