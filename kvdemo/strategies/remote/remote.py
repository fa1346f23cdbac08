"""Have a server decode, and show its stream."""

from __future__ import annotations

import importlib.util
import math
import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from kvdemo.core import units
from kvdemo.core.errors import BadInput
from kvdemo.core.picture import Picture
from kvdemo.core.types import UNKNOWN, Choice, Step, TimedStep
from kvdemo.models.loaded import LoadedModel
from kvdemo.strategies.base import Job, Strategy

if TYPE_CHECKING:
    from kvdemo.strategies.remote.openai_client import Event

#: Settings that servers of this kind know (OpenAI's own, and vLLM's, SGLang's and llama.cpp's further ones).
_ASKED_FOR = ("temperature", "top_p", "seed", "top_k", "min_p", "repetition_penalty")


class Remote(Strategy):
    """Any server with an OpenAI-compatible address: vLLM, SGLang, TGI, llama.cpp, `transformers serve`.

    This is how an engine that needs more than one machine stands next to the local loops. What is timed is what this
    machine sees, from sending the request to each piece of text: the way through the network and the wait for other
    users are in it, and nobody can take them out again. Such a server cannot be made to wait for its turn, so this lane
    runs when the lanes of this machine are over, and the device here is free for others meanwhile. Tokens are counted
    by the log-probabilities that come with them, or by the server's own count at the end. It warms up with another
    prompt than yours, which the server would otherwise have in its cache; from earlier races it may.
    """

    id = "remote"
    name = "Remote"
    summary = "A server on another machine decodes; what is timed is what arrives here."
    lossless = False
    picture = Picture(computes="elsewhere", keeps="elsewhere")
    elsewhere = True
    no_candidates = "Another machine chose the tokens: what it chose them from is not known here."

    served = ""

    def unavailable_reason(self, model: LoadedModel) -> str | None:  # noqa: ARG002 - it is not the model that decides
        if not os.environ.get("KVDEMO_REMOTE_URL"):
            return "whoever runs this app has to name a server first, in KVDEMO_REMOTE_URL."
        if importlib.util.find_spec("openai") is None:
            return "it needs the package openai: install it with pip."
        return None

    def decode(self, job: Job) -> Iterator[Step]:
        """Yield a step for each event with text in it; at the end one for the tokens that had none of their own."""
        from kvdemo.strategies.remote import openai_client  # noqa: PLC0415 - its package need not be installed

        if unknown := sorted(job.sampling.changed.keys() - set(_ASKED_FOR)):
            raise BadInput(
                f"A remote server is asked for {', '.join(_ASKED_FOR)}, and may ignore {unknown[0]}: leave it out."
            )
        server = openai_client.server()
        self.served = server.model_for(job.model.id)
        written, total, finish, details = 0, None, None, {}
        for event in server.events(self.served, job.prompt, job.sampling, job.max_new_tokens):
            if event.cached is not None:
                details["cached"] = float(event.cached)
            if event.text or event.tokens:
                step = _step(event, written, details)
                written += len(step.choices)
                yield step
            if event.total is not None:
                total = event.total
            finish = event.finish or finish
        silent = _uncounted(written, total, finish)
        if silent:
            yield Step((_NOT_TOLD,) * silent, 0, texts=("",) * silent, details={**details, "silent": silent})
        if finish == "length":
            raise BadInput("The remote server ended the text at a limit of its own: ask for fewer tokens.")

    def remarks(self, steps: Sequence[TimedStep]) -> list[str]:
        model = self.served.rpartition("/")[2] if self.served.startswith("/") else self.served  # no paths of its disk
        said = [
            f"{self.info.name} had {model} decode: its times are those at which text arrived here, network and waiting "
            "included, which cannot be told apart."
        ]
        last = steps[-1].step.details
        if silent := int(last.get("silent", 0)):
            said.append(
                f"{units.count(silent, 'token')} came without text of {'its' if silent == 1 else 'their'} own (half "
                "characters, the end of the text) and are counted at the end."
            )
        if cached := int(last.get("cached", 0)):
            said.append(f"The server took {units.count(cached, 'prompt token')} from its own cache.")
        return said


_NOT_TOLD = Choice(UNKNOWN, math.nan, UNKNOWN, math.nan)


def _step(event: Event, written: int, details: dict[str, float]) -> Step:
    """The tokens of one event: as many as it has log-probabilities, or as the running count grew by, or one.

    One is no guess: an event with text stands for a token at least, and `_uncounted` holds the sum against the
    server's count at the end.
    """
    if event.tokens:
        choices = tuple(Choice(UNKNOWN, logprob, UNKNOWN, math.nan) for logprob in event.logprobs)
    else:
        choices = (_NOT_TOLD,) * max(1, (event.total or 0) - written)
    spelled = event.tokens if "".join(event.tokens) == event.text else ("",) * (len(choices) - 1) + (event.text,)
    return Step(choices, 0, texts=spelled, details=dict(details))


def _uncounted(written: int, total: int | None, finish: str | None) -> int:
    """Tokens that the server counts beyond those that came with text. Raises BadInput where the counts cannot be."""
    if total is None and finish is None:
        raise BadInput("The remote server broke off the text: see that it runs at KVDEMO_REMOTE_URL, and try again.")
    if total is None:
        raise BadInput(
            "The remote server does not say how many tokens it wrote, and a guess is no figure: use one that reports "
            "usage or log-probabilities."
        )
    if written > total:
        raise BadInput(
            f"The remote server sent {units.count(written, 'piece')} of text and counts {units.count(total, 'token')}: "
            "its tokens cannot be timed."
        )
    return total - written
