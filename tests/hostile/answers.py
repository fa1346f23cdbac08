"""Send attacks, and tell what is wrong with their answers."""

from __future__ import annotations

import asyncio
import json
import re
import sysconfig
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx

from tests.hostile.accepted import PATIENCE
from tests.hostile.attacks import Attack
from tests.serving import ROOT

#: Requests that are under way at a time, fewer than the runs that a server lets wait.
AT_ONCE = 12
#: Seconds that it listens to a stream that goes on as long as anybody does, and characters that it reads.
LISTENING, MOST_READ = 1.0, 3_000_000

#: What no visitor may read: a traceback, an accident, where this program lies.
TOLD_TOO_MUCH = re.compile(
    "|".join(["Traceback", r'File \\?"', "went wrong on the server", *map(re.escape, {
        str(ROOT), sysconfig.get_path("purelib"), sysconfig.get_path("stdlib"),
    })])
)  # fmt: skip
#: The name of a Python class of exceptions, which explains nothing to a visitor.
CLASS_NAME = re.compile(r"\b[A-Z][a-z]\w*(?:Error|Exception)\b|<class ")
LONGEST_SENTENCE = 600


@dataclass(frozen=True)
class Answer:
    """What came back: the code, the text, and the messages of the event."""

    code: int
    text: str
    messages: tuple[dict[str, Any], ...] = ()


async def send(client: httpx.AsyncClient, url: str, attack: Attack) -> Answer:
    """Send an attack, and listen to what comes of it."""
    content = {} if attack.body is None else {"content": attack.body}
    headers = [(name, value) for name, value in attack.headers.items()]
    request = client.build_request(attack.method, f"{url}{attack.path}", headers=headers, **content)  # type: ignore[arg-type]
    answer = await _read(client, request, LISTENING)
    if answer.code != 200:
        return answer
    if attack.session:
        heard = client.build_request("GET", f"{url}gradio_api/queue/data", params={"session_hash": attack.session})
    elif attack.called and "/call/" in attack.path:
        heard = client.build_request("GET", f"{url}{attack.path}/{json.loads(answer.text)['event_id']}")
    else:
        return answer
    told = await _read(client, heard, PATIENCE)
    return Answer(told.code, told.text, tuple(_messages(told.text)))


async def _read(client: httpx.AsyncClient, request: httpx.Request, listening: float) -> Answer:
    """An answer; of a stream of events what comes in so many seconds."""
    parts: list[str] = []
    response = await client.send(request, stream=True)
    streams = response.headers.get("content-type", "").startswith("text/event-stream")
    try:
        async with asyncio.timeout(listening if streams else PATIENCE):
            async for part in response.aiter_text():
                parts.append(part)
                if sum(map(len, parts)) > MOST_READ:
                    break
    except TimeoutError:
        pass
    finally:
        await response.aclose()
    return Answer(response.status_code, "".join(parts))


def _messages(text: str) -> Iterator[dict[str, Any]]:
    """The messages of a stream, those of a single event in the form of a session's."""
    kind = ""
    for line in text.splitlines():
        if line.startswith("event: "):
            kind = line.removeprefix("event: ")
        elif line.startswith("data: "):
            data = json.loads(line.removeprefix("data: "))
            if not kind:
                yield data
            elif kind in ("complete", "error"):
                output = data if isinstance(data, dict) else {"error": data}
                yield {"msg": "process_completed", "success": kind == "complete", "output": output}


def faults(attack: Attack, answer: Answer) -> list[str]:
    """What is wrong with an answer, each in a few words."""
    found = [f"answers {answer.code}"] if answer.code >= 500 else []
    if told := TOLD_TOO_MUCH.search(answer.text):
        found.append(f"tells {answer.text[max(0, told.start() - 200) : told.end() + 200]!r}")
    if answer.code >= 400:
        found += _unclear(_refusal(answer.text), attack)
    listens = bool(attack.session) or (attack.called and "/call/" in attack.path)
    if listens and answer.code == 200:
        ends = [one for one in answer.messages if one.get("msg") in ("process_completed", "unexpected_error")]
        if not ends:
            found.append(f"never ends: {answer.text[-300:]!r}")
        found += [
            fault
            for end in ends
            if not end.get("success")
            for fault in _unclear(end.get("message") or (end.get("output") or {}).get("error"), attack)
        ]
    return found


def _refusal(text: str) -> Any:
    try:
        told = json.loads(text)
    except ValueError:
        return text
    return told.get("detail", told.get("error")) if isinstance(told, dict) else told


def _unclear(sentence: Any, attack: Attack) -> list[str]:
    """What is wrong with the sentence of a refusal. To a HEAD nothing is said."""
    if attack.method == "HEAD" and not sentence:
        return []
    if not isinstance(sentence, str) or not sentence.strip():
        return [f"says {str(sentence)[:300]!r}"]
    found = [f"shows a class of Python: {sentence[:300]!r}"] if CLASS_NAME.search(sentence) else []
    if "\n" in sentence.strip() or len(sentence) > LONGEST_SENTENCE + len(attack.path):  # which it may quote
        found.append(f"is no sentence: {sentence[:300]!r}")
    return found


async def hit(url: str, chosen: Iterable[Attack]) -> dict[str, list[str]]:
    """Send attacks, many at a time; returns what is wrong with their answers, by the name of the attack."""
    wrong: dict[str, list[str]] = {}
    ahead = iter(chosen)

    async def work(client: httpx.AsyncClient) -> None:
        for attack in ahead:
            try:
                found = faults(attack, await send(client, url, attack))
            except httpx.HTTPError as error:
                found = [f"breaks off: {error!r}"]
            if found:
                wrong[attack.name] = found

    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(timeout=PATIENCE, limits=limits) as client, asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(work(client))
    return wrong
