"""A client of the Model Context Protocol finds the tools, their settings and documents, and nothing else."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import AnyUrl

from kvdemo.core.errors import BadInput
from kvdemo.core.settings.declaration import Setting, offered
from kvdemo.core.settings.inside import InsideRequest
from kvdemo.core.settings.measure import MeasureRequest
from kvdemo.core.settings.race import RaceRequest
from kvdemo.core.types import Schedule
from kvdemo.costs.planner import PlanRequest
from tests.serving import served
from tests.web.loops import in_a_loop

pytest.importorskip("mcp")  # an optional dependency

from mcp import ClientSession, McpError
from mcp.client.streamable_http import streamable_http_client
from mcp.types import CallToolResult

from kvdemo.web.api.mcp_tools import TOOLS, check

pytestmark = pytest.mark.slow

SHORT: dict[str, Any] = {"prompt": "Hi", "max_new_tokens": 4, "strategies": ["no_cache"], "chat": False}
Ask = Callable[[Callable[[ClientSession], Coroutine[Any, Any, Any]]], Any]


@pytest.fixture(scope="module")
def url(tiny_folder: Path) -> Iterator[str]:
    settings = {
        "KVDEMO_MODEL": str(tiny_folder), "KVDEMO_DEVICE": "cpu", "KVDEMO_MCP": "1", "KVDEMO_MAX_TOKENS": "64",
        "KVDEMO_MAX_STEPS": "200",
    }  # fmt: skip
    with served(settings) as address:
        yield address


@pytest.fixture
def ask(url: str) -> Ask:
    async def asked(what: Callable[[ClientSession], Coroutine[Any, Any, Any]]) -> Any:
        async with (
            streamable_http_client(f"{url}gradio_api/mcp/") as (read, write, _),
            ClientSession(read, write) as session,
        ):
            await session.initialize()
            return await what(session)

    return lambda what: in_a_loop(asked(what))


@pytest.fixture
def call(ask: Ask) -> Callable[..., CallToolResult]:
    return lambda name, **arguments: ask(lambda session: session.call_tool(name, arguments))


def document(result: CallToolResult) -> Any:
    assert not result.isError, result.content
    (content,) = result.content
    return json.loads(content.text)


def test_only_the_tools_are_listed_and_their_settings_are_typed_and_bounded(ask: Ask) -> None:
    tools = {tool.name: tool for tool in ask(lambda session: session.list_tools()).tools}
    assert set(tools) == {"race", "measure", "plan", "inside", "models", "strategies"}
    race = tools["race"].inputSchema["properties"]
    assert race["max_new_tokens"].items() >= {"type": "integer", "minimum": 1, "default": 128}.items()
    assert race["schedule"]["enum"] == list(get_args(Schedule))
    assert race["ignore_eos"] == {"type": "boolean", "default": False, "description": race["ignore_eos"]["description"]}
    assert all(setting["description"] for setting in race.values())
    assert tools["plan"].inputSchema["required"] == ["memory_gb", "bandwidth_gb_s"]
    assert tools["race"].description


@pytest.mark.parametrize("progress", [False, True])
def test_a_race_answers_with_its_document(ask: Ask, progress: bool) -> None:
    told: list[Any] = []

    async def note(*update: Any) -> None:
        told.append(update)

    found = document(
        ask(lambda session: session.call_tool("race", SHORT, progress_callback=note if progress else None))
    )
    assert [len(lane["tokens"]) for lane in found["lanes"]] == [4]
    assert found["verdict"]["headline"]
    assert bool(told) is progress


@pytest.mark.parametrize("fill", ["1,", "1", ":", "a/", " ", "\U0001f600"])
@pytest.mark.parametrize("name", TOOLS)
def test_arguments_of_megabytes_are_checked_in_no_time(name: str, fill: str) -> None:
    """They are checked in the loop that answers everybody."""
    text = fill * (3_900_000 // len(fill))
    for given in [*({setting: value} for setting in TOOLS[name] for value in (text, [text])), {text: 1}]:
        began = time.thread_time()
        with contextlib.suppress(BadInput):
            check(TOOLS[name], given)
        assert time.thread_time() - began < 0.1, next(iter(given))[:80]


def test_the_other_tools_answer_with_their_documents(call: Callable[..., CallToolResult]) -> None:
    measured = document(call("measure", **SHORT, repeats=1, warmup=1))
    assert (measured["kind"], measured["status"]) == ("measure", "done")
    assert document(call("inside", prompt="Hi", panels=["steps"], max_new_tokens=2))["panels"].keys() == {"steps"}
    assert document(call("plan", memory_gb=24, bandwidth_gb_s=600, dtype="int8"))["kind"] == "plan"
    assert "SmolLM2-135M-Instruct" in [model["id"] for model in document(call("models"))]
    assert "dynamic_cache" in [strategy["id"] for strategy in document(call("strategies"))]


@pytest.mark.parametrize(
    ("name", "arguments", "sentence"),
    [
        ("race", {"strategies": ["nope"]}, "There is no strategy 'nope': choose from "),
        ("race", {"max_new_tokens": 0}, "must be a whole number from 1 to 1,000,000, not 0."),
        ("race", {"max_new_tokens": 65}, "This server writes at most 64 tokens a lane: ask for at most 64 new tokens."),
        (
            "race",
            {"strategies": ["no_cache"] * 5, "max_new_tokens": 64},
            "That is 320 tokens to decode, and this server allows 200 a race: ask for at most 40 new tokens.",
        ),
        ("race", {"prompt": "word " * 300_000}, "The prompt has 1,500,000 characters, and this server reads 200,000"),
        ("measure", {"prompt": "word " * 300_000}, "1,500,000 characters, and this server reads 200,000"),
        ("race", {"tokens": 5}, "There is no setting 'tokens'."),
        ("plan", {"memory_gb": 24}, "The memory bandwidth in GB/s is missing"),
        ("models", {"prompt": "Hi"}, "There is no setting 'prompt'."),
    ],
)
def test_a_refused_tool_call_is_answered_in_one_sentence(
    call: Callable[..., CallToolResult], name: str, arguments: dict[str, Any], sentence: str
) -> None:
    result = call(name, **arguments)
    assert result.isError
    (content,) = result.content
    assert sentence in content.text
    assert "Traceback" not in content.text
    assert "\n" not in content.text


@pytest.mark.parametrize("name", ["candidates", "samplers", "on_arrival", "on_leave"])
def test_endpoints_of_the_page_are_no_tools(call: Callable[..., CallToolResult], name: str) -> None:
    assert call(name, run="a", lane=0, token=0).isError
    assert call(name).isError


def test_prompts_and_resources_are_neither_offered_nor_answered(ask: Ask) -> None:
    """Gradio would run an endpoint for a prompt of its name, beside all checks."""

    async def rest(session: ClientSession) -> None:
        offered_ = session.get_server_capabilities()
        assert offered_ and offered_.tools and not (offered_.prompts or offered_.resources)
        questions = (
            session.list_prompts(), session.get_prompt("strategies"), session.get_prompt("race", {"prompt": "Hi"}),
            session.list_resources(), session.list_resource_templates(), session.read_resource(AnyUrl("file:///x")),
        )  # fmt: skip
        for question in questions:
            with pytest.raises(McpError, match="Method not found"):
                await question

    ask(rest)


def test_empty_settings_take_their_defaults(call: Callable[..., CallToolResult]) -> None:
    found = document(call("race", **SHORT, model=None, seed=None))
    assert found["settings"]["seed"] == 0


def test_each_setting_of_a_tool_is_declared_described_and_bounded(ask: Ask) -> None:
    tools = {tool.name: tool for tool in ask(lambda session: session.list_tools()).tools}
    declared = {"race": RaceRequest, "measure": MeasureRequest, "plan": PlanRequest, "inside": InsideRequest}
    for name, tool in tools.items():
        properties = tool.inputSchema["properties"]
        settings = offered(declared[name]) if name in declared else {}
        assert tool.description
        assert properties.keys() == settings.keys()
        assert tool.inputSchema["additionalProperties"] is False
        for key, its in properties.items():
            assert settings[key].about in its["description"], (name, key)
            _check_bounds(its, settings[key])


def _check_bounds(schema: dict[str, Any], setting: Setting) -> None:
    match setting.kind:
        case "whole" | "number":
            assert schema["type"] == ("integer" if setting.kind == "whole" else "number")
            low = schema["exclusiveMinimum"] if setting.above_low else schema["minimum"]
            assert (low, schema["maximum"]) == (setting.low, setting.high)
            assert "default" not in schema or low <= schema["default"] <= schema["maximum"]
        case "switch":
            assert schema["type"] == "boolean"
        case "choice":
            assert schema["enum"][: len(setting.choices)] == list(setting.choices)
        case "lanes" | "several":
            assert schema["type"] == "array"
            assert schema["items"]["type"] == "string"
        case _:
            assert schema["type"] == "string"
