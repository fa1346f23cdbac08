"""Have a server decode, and show its stream."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence

from kvdemo.core.cancellation import CancelToken
from kvdemo.core.errors import BadInput
from kvdemo.core.figures import units
from kvdemo.core.figures.requests import RequestTotals
from kvdemo.core.picture import Picture
from kvdemo.core.types import Step, TimedStep
from kvdemo.models.loaded import LoadedModel
from kvdemo.strategies.base import Job, Strategy, option
from kvdemo.strategies.remote import named_servers
from kvdemo.strategies.remote.answer import steps_of
from kvdemo.strategies.remote.concurrent_requests import EqualRequests

#: Settings that servers of this kind know (OpenAI's own, and vLLM's, SGLang's and llama.cpp's further ones).
_ASKED_FOR = ("temperature", "top_p", "seed", "top_k", "min_p", "repetition_penalty")
#: How long a race waits at the most for connections to close that are given up.
CLOSING_SECONDS = 5.0


class Remote(Strategy):
    """Any server with an OpenAI-compatible address: vLLM, SGLang, TGI, llama.cpp, `transformers serve`.

    This is how an engine that needs more than one machine stands next to the local loops. What is timed is what this
    machine sees, from sending the request to each piece of text: the way through the network and the wait for other
    users are in it, and it cannot be subtracted. Such a server cannot be made to wait for its turn, so this lane
    runs when the lanes of this machine are over, and the device here is free for others then. Tokens are counted
    by the log-probabilities that come with them, or by the server's own count at the end. It warms up with another
    prompt than yours, which the server would otherwise have in its cache; from earlier races it may.

    With a concurrency above 1 it sends as many equal requests at once. The lane's own figures are those of the first;
    the verdict has what all of them got together. Servers are built for that: each request waits longer, all together
    get far more tokens a second. Equal prompts are the best case of a server that keeps prefixes.
    """

    id = "remote"
    name = "Remote"
    summary = "A server on another machine decodes; what is timed is what arrives here."
    lossless = False
    picture = Picture(computes="elsewhere", keeps="elsewhere")
    elsewhere = True
    no_candidates = "Another machine chose the tokens: what it chose them from is not known here."

    engine: str = option(
        "default",
        "Engine",
        "Which of the engines that this app's operator has named; default is the first of them.",
        choices=("default",),
        named_in="KVDEMO_REMOTE_URLS",
    )

    concurrency: int = option(
        1, "Concurrency", "Equal requests that are sent at once; the text is that of the first.", low=1, high=64
    )

    served = ""

    def __init__(self, **values: float | str) -> None:
        super().__init__(**values)
        self.engine = named_servers.resolve(self.engine)
        self._requests: EqualRequests | None = None
        self._together: RequestTotals | None = None

    def unavailable_reason(self, model: LoadedModel) -> str | None:  # noqa: ARG002 - it is not the model that decides
        try:
            named_servers.get(self.engine)
        except BadInput as error:
            return str(error)
        if importlib.util.find_spec("openai") is None:
            return "it needs the package openai: install it with pip."
        return None

    def decode(self, job: Job) -> Iterator[Step]:
        from kvdemo.strategies.remote import openai_client  # noqa: PLC0415 - its package need not be installed

        if unknown := sorted(job.sampling.changed.keys() - set(_ASKED_FOR)):
            raise BadInput(
                f"A remote server is asked for {', '.join(_ASKED_FOR)}, and may ignore {unknown[0]}: leave it out."
            )
        engine = named_servers.get(self.engine)
        server = openai_client.server(engine)
        self.served = model = server.model_for(job.model.id)

        def ask() -> Iterator[Step]:
            most = job.max_new_tokens
            return steps_of(server.events(model, job.prompt, job.sampling, most), engine, most)

        self._requests = EqualRequests(ask, self.concurrency, job.max_new_tokens)
        yield from self._requests.first()

    def settle(self, stop: CancelToken) -> RequestTotals | None:
        if requests := self._requests:
            self._together = requests.wait(stop)
            requests.give_up(CLOSING_SECONDS, stop)
        return self._together

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
        return said + (self._on_all(self._together) if self._together else [])

    def _on_all(self, all_of: RequestTotals) -> list[str]:
        """Say what all requests got together and what one of them waited for; how many texts are equal; who failed."""
        count, latency = len(all_of.each) - len(all_of.failed), all_of.latency
        rate = f", {units.figures(all_of.tokens_per_s)} tokens/s together" if all_of.tokens_per_s else ""
        said = [
            f"{self.info.name}: {count} equal requests at once were answered with "
            f"{units.count(all_of.tokens, 'token')} in {units.seconds(all_of.seconds)}{rate}; one of them took "
            f"{units.seconds(latency.p50)} (median, at most {units.seconds(latency.max)})."
        ]
        if all_of.failed:
            said.append(
                f"{len(all_of.failed)} of the {len(all_of.each)} requests failed, the first because: {all_of.failed[0]}"
            )
        equal = (
            f"all {count} are equal" if all_of.equal_texts == count else f"{all_of.equal_texts} of {count} are this one"
        )
        return [*said, f"The text shown is that of request 1; {equal}."]
