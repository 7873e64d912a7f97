"""Both clients against a server that says exactly what it is told: refusals, ends, and one POST whatever happens."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from scripted import AGENT, CHUNKED, STREAM, ScriptedServer, answer, chunk, reset, response

import letta_nb
from letta_nb import errors, events
from letta_nb.run import Run

FIXTURES = Path(__file__).parent / "fixtures"
HELLO = (FIXTURES / "0.16.8/v1_hello_tok.sse").read_bytes()
Send = Callable[..., tuple[Run, list[Any]]]


def _sync(url: str, prompt: Any = "hi", agent: str = AGENT, **options: Any) -> tuple[Run, list[Any]]:
    settings = {name: options.pop(name) for name in ("api_key", "password", "silence") if name in options}
    with letta_nb.Client(url, **settings) as client, client.stream(agent, prompt, **options) as stream:
        return stream.run, list(stream)


def _async(url: str, prompt: Any = "hi", agent: str = AGENT, **options: Any) -> tuple[Run, list[Any]]:
    settings = {name: options.pop(name) for name in ("api_key", "password", "silence") if name in options}

    async def main() -> tuple[Run, list[Any]]:
        async with letta_nb.AsyncClient(url, **settings) as client, client.stream(agent, prompt, **options) as stream:
            return stream.run, [event async for event in stream]

    return asyncio.run(main())


@pytest.fixture(params=[_sync, _async], ids=["Client", "AsyncClient"])
def send(request: pytest.FixtureRequest) -> Send:
    return request.param


def test_a_stream_becomes_typed_events_and_a_run(send: Send) -> None:
    with ScriptedServer([STREAM, HELLO]) as server:
        run, got = send(server.url)
    assert run.status == "completed"
    assert run.text == "Hello! I am a scripted agent. 2+2=4."
    assert isinstance(got[0], events.Ping)
    assert isinstance(got[-1], events.Done)
    assert run.log is not None
    assert len(run.log) == len(got) == len(run.events)
    assert list(run.log.at) == sorted(run.log.at)
    assert run.ended_at is not None
    assert run.prompt == "hi"


def test_every_parameter_goes_under_its_own_name(send: Send) -> None:
    with ScriptedServer([STREAM, HELLO]) as server:
        send(
            server.url,
            [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
            use_assistant_message=False,
            assistant_message_tool_name="say",
            assistant_message_tool_kwarg="words",
            stream_tokens=False,
            max_steps=3,
            include_pings=True,
            extra_body={"from_the_future": 1},
        )
    assert server.posts[0].body == {
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
        "use_assistant_message": False,
        "assistant_message_tool_name": "say",
        "assistant_message_tool_kwarg": "words",
        "stream_tokens": False,
        "max_steps": 3,
        "include_pings": True,
        "from_the_future": 1,
    }
    assert server.posts[0].headers["user-agent"].startswith("letta-nb/")


def test_tokens_unless_said_otherwise(send: Send) -> None:
    with ScriptedServer([STREAM, HELLO]) as server:
        send(server.url)
    assert server.posts[0].body == {"messages": [{"role": "user", "content": "hi"}], "stream_tokens": True}


def test_a_misspelt_parameter_is_refused_here(send: Send) -> None:
    with ScriptedServer([STREAM, HELLO]) as server, pytest.raises(TypeError, match=r"stream_token.*extra_body"):
        send(server.url, stream_token=True)
    assert server.requests == []


def test_key_and_password_are_headers(send: Send) -> None:
    with ScriptedServer([STREAM, HELLO]) as server:
        run, _ = send(server.url, api_key="sk-secret", password="hush")
    headers = server.posts[0].headers
    assert headers["authorization"] == "Bearer sk-secret"
    assert headers["x-bare-password"] == "password hush"
    assert "sk-secret" not in repr(run) + str(vars(run))


def test_the_environments_key_goes_only_where_the_environment_points(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LETTA_API_KEY", "sk-env")
    with ScriptedServer([STREAM, HELLO]) as server:
        _sync(server.url)
        monkeypatch.setenv("LETTA_BASE_URL", server.url)
        _sync(None)  # type: ignore[arg-type]
    assert "authorization" not in server.posts[0].headers
    assert server.posts[1].headers["authorization"] == "Bearer sk-env"


def test_an_agent_is_found_by_name(send: Send) -> None:
    agents = answer([{"id": AGENT, "name": "bob", "llm_config": {"model": "gpt-4o-mini"}}])
    with ScriptedServer([STREAM, HELLO], {("GET", "/v1/agents/"): agents}) as server:
        run, _ = send(server.url, agent="bob")
    assert server.posts[0].path == f"/v1/agents/{AGENT}/messages/stream"
    assert (run.agent_id, run.agent_name, run.model) == (AGENT, "bob", "gpt-4o-mini")


def test_an_unknown_name_says_which_there_are(send: Send) -> None:
    agents = answer([{"id": AGENT, "name": "bob"}])
    with (
        ScriptedServer([STREAM, HELLO], {("GET", "/v1/agents/"): agents}) as server,
        pytest.raises(errors.AgentNotFound, match=r"no agent named 'alice'.*Its agents: bob"),
    ):
        send(server.url, agent="alice")
    assert server.posts == []


REFUSED = {
    "401": ("401 Unauthorized", b'{"detail":"Unauthorized"}', errors.AuthenticationError, "Unauthorized"),
    "402": (
        "402 Payment Required",
        b'{"error":{"type":"llm_insufficient_credits","message":"No credits","detail":"top up"}}',
        errors.PaymentRequired,
        "llm_insufficient_credits: No credits: top up",
    ),
    "404": ("404 Not Found", b'{"detail":"Agent not found"}', errors.NotFound, "Agent not found"),
    "409": (
        "409 Conflict",
        b'{"detail":{"code":"PENDING_APPROVAL","message":"waiting","pending_request_id":"m1"}}',
        errors.PendingApproval,
        "PENDING_APPROVAL: waiting",
    ),
    "410": ("410 Gone", b'{"detail":"expired"}', errors.Gone, "expired"),
    "422 seed": (
        "422 Unprocessable Entity",
        b'{"detail":[{"type":"list_type","loc":["body","messages"],"msg":"Input should be a valid list"}]}',
        errors.ValidationError,
        "body.messages: Input should be a valid list",
    ),
    "422 modern": (
        "422 Unprocessable Entity",
        (FIXTURES / "0.16.8/bad_422_body.sse").read_bytes(),
        errors.ValidationError,
        "Input should be a valid list",
    ),
    "429": (
        "429 Too Many Requests",
        b'{"error":{"type":"llm_rate_limit","message":"slow"}}',
        errors.RateLimited,
        "slow",
    ),
    "500": ("500 Internal Server Error", b'{"detail":"An unknown error"}', errors.ServerError, "unknown error"),
    "502 html": ("502 Bad Gateway", b"<html><h1>Bad Gateway</h1></html>", errors.ServerError, "Bad Gateway"),
    "empty": ("503 Service Unavailable", b"", errors.ServerError, r"\(no message\)"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_refusal_is_one_typed_error_in_the_servers_words(send: Send, case: str) -> None:
    status, body, kind, words = REFUSED[case]
    with ScriptedServer([response(body, status)]) as server, pytest.raises(kind, match=words) as caught:
        send(server.url)
    error = caught.value
    assert isinstance(error, errors.HTTPError)
    assert error.status_code == int(status[:3])
    assert len(server.posts) == 1
    assert error.run is not None
    assert error.run.status == "failed"
    assert error._render_traceback_() == [f"{kind.__name__}: {error}"]


def test_html_instead_of_a_stream(send: Send) -> None:
    page = response(b"<!doctype html><title>Welcome to nginx</title>", content_type="text/html")
    with ScriptedServer([page]) as server, pytest.raises(errors.ProtocolError, match=r"text/html.*(\n.*)*nginx"):
        send(server.url)
    assert len(server.posts) == 1


def test_a_redirect_is_never_followed(send: Send) -> None:
    away = response(b"", "307 Temporary Redirect", location="http://127.0.0.1:9/elsewhere")
    with (
        ScriptedServer([away]) as server,
        pytest.raises(errors.ProtocolError, match=r"redirected to http://127.0.0.1:9"),
    ):
        send(server.url)
    assert len(server.posts) == 1


def test_a_refused_connection(send: Send) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(errors.ConnectionFailed, match=rf"No server answered at http://127.0.0.1:{port}.*connect"):
        send(f"http://127.0.0.1:{port}")


@pytest.mark.parametrize("url", ["localhost:8283", "ftp://x", "http://", "nonsense"])
def test_an_address_that_is_none(send: Send, url: str) -> None:
    with pytest.raises(errors.ConfigurationError, match=r"not an address"):
        send(url)


def test_no_server_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LETTA_BASE_URL", raising=False)
    monkeypatch.delenv("LETTA_API_KEY", raising=False)
    with pytest.raises(errors.ConfigurationError, match=r"LETTA_BASE_URL.*serve"):
        letta_nb.Client()


@pytest.mark.parametrize("prompt", ["", "  \n", []])
def test_an_empty_prompt_is_not_sent(send: Send, prompt: Any) -> None:
    with ScriptedServer([STREAM, HELLO]) as server, pytest.raises(errors.InputError):
        send(server.url, prompt)
    assert server.requests == []


def test_closed_before_any_answer_is_not_sent_again(send: Send) -> None:
    with ScriptedServer([reset]) as server, pytest.raises(errors.ConnectionFailed, match=r"not sent again"):
        send(server.url)
    assert len(server.posts) == 1


CUT = HELLO[: HELLO.index(b"scripted") - 20]  # in the middle of a line
ENDS = {
    "closed in mid-line": [STREAM, CUT],
    "reset": [CHUNKED, chunk(CUT), reset],
    "chunked, cut": [CHUNKED, chunk(CUT)],
}


@pytest.mark.parametrize("case", ENDS)
def test_a_stream_that_breaks_keeps_what_arrived(send: Send, case: str) -> None:
    with ScriptedServer(ENDS[case]) as server:
        run, got = send(server.url)
    assert run.status == "interrupted"
    assert run.error is not None
    assert "before the run ended" in run.error.message
    assert run.text == "Hello! I am a"
    assert isinstance(got[-1], events.UnknownEvent)
    assert CUT.decode().endswith(got[-1].raw)
    assert len(server.posts) == 1


def test_silence_ends_at_last(send: Send) -> None:
    never = threading.Event()
    with ScriptedServer([STREAM, HELLO[:600], never]) as server:
        run, _ = send(server.url, silence=0.2)
        never.set()
    assert run.status == "interrupted"
    assert run.error is not None
    assert run.error.type == "silence"


def test_leaving_early_is_an_interruption() -> None:
    with ScriptedServer([STREAM, HELLO]) as server, letta_nb.Client(server.url) as client:
        with client.stream(AGENT, "hi") as stream:
            next(iter(stream))
        assert stream.run.status == "interrupted"
        assert stream.run.error is not None
        assert stream.run.error.type == "closed"


def test_shutdown_frees_a_blocked_reader() -> None:
    never = threading.Event()
    with ScriptedServer([STREAM, HELLO[:600], never]) as server, letta_nb.Client(server.url) as client:
        with client.stream(AGENT, "hi") as stream:
            threading.Timer(0.05, stream.shutdown).start()
            list(stream)
        never.set()
    assert stream.run.status == "interrupted"


def test_what_follows_done_is_not_waited_for(send: Send) -> None:
    never = threading.Event()
    with ScriptedServer([STREAM, HELLO, never]) as server:
        run, _ = send(server.url)
        never.set()
    assert run.status == "completed"


def test_the_servers_figures_are_joined() -> None:
    folder = FIXTURES / "0.16.8"
    body = (folder / "v1_multi2_tok.sse").read_bytes()
    recorded = letta_nb.load(folder / "v1_multi2_tok.sse")
    assert isinstance(recorded, Run)
    import json

    rows = json.loads((folder / "v1_multi2_run_steps.json").read_text())["body"]
    routes = {("GET", f"/v1/runs/{recorded.run_id}/steps"): answer(rows)}
    for path in folder.glob("v1_multi2_step*_metrics.json"):
        metrics = json.loads(path.read_text())["body"]
        routes["GET", f"/v1/steps/{metrics['id']}/metrics"] = answer(metrics)
    with ScriptedServer([STREAM, body], routes) as server, letta_nb.Client(server.url) as client:
        with client.stream(AGENT, "hi") as stream:
            list(stream)
        client.complete(stream.run)
    calls = stream.run.tool_calls
    assert [call.duration_source for call in calls] == ["server"] * 3
    assert [step.server["prompt_tokens"] for step in stream.run.steps] == [1841, 1944, 2033, 2132]


def test_figures_that_a_server_lacks_are_not_missed() -> None:
    with ScriptedServer([STREAM, HELLO]) as server, letta_nb.Client(server.url) as client:
        with client.stream(AGENT, "hi") as stream:
            list(stream)
        assert client.complete(stream.run) == []


def test_agents_are_listed_to_the_end() -> None:
    def paged(start: int, count: int) -> list[dict[str, str]]:
        numbers = range(start, start + count)
        return [{"id": f"agent-{number:08d}-0000-4000-8000-000000000000", "name": f"a{number}"} for number in numbers]

    class Paging(httpx.MockTransport):
        def __init__(self) -> None:
            super().__init__(self.reply)

        def reply(self, request: httpx.Request) -> httpx.Response:
            after = request.url.params.get("after")
            start = 0 if after is None else int(after.split("-")[1]) + 1
            return httpx.Response(200, json=paged(start, min(int(request.url.params["limit"]), 120 - start)))

    client = letta_nb.Client("http://127.0.0.1:1")
    client._http = httpx.Client(transport=Paging())
    assert [agent.name for agent in client.agents()] == [f"a{index}" for index in range(120)]
    assert len(client.agents(limit=3)) == 3
    client.close()


def test_repr_shows_no_secret() -> None:
    client = letta_nb.Client("http://127.0.0.1:1", api_key="sk-secret")
    assert repr(client) == "<Client http://127.0.0.1:1>"
    client.close()


def test_secrets_belong_in_no_address() -> None:
    with pytest.raises(errors.ConfigurationError, match=r"http://127.0.0.1:1 .*api_key=") as caught:
        letta_nb.Client("http://user:secret@127.0.0.1:1")
    assert "secret" not in str(caught.value)


def test_a_client_that_was_closed_says_so() -> None:
    client = letta_nb.Client("http://127.0.0.1:9")
    client.close()
    with pytest.raises(errors.ConfigurationError, match="was closed"):
        client.agents()


def test_an_empty_key_is_not_taken_for_one() -> None:
    with pytest.raises(errors.ConfigurationError, match="The API key is empty"):
        letta_nb.Client(api_key="")
