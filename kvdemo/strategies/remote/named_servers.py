"""Read which engines the operator of the app has named, in environment variables.

A visitor never names an address, because the app would then fetch any address that a visitor likes from inside its
network. A visitor chooses among names.

    KVDEMO_REMOTE_URL    the base address of one engine, as in http://localhost:8000/v1
    KVDEMO_REMOTE_MODEL  what it calls the model; else the model that is loaded here, or the only one that it lists
    KVDEMO_REMOTE_KEY    its key, if it wants one

    KVDEMO_REMOTE_URLS   further engines by name, as in vllm=http://a:8000/v1,sglang=http://b:30000/v1
    KVDEMO_REMOTE_MODEL_VLLM, KVDEMO_REMOTE_KEY_VLLM  the same of the engine vllm. No engine gets another one's key

Importing this needs no package of a client.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from kvdemo.core.errors import BadInput
from kvdemo.core.settings import named_values

URL, URLS = "KVDEMO_REMOTE_URL", "KVDEMO_REMOTE_URLS"
MODEL, KEY = "KVDEMO_REMOTE_MODEL", "KVDEMO_REMOTE_KEY"
#: What a lane says for the engine of KVDEMO_REMOTE_URL, or where there is none, for the first of KVDEMO_REMOTE_URLS.
DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Engine:
    """An engine as the operator has named it; `name` is empty for the one of KVDEMO_REMOTE_URL.

    Neither address nor key is part of its `repr`: both may hold a secret.
    """

    name: str
    url: str = field(repr=False)
    key: str = field(repr=False)
    model: str

    @property
    def called(self) -> str:
        """What a sentence calls it, at its beginning."""
        return f"The remote server {self.name}" if self.name else "The remote server"

    @property
    def variable(self) -> str:
        """The environment variable that has its address."""
        return URLS if self.name else URL

    @property
    def model_variable(self) -> str:
        """The environment variable that has its name for the model."""
        return _of(MODEL, self.name)

    @property
    def key_variable(self) -> str:
        """The environment variable that has its key."""
        return _of(KEY, self.name)


def _of(variable: str, name: str) -> str:
    return f"{variable}_{name.upper()}" if name else variable


def known() -> dict[str, Engine]:
    """Return the engines by the name that a lane has for them, in their order. Raises BadInput."""
    urls = named_values.read(URLS)
    if DEFAULT in urls:
        raise BadInput(f"{URLS} has an engine named {DEFAULT}, which means the one of {URL}: give it another name.")
    if url := os.environ.get(URL):
        urls = {DEFAULT: url, **urls}
    return {name: _engine("" if name == DEFAULT else name, url) for name, url in urls.items()}


def _engine(name: str, url: str) -> Engine:
    return Engine(name, url, os.environ.get(_of(KEY, name), ""), os.environ.get(_of(MODEL, name), ""))


def resolve(wanted: str) -> str:
    """Return the name of the engine that a lane means: the first one where it says DEFAULT and no one is called so."""
    try:
        engines = known()
    except BadInput:
        return wanted
    return next(iter(engines), wanted) if wanted == DEFAULT else wanted


def get(wanted: str) -> Engine:
    """Return the engine of a name. Raises BadInput, with the names that there are."""
    engines = known()
    if not engines:
        raise BadInput(f"whoever runs this app has to name a server first, in {URL}, or several in {URLS}.")
    if wanted not in engines:
        raise BadInput(f"there is no engine {wanted}: choose {' or '.join(engines)}.")
    return engines[wanted]
