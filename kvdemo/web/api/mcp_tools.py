"""Offer the endpoints of the API as tools of the Model Context Protocol (MCP), by Gradio's own server for it.

A tool waits in line with everybody else and answers with the last document of its endpoint. Its run is one of whoever
asks, and ends when he leaves. Imported only where it is asked for: the package `mcp` is an optional dependency.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing
from functools import partial
from typing import Any

import gradio as gr
import mcp.types
from gradio.mcp import GradioMCPServer
from mcp.server import Server
from starlette.routing import BaseRoute, Mount

from kvdemo.core.errors import BadInput
from kvdemo.core.figures.units import count
from kvdemo.core.settings.declaration import Setting, offered, read_value
from kvdemo.core.settings.inside import InsideRequest
from kvdemo.core.settings.measure import MeasureRequest
from kvdemo.core.settings.race import RaceRequest
from kvdemo.core.settings.validation import show
from kvdemo.core.visitor import one_visitors
from kvdemo.costs.planner import PlanRequest
from kvdemo.web.api.mcp_messages import messages_alone

#: The address, which Gradio's server looks for in what it is asked.
ADDRESS = "/gradio_api/mcp"
#: The settings of each tool, by the name of its endpoint.
TOOLS: Mapping[str, Mapping[str, Setting]] = {
    "race": offered(RaceRequest),
    "measure": offered(MeasureRequest),
    "plan": offered(PlanRequest),
    "inside": offered(InsideRequest),
    "models": {},
    "strategies": {},
}
#: Those that run for as long as their caller waits. Gradio asks for a tool by way of its own server, which would go on.
RUNS = frozenset({"race", "measure", "inside"})
#: What is answered beside the greeting. Gradio would offer each endpoint as a prompt too, and run it without any check.
ANSWERED = (mcp.types.PingRequest, mcp.types.ListToolsRequest, mcp.types.CallToolRequest)
#: Questions of one address that may be open. Gradio asks them from this machine, so the queue cannot tell who asked.
MOST_OF_ADDRESS = 8
CROWDED = f"{MOST_OF_ADDRESS} questions from your address are open: ask again when one is answered."
#: Between two words on how far a run is.
TELL_SECONDS = 1.0
Schema = dict[str, Any]
Result = mcp.types.ServerResult
Ask = Callable[[], Awaitable[Result]]


def launch_options(blocks: gr.Blocks, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of `launch()` with the address of the tools of `blocks` added to them."""
    server = _Server(blocks)
    routes: list[BaseRoute] = [
        Mount(ADDRESS, messages_alone(server.handle_streamable_http)),
        *options["app_kwargs"]["routes"],
    ]
    return {**options, "app_kwargs": {**options["app_kwargs"], "routes": routes, "lifespan": server.lifespan}}


