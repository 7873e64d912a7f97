"""Runs that go on: answered from Python, taken up after a broken connection, joined from elsewhere. Both clients."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from recordings import FIXTURES
from scripted import AGENT, STREAM, ScriptedServer, answer, reset, response

import letta_nb
from letta_nb import api, errors, exchange, notebook, sse
from letta_nb.answers import Decision
from letta_nb.entries import ToolCallEntry
from letta_nb.live import Live
from letta_nb.page import CallAnswer
from letta_nb.run import Run

ROOT = FIXTURES / "0.16.8"
SEND = ("POST", f"/v1/agents/{AGENT}/messages/stream")
Send = Callable[..., Run]


def wire(name: str) -> bytes:
    return (ROOT / f"{name}.sse").read_bytes()


def refused(detail: str, status: str) -> bytes:
    """A refusal after which the connection is closed, as a play ends with its connection."""
    return response(json.dumps({"detail": detail}).encode(), status, connection="close")


def _sync(url: str, **options: Any) -> Run:
    with letta_nb.Client(url) as client, client.stream(AGENT, "hi", **options) as stream:
        list(stream)
        return stream.run


def _async(url: str, **options: Any) -> Run:
    async def main() -> Run:
        async with letta_nb.AsyncClient(url) as client, client.stream(AGENT, "hi", **options) as stream:
            _ = [event async for event in stream]
            return stream.run

    return asyncio.run(main())


@pytest.fixture(params=[_sync, _async], ids=["Client", "AsyncClient"])
def send(request: pytest.FixtureRequest) -> Send:
    return request.param


@pytest.fixture(autouse=True)
def apart(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    made: list[letta_nb.Client] = []

    def connected(*args: Any, **options: Any) -> letta_nb.Client:
        made.append(letta_nb.Client(*args, **options))
        return made[-1]

    monkeypatch.setattr(api, "_default", api._Default())
    monkeypatch.setattr(api, "Client", connected)
    yield
    for client in made:
        client.close()


# -- answers -----------------------------------------------------------------------------------------------------------


def two_legs(name: str) -> list[list[Any]]:
    return [[STREAM, wire(f"{name}_1request")], [STREAM, wire(f"{name}_2answer")]]


def ask_and(server: ScriptedServer, do: Callable[[Run], Run]) -> Run:
    letta_nb.connect(server.url, agent=AGENT)
    run = letta_nb.send("please", max_steps=9, complete=False)
    assert run.status == "requires_approval"
    assert do(run) is run
    return run


def test_approving_goes_on_in_the_same_run() -> None:
    with ScriptedServer(plays={SEND: two_legs("v1_approve_tok")}) as server:
        run = ask_and(server, lambda run: run.approve())
    assert (run.status, run.text) == ("completed", "Approval flow finished.")
    call_id = run.tool_calls[0].tool_call_id
    assert [request.body["messages"] for request in server.posts][1:] == [
        [{"type": "approval", "approvals": [{"type": "approval", "approve": True, "tool_call_id": call_id}]}]
    ]
    # what was set for the message holds for its answer
    assert server.posts[1].body["max_steps"] == 9
    assert run.legs[1].at is not None
    assert (run.ended_at or 0) >= run.legs[1].at
    with pytest.raises(errors.InputError, match="waits for an answer: it is completed"):
        run.approve()


def test_denying_says_why() -> None:
    with ScriptedServer(plays={SEND: two_legs("v1_deny_step")}) as server:
        run = ask_and(server, lambda run: run.deny("too risky"))
    assert server.posts[1].body["messages"][0]["approvals"][0]["reason"] == "too risky"
    assert run.tool_calls[0].approval == "denied"


def test_a_refused_answer_leaves_the_call_pending() -> None:
    legs = [[STREAM, wire("v1_approve_tok_1request")], [refused("later", "503 Service Unavailable")]]
    legs.append([STREAM, wire("v1_approve_tok_2answer")])
    with ScriptedServer(plays={SEND: legs}) as server:
        letta_nb.connect(server.url, agent=AGENT)
        run = letta_nb.send("please", complete=False)
        with pytest.raises(errors.ServerError, match="later"):
            run.approve()
        assert run.status == "requires_approval"
        assert len(run.pending) == 1
        assert run.approve().status == "completed"
    assert len(server.posts) == 3


def test_a_call_that_was_answered_elsewhere_is_not_approved_here(tmp_path: Any) -> None:
    legs = [[STREAM, wire("v1_approve_tok_1request")], [STREAM, wire("bad_approval_none_pending")]]
    with ScriptedServer(plays={SEND: legs}) as server:
        run = ask_and(server, lambda run: run.approve())
    loaded = letta_nb.load(run.save(tmp_path / "run.jsonl"))
    assert isinstance(loaded, Run)
    for told in (run, loaded):
        assert (told.status, told.pending) == ("failed", [])
        assert "currently awaiting approval" in str(told.error and told.error.detail)
        [call] = told.tool_calls
        assert (call.approval, call.answered_at, call.cut) == (None, None, False)
        assert told.tools_df()["approval"].isna().all()
        assert "approved" not in told.mimebundle()["text/plain"]
        with pytest.raises(errors.InputError, match="waits for an answer: it is failed"):
            told.approve()


def test_a_loaded_run_is_answered_over_the_current_client(tmp_path: Any) -> None:
    with ScriptedServer(plays={SEND: two_legs("v1_approve_tok")}) as server:
        letta_nb.connect(server.url, agent=AGENT)
        path = letta_nb.send("please", complete=False).save(tmp_path / "run.jsonl")
        run = letta_nb.load(path)
        assert isinstance(run, Run)
        assert run.approve().status == "completed"
        # time went on by the calendar
        assert run.legs[1].at is not None
        assert run.legs[1].at > (run.log or [])[0].at
    with ScriptedServer() as other:
        letta_nb.connect(other.url)
        again = letta_nb.load(path)
        assert isinstance(again, Run)
        with pytest.raises(errors.InputError, match="connect there first"):
            again.approve()


def test_a_pending_approval_met_later_is_explained_and_can_be_answered() -> None:
    waits = "Cannot send a new message: The agent is waiting for approval on a tool call."
    detail = {"code": "PENDING_APPROVAL", "message": waits, "pending_request_id": "message-1"}
    conflict = response(json.dumps({"detail": detail}).encode(), "409 Conflict", connection="close")
    call = {"name": "danger", "arguments": "{}", "tool_call_id": "call-1"}
    asked = {"message_type": "approval_request_message", "id": "message-1", "tool_call": call, "tool_calls": [call]}
    agent = ("GET", f"/v1/agents/{AGENT}")
    routes = {agent: answer({"id": AGENT, "name": "bob", "pending_approval": asked})}
    plays = {SEND: [[conflict], [STREAM, wire("v1_hello_tok")]]}
    with ScriptedServer(routes=routes, plays=plays) as server:
        letta_nb.connect(server.url, agent=AGENT)
        with pytest.raises(errors.PendingApproval, match=r"waits for an answer .*\n.*approve\(\)") as caught:
            letta_nb.send("hi")
        run = letta_nb.last_run()
        assert caught.value.run is run
        assert run is not None
        assert [call.name for call in run.pending] == ["danger"]
        assert run.error is not None
        assert "danger" in run.error.message
        with pytest.raises(errors.InputError, match=r"one by one: run\.approve\(\*calls\)"):
            run.approve(run.pending)  # pyright: ignore[reportArgumentType]
        assert run.deny("no").status == "completed"
        # what was asked then was never said to the agent
        assert "did not take this message" in (run.note or "")
    assert server.posts[1].body["messages"][0]["approvals"][0]["tool_call_id"] == "call-1"
    assert "include=agent.pending_approval" in "".join(request.path for request in server.requests)


def test_both_clients_answer(send: Send) -> None:
    with ScriptedServer(plays={SEND: two_legs("v1_approve_parallel_step")}) as server:
        run = send(server.url)

        async def later() -> None:
            async with letta_nb.AsyncClient(server.url) as client, client.answer(run, True) as stream:
                _ = [event async for event in stream]

        if send is _async:
            asyncio.run(later())
        else:
            with (
                letta_nb.Client(server.url) as client,
                client.answer(run, {"call_2f95fb94cded4e8eb808": True}) as stream,
            ):
                list(stream)
    assert run.status == "completed"
    assert len(run.legs) == 2


def live_of(run: Run) -> Live:
    live: Live = run.live
    return live


def test_an_answer_that_is_pressed_twice_is_sent_once() -> None:
    go = threading.Event()
    legs = [[STREAM, wire("v1_approve_tok_1request")], [go, STREAM, wire("v1_approve_tok_2answer")]]
    with ScriptedServer(plays={SEND: legs}) as server:
        letta_nb.connect(server.url, agent=AGENT)
        run = letta_nb.send("please", complete=False)
        said: list[CallAnswer] = [{"call_id": str(run.pending[0].tool_call_id), "approve": True, "reason": None}]
        for _ in range(3):
            live_of(run)._answer_page(said)
        go.set()
        assert run.wait().status == "completed"
    assert len(server.posts) == 2
    assert len(run.legs) == 2


def test_one_of_two_answers_survives_a_file(tmp_path: Any) -> None:
    legs = [[STREAM, asking("a", "b")], [STREAM, wire("v1_hello_tok")]]
    with ScriptedServer(plays={SEND: legs}) as server:
        letta_nb.connect(server.url, agent=AGENT)
        run = letta_nb.send("please", complete=False)
        run.deny("too risky", "a")
        assert [call.tool_call_id for call in run.pending] == ["b"]
        loaded = letta_nb.load(run.save(tmp_path / "run.jsonl"))
        assert isinstance(loaded, Run)
        assert [call.tool_call_id for call in loaded.pending] == ["b"]
        assert loaded.approve().status == "completed"
    answers = server.posts[1].body["messages"][0]["approvals"]
    assert [(item["tool_call_id"], item["approve"], item.get("reason")) for item in answers] == [
        ("a", False, "too risky"),
        ("b", True, None),
    ]


def asking(*ids: str, name: str = "danger") -> bytes:
    """A step that asks for approval of so many calls."""
    calls = [{"name": name, "arguments": '{"a": 7}', "tool_call_id": call_id} for call_id in ids]
    event = {"message_type": "approval_request_message", "id": "message-1", "step_id": "step-1", "run_id": "run-1"}
    asked = sse.encode({**event, "is_err": None, "tool_call": calls[0], "tool_calls": calls})
    return asked + sse.encode({"message_type": "stop_reason", "stop_reason": "requires_approval"}) + b"data: [DONE]\n\n"


def test_a_reason_is_no_call() -> None:
    with ScriptedServer(plays={SEND: [[STREAM, asking("a", "b")]]}) as server:
        letta_nb.connect(server.url, agent=AGENT)
        run = letta_nb.send("please", complete=False)
        for wrong in ("a", run.pending[0]):
            with pytest.raises(errors.InputError, match="The reason comes first"):
                run.deny(wrong)  # type: ignore[arg-type]
    assert len(server.posts) == 1
    assert len(run.pending) == 2


@pytest.mark.parametrize("end", ["cancelled", "error", ""])
def test_a_run_that_was_stopped_or_broke_runs_no_function(end: str) -> None:
    called: list[int] = []

    @letta_nb.tool(approve="always", name="danger")
    def danger(a: int = 0) -> None:
        """Dangerous."""
        called.append(a)

    stream = asking("a").partition(b'data: {"message_type":"stop_reason"')[0]
    if end:
        stream += sse.encode({"message_type": "stop_reason", "stop_reason": end})
    health = {("GET", "/v1/health/"): answer({"version": "0.16.8", "status": "ok"})}
    with ScriptedServer([STREAM, stream], health) as server:
        letta_nb.connect(server.url, agent=AGENT)
        run = letta_nb.send("please", complete=False)
    assert danger.name == "danger"
    assert called == []
    assert run.pending == []
    assert len(server.posts) == 1


def test_a_run_that_waits_can_be_stopped(tmp_path: Any) -> None:
    cancel = {("POST", f"/v1/agents/{AGENT}/messages/cancel"): answer({"run-1": "cancelled"})}
    with ScriptedServer([STREAM, asking("a", "b")], cancel) as server:
        letta_nb.connect(server.url, agent=AGENT)
        run = letta_nb.send("please", complete=False)
        assert run.cancel().status == "cancelled"
    assert [call.approval for call in run.tool_calls] == ["denied", "denied"]
    assert run.pending == []
    assert server.requests[-1].body == {"run_ids": ["run-1"]}
    loaded = letta_nb.load(run.save(tmp_path / "run.jsonl"))
    assert isinstance(loaded, Run)
    assert (loaded.status, loaded.cancellation) == ("cancelled", run.cancellation)
    assert [call.approval for call in loaded.tool_calls] == ["denied", "denied"]


def test_what_nobody_can_answer_is_not_waited_for() -> None:
    with ScriptedServer([STREAM, asking("a")]) as server:
        letta_nb.connect(server.url, agent=AGENT)
        run = letta_nb.send("please", complete=False)
        with pytest.raises(errors.InputError, match="nobody is asked here"):
            run.wait()


def test_the_question_cannot_be_written_over(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def answer_no(question: str) -> str:
        asked.append(question)
        return "no"

    monkeypatch.setattr("builtins.input", answer_no)
    call = ToolCallEntry(
        index=0, kind="tool_call", message_type="approval_request_message", name="ls", tool_call_id="c"
    )
    call.buffer.append('{"path": "/"}\r\x1b[2Kletta_nb: the agent wants to run list({})\n\u202e')
    assert notebook.ask(call) == Decision(False)
    [question] = asked
    assert not set(question) & {"\r", "\x1b", "\u202e"}
    assert question.count("\n") == 1


# -- functions of this kernel ------------------------------------------------------------------------------------------


def kernel_fn(a: int) -> int:
    """Square a number in the notebook."""
    print("squared in the kernel")
    return a * a


def test_a_function_of_this_kernel_runs_when_it_may() -> None:
    letta_nb.tool(approve="always")(kernel_fn)
    health = {("GET", "/v1/health/"): answer({"version": "0.16.8", "status": "ok"})}
    with ScriptedServer(routes=health, plays={SEND: two_legs("v1_clienttool_tok")}) as server:
        letta_nb.connect(server.url, agent=AGENT)
        run = letta_nb.send("square 7", complete=False)
    assert (run.status, run.text) == ("completed", "The kernel said it is 49.")
    first, second = (request.body for request in server.posts)
    [offered] = first["client_tools"]
    assert (offered["name"], offered["description"]) == ("kernel_fn", "Square a number in the notebook.")
    assert offered["parameters"]["properties"]["a"]["type"] == "integer"
    assert second["client_tools"] == first["client_tools"]
    [item] = second["messages"][0]["approvals"]
    assert {key: item[key] for key in ("type", "tool_return", "status", "stdout")} == {
        "type": "tool",
        "tool_return": "49",
        "status": "success",
        "stdout": ["squared in the kernel\n"],
    }
    [call] = run.tool_calls
    assert (call.here, call.result, call.duration_source) == (True, "49", "client")
    assert call.started_at is not None
    assert call.returned_at is not None
    assert call.duration == call.returned_at - call.started_at


def test_two_functions_of_one_reply_are_answered_together() -> None:
    letta_nb.tool(approve="always")(kernel_fn)
    calls = [{"name": "kernel_fn", "arguments": f'{{"a": {n}}}', "tool_call_id": f"call-{n}"} for n in (2, 3)]
    request = {"message_type": "approval_request_message", "id": "message-1", "step_id": "step-1", "run_id": "run-1"}
    asking = [{**request, "is_err": None, "tool_call": calls[0], "tool_calls": calls}]
    asking.append({"message_type": "stop_reason", "stop_reason": "requires_approval"})
    asked = b"".join(sse.encode(event) for event in asking) + b"data: [DONE]\n\n"
    health = {("GET", "/v1/health/"): answer({"version": "0.16.8", "status": "ok"})}
    plays = {SEND: [[STREAM, asked], [STREAM, wire("v1_hello_tok")]]}
    with ScriptedServer(routes=health, plays=plays) as server:
        letta_nb.connect(server.url, agent=AGENT)
        run = letta_nb.send("square 2 and 3", complete=False)
    assert run.status == "completed"
    assert len(server.posts) == 2
    answers = server.posts[1].body["messages"][0]["approvals"]
    assert [(item["tool_call_id"], item["tool_return"]) for item in answers] == [("call-2", "4"), ("call-3", "9")]


def test_where_nobody_can_be_asked_the_call_waits() -> None:
    letta_nb.tool(kernel_fn)
    health = {("GET", "/v1/health/"): answer({"version": "0.16.8", "status": "ok"})}
    with ScriptedServer(routes=health, plays={SEND: two_legs("v1_clienttool_tok")}) as server:
        letta_nb.connect(server.url, agent=AGENT)
        run = letta_nb.send("square 7", complete=False)
        assert run.status == "requires_approval"
        assert run.pending[0].here
        run.approve()
        assert run.tool_calls[0].result == "49"
    assert run.status == "completed"


def test_a_server_that_knows_no_client_tools_is_said_so_and_nothing_is_sent() -> None:
    health = {("GET", "/v1/health/"): answer({"version": "0.7.16", "status": "ok"})}
    with ScriptedServer(routes=health) as server:
        letta_nb.connect(server.url, agent=AGENT)
        with pytest.raises(errors.ConfigurationError, match=r"Letta 0\.7\.16 .* no client tools.*since 0\.16\.2"):
            letta_nb.send("square 7", tools=[kernel_fn])
    assert server.posts == []


# -- streams that are taken up again -----------------------------------------------------------------------------------

BACKGROUND = wire("v1_bg_multi_tok")
_LINES = BACKGROUND.split(b"\n\n")
RUN_ID = json.loads(_LINES[0].removeprefix(b"data: "))["run_id"]
RESUME = ("POST", f"/v1/runs/{RUN_ID}/stream")


def after(seq_id: int) -> bytes:
    """What the server keeps behind that event."""
    for index, line in enumerate(_LINES):
        if line.startswith(b"data: {") and json.loads(line[6:]).get("seq_id") == seq_id:
            return b"\n\n".join(_LINES[index + 1 :])
    raise AssertionError(seq_id)


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "RETRIES", (0.0,) * 4)


def test_a_background_run_survives_broken_connections(send: Send, at_once: None) -> None:
    cut = BACKGROUND.index(b'"seq_id":12,') + 5  # in the middle of an event
    first = [STREAM, BACKGROUND[:cut]]
    second = [STREAM, after(11)[:2000], reset]
    seen = after(11)[:2000]
    last = max(json.loads(line[6:])["seq_id"] for line in seen.split(b"\n\n")[:-1])
    third = [STREAM, after(last)]
    with ScriptedServer(plays={SEND: [first], RESUME: [second, third]}) as server:
        run = send(server.url, background=True)
    whole = _sync_of(BACKGROUND)
    assert run.status == "completed"
    assert run.text == whole.text
    assert [call.result for call in run.tool_calls] == [call.result for call in whole.tool_calls]
    assert [request.body["starting_after"] for request in server.requests[1:]] == [11, last]
    assert len(server.posts) == 1
    assert [leg.kind for leg in run.legs] == ["message", "resume", "resume"]
    assert run.lost_at is None


def _sync_of(stream: bytes) -> Run:
    with ScriptedServer([STREAM, stream]) as server:
        return _sync(server.url)


def test_a_stream_that_says_nothing_new_is_given_up(send: Send, at_once: None) -> None:
    start = BACKGROUND[: BACKGROUND.index(b'data: {"id"', 2000)]
    with ScriptedServer(plays={SEND: [[STREAM, start]], RESUME: [[STREAM]]}) as server:
        run = send(server.url, background=True)
    assert run.status == "interrupted"
    assert [request.path for request in server.requests].count(RESUME[1]) == len(exchange.RETRIES)


def test_a_stop_does_not_wait_for_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "RETRIES", (0.0, 60.0))
    start = BACKGROUND[: BACKGROUND.index(b'data: {"id"', 2000)]
    routes = {("POST", f"/v1/agents/{AGENT}/messages/cancel"): answer({RUN_ID: "cancelled"})}
    plays = {SEND: [[STREAM, start]], RESUME: [[refused("no", "502 Bad Gateway")]]}
    with ScriptedServer(routes=routes, plays=plays) as server:
        letta_nb.connect(server.url, agent=AGENT)
        client = api.current()
        run = Live(client, client.stream(AGENT, "hi", background=True), complete=False).start().run
        while len([request for request in server.requests if request.path == RESUME[1]]) < 1:
            threading.Event().wait(0.01)
        run.cancel()
    assert run.status == "cancelled"


def test_a_server_that_is_coming_back_is_asked_again(send: Send, at_once: None) -> None:
    start = BACKGROUND[: BACKGROUND.index(b'data: {"id"', 2000)]
    last = max(json.loads(line[6:])["seq_id"] for line in start.split(b"\n\n")[:-1])
    plays = {
        SEND: [[STREAM, start]],
        RESUME: [[refused("bad gateway", "502 Bad Gateway")], [reset], [STREAM, after(last)]],
    }
    with ScriptedServer(plays=plays) as server:
        run = send(server.url, background=True)
    assert run.status == "completed"
    assert len(server.posts) == 1
    assert len(run.legs) == 2


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("410 Gone", "Run was created more than 3 hours ago, and is now expired."),
        ("400 Bad Request", "Run was not created in background mode, so it cannot be retrieved."),
        ("503 Service Unavailable", "Background streaming requires Redis to be running."),
        ("404 Not Found", "Run not found"),
    ],
)
def test_a_stream_that_cannot_be_taken_up_says_why(send: Send, at_once: None, status: str, words: str) -> None:
    start = BACKGROUND[: BACKGROUND.index(b'data: {"id"', 2000)]
    with ScriptedServer(plays={SEND: [[STREAM, start]], RESUME: [[refused(words, status)]]}) as server:
        run = send(server.url, background=True)
    assert run.status == "interrupted"
    assert run.error is not None
    assert words in (run.error.detail or "")
    assert run.text == "" or _sync_of(BACKGROUND).text.startswith(run.text)
    assert [request.path for request in server.requests].count(RESUME[1]) == 1


def test_a_foreground_run_is_not_asked_for_again(send: Send) -> None:
    with ScriptedServer([STREAM, BACKGROUND[:3000]]) as server:
        run = send(server.url)
    assert run.status == "interrupted"
    assert [request.path for request in server.requests] == [SEND[1]]


def test_a_broken_run_that_the_server_finished_is_completed_from_there(tmp_path: Any) -> None:
    routes = {
        ("GET", f"/v1/runs/{ROW['id']}"): answer(ROW),
        ("GET", f"/v1/runs/{ROW['id']}/messages"): answer(body("v1_multi_run_messages")),
        ("GET", f"/v1/runs/{ROW['id']}/steps"): answer(body("v1_multi_run_steps")),
    }
    stream = wire("v1_multi_step")
    with ScriptedServer([STREAM, stream[: len(stream) // 2]], routes) as server:
        letta_nb.connect(server.url, agent=AGENT)
        run = letta_nb.send("hi", stream_tokens=False)
    assert (run.status, run.text) == ("completed", _sync_of(stream).text)
    assert len(run.tool_calls) == 3
    assert all(call.has_returned for call in run.tool_calls)
    loaded = letta_nb.load(run.save(tmp_path / "run.jsonl"))
    assert isinstance(loaded, Run)
    assert (loaded.status, loaded.stop_reason, loaded.text, loaded.usage) == (
        run.status,
        run.stop_reason,
        run.text,
        run.usage,
    )


def body(name: str) -> Any:
    return json.loads((ROOT / f"{name}.json").read_bytes())["body"]


ROW: dict[str, Any] = body("v1_multi_run")


# -- runs joined from elsewhere ----------------------------------------------------------------------------------------


def place() -> dict[tuple[str, str], bytes]:
    row = {**ROW, "id": RUN_ID, "agent_id": AGENT, "background": True}
    asked = {"id": "message-0", "message_type": "user_message", "content": "SCN:multi please", "is_err": None}
    return {
        ("GET", f"/v1/runs/{RUN_ID}"): answer(row),
        ("GET", f"/v1/runs/{RUN_ID}/messages"): answer([asked, *body("v1_multi_run_messages")[1:]]),
        ("GET", f"/v1/runs/{RUN_ID}/steps"): answer([]),
        ("GET", f"/v1/agents/{AGENT}"): answer({"id": AGENT, "name": "bob", "model": "openai/gpt-4o-mini"}),
    }


def test_attach_shows_a_run_from_its_beginning() -> None:
    with ScriptedServer(routes=place(), plays={RESUME: [[STREAM, BACKGROUND]]}) as server:
        letta_nb.connect(server.url)
        run = letta_nb.attach(RUN_ID)
    assert (run.status, run.prompt, run.agent_name, run.model) == (
        "completed",
        "SCN:multi please",
        "bob",
        "gpt-4o-mini",
    )
    assert run.text == _sync_of(BACKGROUND).text
    assert run is letta_nb.last_run()
    assert run.note is None
    # what was stored has no times of its own: no latency is made up of how fast it was read back
    assert all(call.duration is None for call in run.tool_calls)


def test_attach_to_a_run_without_a_stream_fetches_what_was_said() -> None:
    words = "INVALID_ARGUMENT: Run was not created in background mode, so it cannot be retrieved."
    with ScriptedServer(routes={**place(), RESUME: answer({"detail": words}, "400 Bad Request")}) as server:
        letta_nb.connect(server.url)
        run = letta_nb.attach(RUN_ID)
    assert run.status == "completed"
    assert run.note is not None
    assert words in run.note
    assert run.prompt == "SCN:multi please"
    assert run.text == _sync_of(wire("v1_multi_step")).text
    assert run.timed is False


def test_attach_to_a_run_that_is_not_there() -> None:
    routes = {("GET", "/v1/runs/run-x"): answer({"detail": "Run not found"}, "404 Not Found")}
    with ScriptedServer(routes=routes) as server:
        letta_nb.connect(server.url)
        with pytest.raises(errors.NotFound, match="Run not found"):
            letta_nb.attach("run-x")


def test_a_server_without_redis_gets_the_run_in_the_foreground_and_it_is_said() -> None:
    no = refused("Background streaming requires Redis to be running. Please ensure ...", "503 Service Unavailable")
    routes = {("GET", "/v1/health/"): answer({"version": "0.16.8", "status": "ok"})}
    with ScriptedServer(routes=routes, plays={SEND: [[no], [STREAM, wire("v1_hello_tok")]]}) as server:
        letta_nb.connect(server.url, agent=AGENT)
        run = letta_nb.send("hi", background=True, complete=False)
        run.wait()
    assert run.status == "completed"
    assert run.note is not None
    assert "no Redis" in run.note
    assert [request.body.get("background") for request in server.posts] == [True, None]


# -- doors -------------------------------------------------------------------------------------------------------------

OTHER = ("POST", f"/v1/agents/{AGENT}/messages")
GATE = "streaming=true is only supported for SDK v1.0+ clients."


def test_a_server_without_the_stream_route_is_spoken_to_at_the_other_door(send: Send) -> None:
    plays = {SEND: [[refused("Not Found", "404 Not Found")]], OTHER: [[STREAM, wire("v1_hello_tok")]]}
    with ScriptedServer(plays=plays) as server:
        run = send(server.url)
    assert run.status == "completed"
    assert server.requests[-1].body["streaming"] is True
    assert len(run.legs) == 1


def test_a_door_that_wants_the_sdk_is_left_for_the_other_one() -> None:
    plays = {OTHER: [[refused(GATE, "422 Unprocessable Entity")]], SEND: [[STREAM, wire("v1_hello_tok")]]}
    with ScriptedServer(plays=plays) as server, letta_nb.Client(server.url, door="messages") as client:
        for _ in range(2):
            with client.stream(AGENT, "hi") as stream:
                list(stream)
            assert stream.run.status == "completed"
        paths = [request.path for request in server.requests if request.method == "POST"]
        # found out once
        assert paths == [OTHER[1], SEND[1], SEND[1]]
        # and by no false name
        assert all(request.headers["user-agent"].startswith("letta-nb/") for request in server.requests)


def test_an_agent_that_is_not_there_is_no_missing_door(send: Send) -> None:
    plays = {SEND: [[refused("Agent not found", "404 Not Found")]]}
    with ScriptedServer(plays=plays) as server, pytest.raises(errors.NotFound, match="Agent not found"):
        send(server.url)
    assert len(server.requests) == 1


def test_a_conversation_has_its_own_door(send: Send) -> None:
    route = ("POST", "/v1/conversations/conv-1/messages")
    routes = {("GET", "/v1/health/"): answer({"version": "0.16.8", "status": "ok"})}
    with ScriptedServer(routes=routes, plays={route: [[STREAM, wire("v1_hello_tok")]]}) as server:
        run = send(server.url, conversation="conv-1")
    assert (run.status, run.conversation_id) == ("completed", "conv-1")
    assert "agent_id" not in server.requests[-1].body


# -- stopping ----------------------------------------------------------------------------------------------------------

CANCEL = ("POST", f"/v1/agents/{AGENT}/messages/cancel")


@pytest.mark.parametrize(
    ("said", "outcome", "words"),
    [
        (
            answer({"detail": "CONFLICT: No active runs to cancel for agent x"}, "409 Conflict"),
            "nothing",
            "No active runs",
        ),
        (answer({"detail": "Not Found"}, "404 Not Found"), "unsupported", "Not Found"),
        (answer({"detail": "Method Not Allowed"}, "405 Method Not Allowed"), "unsupported", "Not Allowed"),
        (answer({"detail": "off"}, "400 Bad Request"), "unsupported", "off"),
        (answer({"detail": "oops"}, "500 Internal Server Error"), "refused", "oops"),
        (response(b"", "200 OK"), "unheard", "It said"),
    ],
)
def test_what_the_server_says_of_a_stop_is_what_the_run_says(said: bytes, outcome: str, words: str) -> None:
    hello, never = wire("v1_hello_tok"), threading.Event()
    start = hello[: hello.index(b'"content":" am"')]
    with ScriptedServer([STREAM, start, never], {CANCEL: said}) as server:
        letta_nb.connect(server.url, agent=AGENT)
        run = _begin()
        while not run.run_id:
            threading.Event().wait(0.01)
        run.cancel()
        never.set()
    assert run.cancellation is not None
    assert run.cancellation.outcome == outcome
    assert words in (run.cancellation.words or "")
    # a stop that did not happen is not called one
    assert run.status == "interrupted"


def test_a_cancel_that_was_agreed_to_and_not_done_is_none() -> None:
    hello, never = wire("v1_hello_tok"), threading.Event()
    start = hello[: hello.index(b'"content":" am"')]
    run_id = json.loads(start.partition(b"\n")[0].removeprefix(b"data: "))["run_id"]
    routes = {
        CANCEL: answer({run_id: "cancelled"}),
        ("GET", f"/v1/runs/{run_id}"): answer({"id": run_id, "agent_id": AGENT, "status": "running"}),
    }
    with ScriptedServer([STREAM, start, never], routes) as server:
        letta_nb.connect(server.url, agent=AGENT)
        client = api.current()
        run = Live(client, client.stream(AGENT, "hi")).start().run
        while not run.run_id:
            threading.Event().wait(0.01)
        run.cancel()
        never.set()
    assert run.status == "interrupted"
    assert run.cancellation is not None
    assert run.cancellation.outcome == "refused"


def _begin() -> Run:
    client = api.current()
    return Live(client, client.stream(AGENT, "hi"), complete=False).start().run
