"""Ask a server with OpenAI's protocol: vLLM, SGLang, TGI, llama.cpp, `transformers serve`.

The operator of the app names it (`kvdemo.strategies.remote.named_servers`). Nothing that the server says about an error
is repeated or logged: it may quote the key.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import openai

from kvdemo.core.errors import BadInput
from kvdemo.models.text.codec import Prompt
from kvdemo.samplers import Rule
from kvdemo.strategies.remote.named_servers import Engine

# A server that sends nothing for so long is given up; one that cannot even be reached, sooner.
SILENCE_SECONDS, CONNECT_SECONDS = 60.0, 5.0
# What tells how many tokens an event stands for, the finest first. A server that refuses one is asked for the next.
_STANDARD = ("temperature", "top_p", "seed")
_USAGE = {"stream_options": {"include_usage": True}}
_COUNTS: tuple[Mapping[str, Any], ...] = ({"logprobs": 1, **_USAGE}, _USAGE, {})


@dataclass(frozen=True, slots=True)
class Event:
    """One event of the stream, as far as it matters here.

    text      what it adds to the answer
    tokens    the text of each token in it, and `logprobs` theirs, NaN where one is not known; both empty where the
              server does not tell
    total     tokens written so far by the server's own count; None where this event does not tell
    cached    prompt tokens that the server had in its own cache; None where it does not tell
    finish    why the text ends with this event ("stop", "length"); None before that
    """

    text: str
    tokens: tuple[str, ...] = ()
    logprobs: tuple[float, ...] = ()
    total: int | None = None
    cached: int | None = None
    finish: str | None = None


@functools.cache
def server(engine: Engine) -> Server:
    """Return the server of an engine; its connections are kept for the next request."""
    return Server(engine)


class Server:
    """Connections to one server, and what it was found to understand."""

    def __init__(self, engine: Engine) -> None:
        # No second tries: they would be in the time to the first token.
        timeout = openai.Timeout(SILENCE_SECONDS, connect=CONNECT_SECONDS)
        self._engine = engine
        self._client = openai.OpenAI(base_url=engine.url, api_key=engine.key or "none", max_retries=0, timeout=timeout)
        self._counts: Sequence[Mapping[str, Any]] = _COUNTS
        self._listed: list[str] | None = None

    def model_for(self, loaded: str) -> str:
        """Return what the server calls the model. Raises BadInput."""
        if self._engine.model:
            return self._engine.model
        with _told(self._engine):
            if self._listed is None:
                try:
                    self._listed = [str(model.id) for model in self._client.models.list()]
                except openai.NotFoundError:  # a list is more than some servers offer
                    self._listed = []
        return self._listed[0] if len(self._listed) == 1 else loaded

    def events(self, model: str, prompt: Prompt, sampling: Rule, most: int) -> Iterator[Event]:
        """Yield the answer as it comes, of at most `most` tokens; the server stops when this iterator is closed.

        Raises BadInput.
        """
        with _told(self._engine), self._open(model, prompt, sampling, most) as stream:
            for chunk in stream:
                yield _event(chunk)

    def _open(self, model: str, prompt: Prompt, sampling: Rule, most: int) -> openai.Stream[Any]:
        wanted = {
            "model": model,
            "max_tokens": most,
            **request_fields(sampling),
            "stream": True,
        }
        known = self._counts  # several requests may find out at once
        for tried, counts in enumerate(known):
            try:
                stream = self._create(prompt, {**wanted, **counts})
            except (openai.BadRequestError, openai.UnprocessableEntityError):
                if tried == len(known) - 1:
                    raise
            else:
                self._counts = known[tried:]
                return stream
        raise AssertionError("the last try returns or raises")

    def _create(self, prompt: Prompt, request: dict[str, Any]) -> openai.Stream[Any]:
        """Ask for a chat where the prompt is one, so that the server applies its own template; else for raw text."""
        create: Callable[..., openai.Stream[Any]]
        if prompt.message is None:
            create = self._client.completions.create
            return create(prompt=prompt.text, **request)
        if "logprobs" in request:
            request["logprobs"] = True
        create = self._client.chat.completions.create
        return create(messages=[{"role": "user", "content": prompt.message}], **request)


def request_fields(sampling: Rule) -> dict[str, Any]:
    """Write the sampling settings as a request has them. Those that are not OpenAI's are sent where they are set."""
    changed, values = sampling.changed, sampling.values
    own = {name: value for name, value in changed.items() if name not in _STANDARD}
    return {name: values[name] for name in _STANDARD} | ({"extra_body": own} if own else {})


