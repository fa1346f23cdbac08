"""Ask a running app as a program does: by Gradio's HTTP interface, with nothing of Gradio's client in between."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
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
        over: Message = {}
        async for message in self.messages():
            if message["msg"] == "process_completed":
                over = message
        return over

    async def _endpoint(self, name: str) -> tuple[int, list[Message]]:
        if name not in self._endpoints:
            config = (await self._client.get(f"{self._api.removesuffix('gradio_api')}config")).json()
            number = next(one["id"] for one in config["dependencies"] if one["api_name"] == name)
            info = (await self._client.get(f"{self._api}/info")).json()
            self._endpoints[name] = number, info["named_endpoints"][f"/{name}"]["parameters"]
        return self._endpoints[name]
