"""Ask a running app as a program or a page does: by Gradio's HTTP interface, with no client of Gradio's in between."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx

Message = dict[str, Any]


class Program:
    """A session with an app at an address ending in "/"; `joined` counts its events."""

    def __init__(self, client: httpx.AsyncClient, url: str, session: str) -> None:
        self._client, self._api, self.session = client, f"{url}gradio_api", session
        self._endpoints: dict[str, tuple[int, list[Message]]] = {}

    def beside(self, session: str) -> Program:
        """Another session with the same app, which need not ask the app for its endpoints again."""
        other = Program(self._client, "", session)
        other._api, other._endpoints = self._api, self._endpoints
        return other

    async def join(self, endpoint: str, **given: Any) -> httpx.Response:
        """Put an event into the queue, and do not listen to what comes of it."""
        number, _ = await self._endpoint(endpoint)
        body = {"data": await self.values(endpoint, **given), "fn_index": number, "session_hash": self.session}
        return await self._client.post(f"{self._api}/queue/join", json=body)

    async def use(self, element: str, event: str, filled: Mapping[str, Any] | None = None) -> httpx.Response:
        """Put an event of an element of the page into the queue, as a browser does, and do not listen to it.

        Controls hold what they do on a fresh page, except those that are `filled`, by the ids of their elements.
        """
        config = await self._config()
        components = {one["id"]: one["props"] for one in config["components"]}
        ids = {props.get("elem_id"): number for number, props in components.items()}
        found = next(
            one for one in config["dependencies"] if one["backend_fn"] and [ids[element], event] in one["targets"]
        )
        values = {number: components[number].get("value") for number in found["inputs"]}
        values |= {ids[name]: value for name, value in (filled or {}).items()}
        body = {"data": [*values.values()], "fn_index": found["id"], "session_hash": self.session}
        return await self._client.post(f"{self._api}/queue/join", json=body)

    async def over(self) -> Message:
        """Listen to the end; returns the last message of the last event: {"success", "output"}."""
        over: Message = {}
        async for message in self.messages():
            if message["msg"] == "process_completed":
                over = message
        return over

    async def values(self, endpoint: str, **given: Any) -> list[Any]:
        """The values of an endpoint's parameters, in their order; defaults where none are given."""
        _, parameters = await self._endpoint(endpoint)
        values = [given.pop(one["parameter_name"], one["parameter_default"]) for one in parameters]
        assert not given, f"{endpoint} has no parameters {given}"
        return values

    async def messages(self) -> AsyncIterator[Message]:
        """Listen until all events of the session are over."""
        async with self._client.stream(
            "GET", f"{self._api}/queue/data", params={"session_hash": self.session}
        ) as stream:
            async for line in stream.aiter_lines():
                if line.startswith("data:"):
                    yield json.loads(line.removeprefix("data:"))

    async def last(self, endpoint: str, **given: Any) -> Message:
        """Run an endpoint to its end; returns its last message: {"success", "output": {"data" or "error"}}."""
        (await self.join(endpoint, **given)).raise_for_status()
        return await self.over()

    async def _config(self) -> Any:
        return (await self._client.get(f"{self._api.removesuffix('gradio_api')}config")).json()

    async def _endpoint(self, name: str) -> tuple[int, list[Message]]:
        if name not in self._endpoints:
            config = await self._config()
            number = next(one["id"] for one in config["dependencies"] if one["api_name"] == name)
            info = (await self._client.get(f"{self._api}/info")).json()
            self._endpoints[name] = number, info["named_endpoints"][f"/{name}"]["parameters"]
        return self._endpoints[name]
