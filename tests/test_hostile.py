"""What no Letta server says, but what answers at an address may: it ends in letta_nb's errors, or is left out."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from scripted import AGENT, STREAM, ScriptedServer, answer, response

import letta_nb
from letta_nb import errors, events, feed, history, transcripts
from letta_nb.capabilities import SINCE, server_info
from letta_nb.flows import segment
from letta_nb.run import Run

Route = tuple[str, str]
SEND: Route = ("POST", f"/v1/agents/{AGENT}/messages/stream")
HEALTH: Route = ("GET", "/v1/health/")
STEPS: Route = ("GET", "/v1/runs/run-1/steps")
METRICS: Route = ("GET", "/v1/steps/step-1/metrics")
MESSAGES: Route = ("GET", f"/v1/agents/{AGENT}/messages")
Call = Callable[..., Any]


def event(message_type: str, **facts: Any) -> bytes:
    return f"data: {json.dumps({'message_type': message_type, **facts})}\n\n".encode()


def said(text: str, **facts: Any) -> bytes:
    return event("assistant_message", id="message-1", content=text, **{"run_id": "run-1", "step_id": "step-1", **facts})


def parting(value: Any, status: str = "200 OK") -> bytes:
    """A JSON response whose connection ends with it, as one that is played does."""
    return response(json.dumps(value).encode(), status, connection="close")


END = event("stop_reason", stop_reason="end_turn") + b"data: [DONE]\n\n"


def _sync(url: str, name: str, *args: Any, door: Any = "messages/stream", **options: Any) -> Any:
    with letta_nb.Client(url, door=door) as client:
        got = getattr(client, name)(*args, **options)
        if name in ("stream", "attach"):
            with got as stream:
                return stream.run, list(stream)
        return list(got) if name in ("runs", "messages") else got


def _async(url: str, name: str, *args: Any, door: Any = "messages/stream", **options: Any) -> Any:
    async def main() -> Any:
        async with letta_nb.AsyncClient(url, door=door) as client:
            got = getattr(client, name)(*args, **options)
            if name in ("stream", "attach"):
                async with got as stream:
                    return stream.run, [event async for event in stream]
            return [item async for item in got] if name in ("runs", "messages") else await got

    return asyncio.run(main())


@pytest.fixture(params=[_sync, _async], ids=["Client", "AsyncClient"])
def call(request: pytest.FixtureRequest) -> Call:
    return request.param


# -- in a stream -------------------------------------------------------------------------------------------------------


def _deep() -> list[Any]:
    nested: list[Any] = []
    for _ in range(100_000):
        nested = [nested]
    return nested


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (5, "5"),
        (1.5, "1.5"),
        (True, "true"),
        ({"degrees": 5}, '{"degrees": 5}'),
        ([None, 5, ["a"], {"text": None}, {"text": {"a": 1}}, {"type": 7}], '5["a"]{"a": 1}[7]'),
        (_deep(), "[list]"),
        ({1: object()}, "[dict]"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_any_value_has_a_text(value: Any, text: str) -> None:
    assert events.text_of(value) == text


def test_an_answer_with_a_number_for_its_return_does_not_end_the_stream(call: Call) -> None:
    asked = {"name": "f", "arguments": "{}", "tool_call_id": "c1"}
    returned = {"type": "tool", "tool_call_id": "c1", "tool_return": 5, "status": "success"}
    body = event("approval_request_message", id="message-0", tool_call=asked, tool_calls=[asked])
    body += event("approval_response_message", id="message-2", approvals=[returned]) + said("after") + END
    with ScriptedServer([STREAM, body]) as server:
        run, _ = call(server.url, "stream", AGENT, "hi")
    assert run.text == "after"
    assert run.tool_calls[0].result == "5"


def test_a_figure_beyond_all_counting_is_no_figure() -> None:
    run = Run()
    run.receive(letta_nb.log.Received(1, "", said("hi").decode()[6:-2]))
    run.receive(letta_nb.log.Received(2, "", f'{{"message_type": "usage_statistics", "total_tokens": {10**400}}}'))
    run.end(3)
    run.steps[0].server.update(llm_request_ns=10**400, prompt_tokens=-(10**400), completion_tokens=3)
    changes = feed.snapshot(run)["changes"]
    usage = [change["set"]["usage"] for change in changes if change.get("op") == "run" and change["set"].get("usage")]
    assert [figures and figures["total_tokens"] for figures in usage] == [None]
    log = feed.ChangeLog()
    log.add(run, [letta_nb.entries.StepChanged(3, run.steps[0])])
    (step,) = log.changes()
    assert step["op"] == "step"
    assert (step["llm_ms"], step["input_tokens"], step["output_tokens"]) == (None, None, 3)


# -- refusals and answers of another shape ---------------------------------------------------------------------------


@pytest.mark.parametrize("location", [5, "body", None, {"a": 1}, [1, None], True])
def test_a_validation_error_of_any_shape_has_words(call: Call, location: Any) -> None:
    body = {"detail": [{"loc": location, "msg": "no such thing"}]}
    refusal = answer(body, "422 Unprocessable Entity")
    with ScriptedServer([refusal]) as server, pytest.raises(errors.ValidationError, match="no such thing"):
        call(server.url, "stream", AGENT, "hi")


@pytest.mark.parametrize("shape", [[], 5, None, "agent", {}, {"id": 5}, {"id": AGENT, "tags": "x"}])
def test_what_is_no_agent(call: Call, shape: Any) -> None:
    routes = {("GET", f"/v1/agents/{AGENT}"): answer(shape)}
    with ScriptedServer(routes=routes) as server, pytest.raises(errors.ProtocolError, match="no agent"):
        call(server.url, "agent", AGENT)


# -- ids in addresses --------------------------------------------------------------------------------------------------

IDS = ["run\n1", "x/../../../v1/agents/victim?", "a#b", "..", ".", "%2e%2e", "\ud800", "ü" * 70_000]


@pytest.mark.parametrize("name", IDS, ids=range(len(IDS)))
def test_an_id_is_one_segment_of_a_path(name: str) -> None:
    url = httpx.Request("GET", f"http://host/v1/runs/{segment(name)}/stream").url
    parts = url.raw_path.decode().split("/")
    assert (parts[:3], parts[4:]) == (["", "v1", "runs"], ["stream"])
    assert not url.query
    assert not url.fragment


@pytest.mark.parametrize("name", IDS, ids=range(len(IDS)))
def test_a_callers_id_reaches_no_other_route(call: Call, name: str) -> None:
    with ScriptedServer() as server:
        for ask in ("run", "attach", "steps"):
            with pytest.raises(errors.NotFound):
                call(server.url, ask, name)
        with pytest.raises(errors.NotFound):
            call(server.url, "stream", AGENT, "hi", conversation=name)
        with pytest.raises(errors.NotFound):
            call(server.url, "messages", AGENT, conversation=name)
    asked = [request.path.split("?")[0].split("/") for request in server.requests if request.path != HEALTH[1]]
    # a run without steps is asked for itself: it may be none
    assert [path[:3] for path in asked] == [["", "v1", "runs"]] * 4 + [["", "v1", "conversations"]] * 2
    assert [len(path) for path in asked] == [4, 4, 5, 4, 5, 5]


@pytest.mark.parametrize("name", [name for name in IDS if name != "\ud800"], ids=range(len(IDS) - 1))
def test_a_servers_run_id_is_taken_up_at_its_own_route(call: Call, name: str) -> None:
    stream = said("a", run_id=name, seq_id=1)
    with ScriptedServer(plays={SEND: [[STREAM, stream]]}) as server:
        run, _ = call(server.url, "stream", AGENT, "hi", background=True)
    assert run.text == "a"
    assert run.status == "interrupted"
    assert [(request.method, request.path) for request in server.requests] == [
        SEND,
        ("POST", f"/v1/runs/{segment(name)}/stream"),
    ]


def test_an_agents_name_that_no_address_can_hold(call: Call) -> None:
    with ScriptedServer() as server, pytest.raises(errors.InputError):
        call(server.url, "agent", "\ud800")


# -- versions ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["main", "", "7", "9" * 5000, "nightly-0", None, 5])
def test_what_is_no_version_is_not_told(version: Any) -> None:
    info = server_info(httpx.URL("http://x"), {"version": version})
    assert info.capabilities == frozenset(SINCE)


def test_versions_with_more_than_numbers() -> None:
    for version, able in (("v0.16.2rc1", True), ("0.16.8.dev3", True), ("0.9.1-alpha", False), ("1.0", True)):
        assert server_info(httpx.URL("http://x"), {"version": version}).can("client_tools") is able


def test_a_failed_question_is_asked_again() -> None:
    plays = {HEALTH: [[parting({}, "503 Service Unavailable")], [parting({"version": "0.7.16"})]]}
    with ScriptedServer(plays=plays) as server, letta_nb.Client(server.url) as client:
        assert client.server.can("background")
        assert not client.server.can("background")
        assert not client.server.can("background")
        assert len(server.requests) == 2


def test_a_door_that_would_answer_without_a_stream_is_not_knocked_at(call: Call) -> None:
    routes = {HEALTH: answer({"version": "0.7.16"})}
    with ScriptedServer([STREAM, said("hello") + END], routes) as server:
        run, _ = call(server.url, "stream", AGENT, "hi", door="messages")
    assert run.text == "hello"
    assert [(request.method, request.path) for request in server.requests] == [HEALTH, SEND]
    routes[HEALTH] = answer({"version": "0.16.8"})
    plays = {("POST", MESSAGES[1]): [[STREAM, said("hello") + END]]}
    with ScriptedServer(routes=routes, plays=plays) as server:
        run, _ = call(server.url, "stream", AGENT, "hi", door="messages")
    assert run.text == "hello"


# -- transcripts -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("usage", [{"prompt_tokens": "many"}, {"run_ids": 5}, {"total_tokens": 1.5}])
def test_an_odd_usage_does_not_refuse_a_transcript(usage: Any) -> None:
    lines = [{"type": "system", "model": "m"}, {"type": "result", "subtype": "success", "usage": usage}]
    (run,) = transcripts.read("\n".join(map(json.dumps, lines)))
    assert (run.status, run.usage, run.model) == ("completed", None, "m")


def test_a_transcripts_odd_lines_are_left_out() -> None:
    lines: list[dict[str, Any]] = [
        {"type": "user", "message": {"content": 5}, "timestamp": "0001-01-01T00:00:00Z"},
        {"type": "tool_execution_started", "tool_call_id": []},
        {"type": "result", "subtype": "success", "timestamp": "9999-12-31T00:00:00Z"},
    ]
    (run,) = transcripts.read("\n".join(map(json.dumps, lines)))
    assert (run.status, run.prompt) == ("completed", "5")
    for each in lines:
        each.setdefault("timestamp", "2026-01-01T00:00:00Z")
    (run,) = transcripts.read("\n".join(map(json.dumps, lines)))
    assert run.status == "completed"
    with pytest.raises(ValueError, match="line 2 is no JSON"):
        transcripts.read('{"type": "system"}\n' + "[" * 100_000 + "\n{}")


# -- lists -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("since", ["9999999w", "9" * 400 + "d", timedelta.max])
def test_a_time_before_any_calendar(since: Any) -> None:
    with pytest.raises(errors.InputError, match="before any calendar"):
        history.since_of(since)


def _row(text: str, **facts: Any) -> dict[str, Any]:
    return {"message_type": "assistant_message", "content": text, **facts}


def test_rows_without_an_id_are_kept_and_lead_nowhere(call: Call) -> None:
    pages: list[list[dict[str, Any]]] = [
        [_row("1"), _row("2", id="message-2"), _row("3", id="")],
        [_row("4"), _row("5", id=5), _row("6", id="message-6")],
        [_row("7"), _row("8")],
    ]
    with ScriptedServer(plays={MESSAGES: [[parting(page)] for page in pages]}) as server:
        got = call(server.url, "messages", AGENT, progress=False)
    # an event whose id is a number has not its shape, and is there
    assert [getattr(one, "content", None) for one in got] == ["1", "2", "3", "4", None, "6", "7", "8"]
    cursors = [httpx.URL(request.path).params.get("after") for request in server.requests]
    assert cursors == [None, "message-2", "message-6"]


def test_a_list_without_any_id_is_one_page(call: Call) -> None:
    with ScriptedServer(routes={MESSAGES: answer([_row(str(n)) for n in range(100)])}) as server:
        assert len(call(server.url, "messages", AGENT, progress=False)) == 100
    assert len(server.requests) == 1


def test_a_page_that_comes_again_is_not_listed_twice(call: Call) -> None:
    page = [_row("1"), _row("2", id="message-2")]
    with ScriptedServer(routes={MESSAGES: answer(page)}) as server:
        assert len(call(server.url, "messages", AGENT, progress=False)) == 2


# -- after the stream --------------------------------------------------------------------------------------------------

NOT_GZIP = response(b"no gzip", content_encoding="gzip")


def _done() -> Run:
    run = Run(agent_id=AGENT)
    run.receive(letta_nb.log.Received(1, "", said("hi").decode()[6:-2]))
    run.receive(letta_nb.log.Received(2, "", '{"message_type": "stop_reason", "stop_reason": "end_turn"}'))
    run.end(3)
    return run


def test_what_cannot_be_unpacked_drops_no_fact_that_came(call: Call) -> None:
    run = _done()
    routes = {STEPS: answer([{"id": "step-1", "prompt_tokens": 7}]), METRICS: NOT_GZIP}
    with ScriptedServer(routes=routes) as server:
        call(server.url, "complete", run)
        assert call(server.url, "steps", run) == [{"id": "step-1", "prompt_tokens": 7}]
    assert run.steps[0].server["prompt_tokens"] == 7
    with ScriptedServer(routes={STEPS: NOT_GZIP}) as server:
        assert call(server.url, "complete", _done()) == []
        with pytest.raises(errors.ConnectionFailed):
            call(server.url, "steps", run)


def test_a_body_that_drips_is_not_waited_for(call: Call) -> None:
    """Each read is in time, and all together are not: it is given up before its end, which would be an answer."""
    body = json.dumps([{"id": "step-1", "prompt_tokens": 7}]).encode()
    pause = threading.Event()

    def drip(connection: socket.socket) -> None:
        for _ in range(400):
            connection.sendall(b" ")
            pause.wait(0.02)
        connection.sendall(body)

    plays = {STEPS: [[response(b" " * 400 + body)[: -400 - len(body)], drip]]}
    run = _done()
    with ScriptedServer(plays=plays) as server:
        call(server.url, "complete", run, timeout=0.2)
    assert run.steps[0].server == {}


def test_an_answer_in_time_is_whole(call: Call) -> None:
    """More than is read of an answer to a message that is no stream; a refusal that is cut is that refusal."""
    rows = [{"id": "step-1", "prompt_tokens": 7, "more": "x" * (1 << 21)}]
    run = _done()
    packed = response(gzip.compress(json.dumps(rows).encode()), content_encoding="gzip")
    with ScriptedServer(routes={STEPS: packed}) as server:
        call(server.url, "complete", run, timeout=30)
        with pytest.raises(errors.NotFound):
            call(server.url, "agents", timeout=30)
    assert run.steps[0].server["prompt_tokens"] == 7


def test_an_attached_run_gets_the_figures_of_its_steps_once(call: Call) -> None:
    routes = {
        ("GET", "/v1/runs/run-1"): answer({"id": "run-1", "agent_id": AGENT, "status": "completed"}),
        ("GET", "/v1/runs/run-1/messages"): answer([]),
        ("GET", f"/v1/agents/{AGENT}"): answer({"id": AGENT, "name": "a"}),
        STEPS: answer([{"id": "step-1", "prompt_tokens": 7}]),
    }
    resume = ("POST", "/v1/runs/run-1/stream")
    plays = {resume: [[STREAM, said("hel", seq_id=1)], [STREAM, said("lo", seq_id=2) + END]]}
    with ScriptedServer(routes=routes, plays=plays) as server:
        run, _ = call(server.url, "attach", "run-1")
        server.requests.clear()
        call(server.url, "complete", run)
        asked = [request.path.partition("?")[0] for request in server.requests]
    assert run.text == "hello"
    assert run.steps[0].server["prompt_tokens"] == 7
    assert asked.count(STEPS[1]) == 1
