"""Make attacks: hostile values in every place where an app takes a value."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from fastapi.routing import APIRoute
from starlette.routing import BaseRoute, Route

from tests.hostile.accepted import Event, events, routes
from tests.hostile.values import BODIES, HEADER_VALUES, HEADERS, TEXTS, VALUES


@dataclass(frozen=True)
class Attack:
    """One hostile request.

    session  the session to whose events it listens; "" for none
    called   whether it listens to the event that it is given
    """

    name: str
    method: str
    path: str
    body: bytes | None = None
    headers: Mapping[str, str | bytes] = field(default_factory=dict)
    session: str = ""
    called: bool = False


def attacks(url: str) -> list[Attack]:
    """All attacks on the app at an address, each in a session of its own."""
    known = events(url)
    listing = next(one for one in known if one.name == "strategies")
    joined = (one for event in known for one in _on_values(event))
    called = (one for event in known for one in _on_calls(event))
    return [*joined, *called, *_on_the_queue(listing), *_on_routes(routes()), *_on_headers(listing)]


_numbers = itertools.count()


def _session() -> str:
    return f"hostile{next(_numbers)}"


def _json(parts: Mapping[str, str]) -> bytes:
    return ("{" + ",".join(f"{json.dumps(name)}:{value}" for name, value in parts.items()) + "}").encode()


def _joining(name: str, session: str, parts: Mapping[str, str], **more: Any) -> Attack:
    return Attack(name, "POST", "gradio_api/queue/join", _json(parts), JSON, session, **more)


JSON: Mapping[str, str | bytes] = {"content-type": "application/json"}


def _event(event: Event, session: str, values: Iterable[str]) -> dict[str, str]:
    return {"data": f"[{','.join(values)}]", "fn_index": str(event.number), "session_hash": json.dumps(session)}


def _on_values(event: Event) -> Iterator[Attack]:
    """Every value of an event in turn, as every kind of hostile value, and too few and too many values."""
    if not event.queued:
        return
    called = event.name or event.number
    for parameter, (kind, value) in itertools.product(event.takes, VALUES.items()):
        own, values = _session(), {**event.takes, parameter: value}.values()
        yield _joining(f"{called}: {parameter} is {kind}", own, _event(event, own, values))
    for count in {0, len(event.takes) - 1, len(event.takes) + 1, 500} - {-1, len(event.takes)}:
        own = _session()
        filled = [*event.takes.values(), *["null"] * 500][:count]
        yield _joining(f"{called}: {count} values", own, _event(event, own, filled))


def _on_calls(event: Event) -> Iterator[Attack]:
    """The other ways to an event: by name, with parameters by name or by place, in the queue or outside of it."""
    if not event.name:
        return
    data = b'{"data":[' + ",".join(event.takes.values()).encode() + b"]}"
    for way in ("call", "call/v2", "run", "api"):
        path = f"gradio_api/{way}/{quote(event.name)}"
        own = {**event.takes, "turbo": "1"} if way == "call/v2" else {"data": f"[{','.join(event.takes.values())}, 1]"}
        yield Attack(f"{path}: a value too many", "POST", path, _json(own), JSON, called=True)
        for kind, body in BODIES.items():
            yield Attack(f"{path}: {kind}", "POST", path, body, JSON, called=True)
        yield Attack(f"{path}: another type", "POST", path, data, {"content-type": "text/plain"}, called=True)
        if not event.queued and way == "run":
            for parameter, (kind, value) in itertools.product(event.takes, VALUES.items()):
                values = ",".join({**event.takes, parameter: value}.values())
                yield Attack(f"{path}: {parameter} is {kind}", "POST", path, f'{{"data":[{values}]}}'.encode(), JSON)


#: What a request to join says beside its values.
JOINING = (
    "session_hash", "fn_index", "data", "event_data", "trigger_id", "event_id", "batched", "simple_format",
    "oauth_token",
)  # fmt: skip


def _on_the_queue(event: Event) -> Iterator[Attack]:
    """What an event says beside its values; events that there are not."""
    for part, (kind, value) in itertools.product(JOINING, VALUES.items()):
        own = _session()
        listened = own if part not in ("session_hash", "fn_index") else ""
        yield _joining(f"join: {part} is {kind}", listened, {**_event(event, own, []), part: value})
    for number in (-1, 10**6, 2**70):
        yield _joining(f"join: event {number}", "", {"data": "[]", "fn_index": str(number), "session_hash": '"nobody"'})
    twice = b'{"data": [], "data": {}, "fn_index": 0, "fn_index": 1e400, "session_hash": "a", "session_hash": null}'
    yield Attack("join: every key twice", "POST", "gradio_api/queue/join", twice, JSON)


def _on_routes(all_routes: Iterable[BaseRoute]) -> Iterator[Attack]:
    """Every address: each part of it and each parameter of it as each hostile text, each body, each other method."""
    for route in all_routes:
        if not isinstance(route, Route | APIRoute) or "queue/join" in route.path or "/dev/reload" in route.path:
            continue
        for method in sorted(route.methods or ()):
            yield from _on_route(route, method)
        yield Attack(f"PATCH {route.path}", "PATCH", _filled(route.path, {}))


def _on_route(route: Route | APIRoute, method: str) -> Iterator[Attack]:
    def attack(name: str, path: str, **more: Any) -> Attack:
        return Attack(f"{method} {route.path}: {name}", method, path, **more)

    plain = _filled(route.path, {})
    yield attack("as it is", plain)
    short = {kind: text for kind, text in TEXTS.items() if len(text) < 10_000}
    for part, (kind, text) in itertools.product(_PART.findall(route.path), short.items()):
        yield attack(f"{part[0]} is {kind}", _filled(route.path, {part[0]: text}))
    asked = [one.alias for one in route.dependant.query_params] if isinstance(route, APIRoute) else []
    for parameter, (kind, text) in itertools.product([*asked, "unknown"], short.items()):
        others = "".join(f"&{quote(one)}=nobody" for one in asked if one != parameter)
        yield attack(f"?{parameter} is {kind}", f"{plain}?{quote(parameter)}={quote(text, safe='')}{others}")
    if method == "POST":
        for kind, body in BODIES.items():
            yield attack(kind, plain, body=body, headers=JSON)
            yield attack(f"{kind} as a form", plain, body=body, headers=FORM)
        for name, (kind, value) in itertools.product(_fields(route), VALUES.items()):
            own = dict.fromkeys(_fields(route), '"nobody"') | {name: value}
            yield attack(f"{name} is {kind}", plain, body=_json(own), headers=JSON)


FORM: Mapping[str, str | bytes] = {"content-type": "multipart/form-data; boundary=b"}
#: A part of an address that a request fills in, and of what kind it is.
_PART = re.compile(r"\{(\w+)(:\w+)?\}")
#: What these read from a body without saying so.
_READ = {"/gradio_api/component_server": ("data", "component_id", "session_hash", "fn_name")}


def _fields(route: Route | APIRoute) -> list[str]:
    if not isinstance(route, APIRoute):
        return []
    models = [one.field_info.annotation for one in route.dependant.body_params]
    named = [name for model in models for name in getattr(model, "model_fields", {})]
    return [*named, *_READ.get(route.path.rstrip("/"), ())]


def _filled(path: str, parts: Mapping[str, str]) -> str:
    """An address with its parts filled in, without its first slash."""
    filled = _PART.sub(lambda found: quote(parts.get(found[1], "nobody"), safe=""), path)
    return filled.lstrip("/").replace(".", "%2E") if parts else filled.lstrip("/")


def _on_headers(event: Event) -> Iterator[Attack]:
    """Headers, for the page and for an event."""
    for header, (kind, value) in itertools.product(HEADERS, HEADER_VALUES.items()):
        sent = {header: value.encode("latin-1")}
        yield Attack(f"{header} is {kind}", "GET", "", headers=sent)
        own = _session()
        body = _json(_event(event, own, event.takes.values()))
        yield Attack(f"join with {header}: {kind}", "POST", "gradio_api/queue/join", body, {**JSON, **sent}, own)
    yield Attack("preflight", "OPTIONS", "", headers={"Origin": b"[", "Access-Control-Request-Method": b"\xff"})