def _event(chunk: Any) -> Event:
    """Read a chunk, of a chat or of raw text. Raises what a chunk of another form leads to."""
    usage = getattr(chunk, "usage", None)
    details = getattr(usage, "prompt_tokens_details", None)
    total, cached = _count(usage and usage.completion_tokens), _count(details and details.cached_tokens)
    if not len(chunk.choices):
        return Event("", total=total, cached=cached)
    choice = chunk.choices[0]
    delta = getattr(choice, "delta", None)
    texts = (getattr(delta, name, None) for name in ("content", "reasoning_content", "reasoning"))
    text = choice.text if delta is None else next(filter(None, texts), "")
    tokens, logprobs = _logprobs(choice)
    return Event(str(text or ""), tokens, logprobs, total, cached, choice.finish_reason)


def _count(told: Any) -> int | None:
    """Read a number of tokens, None where it is not told. Raises ValueError for what is none."""
    if told is None:
        return None
    if isinstance(told, bool) or not isinstance(told, int) or told < 0:
        raise ValueError("is no number of tokens")
    return told


def _logprobs(choice: Any) -> tuple[tuple[str, ...], tuple[float, ...]]:
    told = getattr(choice, "logprobs", None)
    if content := getattr(told, "content", None):
        # llama.cpp answers raw text in this form too, where the client makes no objects of it.
        entries = [one if isinstance(one, Mapping) else vars(one) for one in content]
        return _paired([one.get("token") for one in entries], [one.get("logprob") for one in entries])
    return _paired(getattr(told, "tokens", None) or (), getattr(told, "token_logprobs", None) or ())


def _paired(tokens: Sequence[Any], logprobs: Sequence[Any]) -> tuple[tuple[str, ...], tuple[float, ...]]:
    """Pair as many of the one as of the other: what a server leaves out is "" or NaN, and each list counts tokens."""
    pairs = list(itertools.zip_longest(tokens, logprobs))
    numbers = (math.nan if logprob is None else float(logprob) for _, logprob in pairs)
    return (
        tuple("" if token is None else str(token) for token, _ in pairs),
        tuple(number if math.isfinite(number) else math.nan for number in numbers),
    )


@contextmanager
def _told(engine: Engine) -> Iterator[None]:
    """Say what goes wrong with a server, as one sentence of ours."""
    it = engine.called
    try:
        yield
    except openai.APITimeoutError:
        raise BadInput(f"{it} sent nothing for {SILENCE_SECONDS:.0f} s: look after it, or ask for less.") from None
    except openai.APIConnectionError:
        raise BadInput(
            f"{it} cannot be reached, or broke the connection: see that it runs at {engine.variable}, and try again."
        ) from None
    except (openai.AuthenticationError, openai.PermissionDeniedError):
        raise BadInput(f"{it} refuses the key: set {engine.key_variable} to one that it takes.") from None
    except (openai.BadRequestError, openai.NotFoundError) as error:
        raise BadInput(
            f"{it} refuses the request ({error.status_code}): set {engine.model_variable} to a model that it has, and "
            f"see that {engine.variable} ends as it should, mostly in /v1."
        ) from None
    except openai.APIStatusError as error:
        raise BadInput(f"{it} failed ({error.status_code}): its own log says why.") from None
    except (openai.OpenAIError, ValueError, TypeError, AttributeError, LookupError):
        raise BadInput(f"{it} sends no stream of completions: see what {engine.variable} points to.") from None