class _Server(GradioMCPServer):
    """Gradio's server, which would offer every endpoint, know no bounds, and write documents as Python does."""

    @property
    def local_url(self) -> str | None:
        """Where the server finds its own endpoints: never by way of a proxy."""
        return self.blocks.local_url

    def create_mcp_server(self) -> Server:
        server: Server = super().create_mcp_server()
        answer = server.request_handlers[mcp.types.CallToolRequest]
        asking: dict[str, set[asyncio.Future[Result]]] = {}  # the open questions of each address

        async def answer_if_right(request: mcp.types.CallToolRequest) -> Result:
            given = {name: value for name, value in (request.params.arguments or {}).items() if value is not None}
            request.params.arguments = given
            name = request.params.name.removeprefix(self.tool_prefix)
            if name not in TOOLS:
                return _result(f"There is no tool {show(name)}.", failed=True)
            try:
                check(TOOLS[name], given)
            except BadInput as error:
                return _result(str(error), failed=True)
            if name in RUNS:  # of which each visitor has few (kvdemo/server/admission.py)
                return await self._run(name, given)
            return await self._in_place(asking, partial(answer, request))

        server.request_handlers = {kind: server.request_handlers[kind] for kind in ANSWERED}
        server.request_handlers[mcp.types.CallToolRequest] = answer_if_right
        return server

    async def _in_place(self, asking: dict[str, set[asyncio.Future[Result]]], ask: Ask) -> Result:
        """Ask a question in a place of whoever asks. He who leaves keeps it until the answer: the server goes on."""
        client = getattr(self.mcp_server.request_context.request, "client", None)
        address = one_visitors(client.host) if client else ""
        places = asking.setdefault(address, set())
        if len(places) >= MOST_OF_ADDRESS:
            return _result(CROWDED, failed=True)
        task = asyncio.ensure_future(ask())

        def leave(_: object) -> None:
            places.discard(task)
            if not places:
                asking.pop(address, None)

        places.add(task)
        task.add_done_callback(leave)
        return await asyncio.shield(task)

    async def _run(self, name: str, given: Mapping[str, Any]) -> Result:
        """Run an endpoint to its end. It is cancelled when the client closes its connection."""
        context = self.mcp_server.request_context
        found = self.get_block_fn_from_endpoint_name(f"/{name}")
        assert found and found.fn  # noqa: S101 - it is one of TOOLS
        last: dict[str, Any] = {}
        told_at, told = float("-inf"), 0
        try:
            async with aclosing(found.fn(gr.Request(context.request), **given)) as states:
                async for last in states:
                    if context.meta and context.meta.progressToken and time.monotonic() - told_at >= TELL_SECONDS:
                        told_at, told = time.monotonic(), told + 1
                        await context.session.send_progress_notification(
                            context.meta.progressToken,
                            told,
                            message=_how_far(last),
                            related_request_id=str(context.request_id),
                        )
        except gr.Error as error:
            return _result(str(error.message), failed=True)
        return _result(json.dumps(last))

    def get_tool_to_endpoint(self) -> dict[str, str]:
        return {self.tool_prefix + name: f"/{name}" for name in TOOLS}

    def get_input_schema(
        self, tool_name: str, parameters: dict[str, str] | None = None
    ) -> tuple[Schema, list[list[str | int]]]:
        schema, files = super().get_input_schema(tool_name, parameters)
        settings = TOOLS[tool_name.removeprefix(self.tool_prefix)]
        for one in self.api_info["named_endpoints"][self.tool_to_endpoint[tool_name]]["parameters"]:
            its = schema["properties"][one["parameter_name"]]
            its.update(bounds(settings[one["parameter_name"]]))
            if (default := one["parameter_default"]) is not None:
                its["default"] = default  # Gradio leaves out 0 and false
        return {**schema, "additionalProperties": False}, files

    def postprocess_output_data(self, data: Any, root_url: str) -> list[Any]:  # noqa: ARG002 - no document has files
        return [mcp.types.TextContent(type="text", text=json.dumps(output)) for output in data]


def _result(text: str, *, failed: bool = False) -> Result:
    content: list[Any] = [mcp.types.TextContent(type="text", text=text)]
    return Result(mcp.types.CallToolResult(content=content, isError=failed))


def _how_far(state: Mapping[str, Any]) -> str | None:
    """Say in a few words how far a run is; None where its state has none."""
    if state.get("state") == "racing":
        return f"{count(sum(lane['tokens'] for lane in state['lanes']), 'token')} so far"
    return state.get("text") or None


def check(settings: Mapping[str, Setting], given: Mapping[str, Any]) -> None:
    """Raise BadInput for arguments that are wrong by themselves, in better words than a schema has for it."""
    for name, value in given.items():
        if name not in settings:
            raise BadInput(f"There is no setting {show(name)}.")
        read_value(settings[name], value)
    for name, setting in settings.items():
        if setting.missing and name not in ("prompt", *given):
            raise BadInput(setting.missing)


def bounds(setting: Setting) -> Schema:
    """Return what a setting allows in the words of JSON Schema."""
    match setting.kind:
        case "whole" | "number":
            low = "exclusiveMinimum" if setting.above_low else "minimum"
            return {low: setting.low, "maximum": setting.high}
        case "choice":
            return {"enum": [*setting.choices, *setting.spelt]}
        case "several":
            return {"items": {"type": "string", "enum": list(setting.choices)}}
        case "lanes":
            return {"minItems": 1, "maxItems": setting.most}
    return {}
