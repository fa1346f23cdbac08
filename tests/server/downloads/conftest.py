"""A Hub of one's own for the processes that download, with caches of its own."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from huggingface_hub import constants

from kvdemo.core.system import public_server
from kvdemo.models.names import offered
from tests.models.saved import save_llama
from tests.models.stub_hub import Hub, serving

#: So large that progress can be seen: it comes in pieces of 10 MB.
PADDING_BYTES = 24_000_000
IDS = ("someone/a", "someone/b", "someone/c")


@dataclass
class World:
    """A Hub with three equal models, and the caches that it is downloaded into."""

    hub: Hub
    own: Path
    visitors: Path
    bytes: int
    held: threading.Event = field(default_factory=threading.Event)

    def hold(self, pattern: str = "padding") -> None:
        """Let the Hub send half of a file, and no more before `held` is set."""
        self.hub.hold[pattern] = self.held

    def kept(self, cache: Path) -> set[str]:
        """The models of which anything lies in a cache."""
        return {folder.name.removeprefix("models--").replace("--", "/") for folder in cache.glob("models--*")}


@pytest.fixture(scope="session")
def padded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = save_llama(tmp_path_factory.mktemp("padded") / "llama")
    (folder / "padding.txt").write_bytes(b"x" * PADDING_BYTES)
    return folder


@pytest.fixture
def world(padded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Strangers reach the server, which offers three models of the Hub."""
    hub = Hub(dict.fromkeys(IDS, padded))
    with serving(hub) as address:
        for name, value in {
            "HF_ENDPOINT": address, "HF_HUB_CACHE": str(tmp_path / "own"), "HF_HUB_OFFLINE": "0",
            "KVDEMO_CACHE_DIR": str(tmp_path / "app"), public_server.VARIABLE: "1", offered.VARIABLE: ",".join(IDS),
        }.items():  # fmt: skip
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "own"))
        size = sum(file.stat().st_size for file in padded.iterdir())
        made = World(hub, tmp_path / "own", tmp_path / "app" / "hub", size)
        yield made
        made.held.set()
