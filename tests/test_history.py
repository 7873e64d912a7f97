"""The past of a server: lists page by page, past runs as Runs, by both clients, against the embedded server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pandas as pd
import pytest
from recordings import FIXTURES
from scripted import AGENT, ScriptedServer, answer

import letta_nb
from letta_nb import errors, history
from letta_nb.log import Received
from letta_nb.run import Run
from letta_nb.server import Server

ROOT = FIXTURES / "0.16.8"
Call = Callable[..., Any]


def _sync(url: str, name: str, *args: Any, **options: Any) -> Any:
    with letta_nb.Client(url) as client:
        got = getattr(client, name)
        got = got(*args, **options) if callable(got) else got
        return list(got) if name in ("runs", "messages") else got


def _async(url: str, name: str, *args: Any, **options: Any) -> Any:
    async def main() -> Any:
        async with letta_nb.AsyncClient(url) as client:
            got = getattr(client, name)
            got = got(*args, **options) if callable(got) else got
            return [item async for item in got] if name in ("runs", "messages") else await got

    return asyncio.run(main())


@pytest.fixture(params=[_sync, _async], ids=["Client", "AsyncClient"])
def call(request: pytest.FixtureRequest) -> Call:
    return request.param


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[Server, list[Run]]]:
    """Seven runs of the demo agent, in the order they were made."""
    with letta_nb.serve(pace=0) as server, letta_nb.Client(server.url) as client:
        runs = [_sent(client, f"What is {number} * 2?") for number in range(6)]
        runs.append(_sent(client, "Compare Paris and Tokyo in July."))
        yield server, runs


def _sent(client: letta_nb.Client, prompt: str) -> Run:
    with client.stream("demo", prompt, stream_tokens=False) as stream:
        list(stream)
    client.complete(stream.run)
    return stream.run


@pytest.mark.parametrize("page", [1, 2, 3, 100])
def test_lists_are_complete_however_they_are_paged(
    call: Call, served: tuple[Server, list[Run]], monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    monkeypatch.setattr(history, "_PAGE", page)
    server, runs = served
    past = call(server.url, "runs", "demo")
    assert [run.run_id for run in past] == [run.run_id for run in reversed(runs)]
    messages = call(server.url, "messages", "demo")
    asked = [event.content for event in messages if event.message_type == "user_message"]
    assert asked == [run.prompt for run in runs]


def test_a_past_run_is_a_run_like_any_other(call: Call, served: tuple[Server, list[Run]]) -> None:
    server, runs = served
    for real, past in zip(reversed(runs), call(server.url, "runs", "demo"), strict=True):
        assert (past.status, past.stop_reason, past.run_id) == (real.status, real.stop_reason, real.run_id)
        assert (past.prompt, past.text, past.agent_name) == (real.prompt, real.text, "demo")
        assert [(c.name, c.arguments, c.result, c.status) for c in past.tool_calls] == [
            (c.name, c.arguments, c.result, c.status) for c in real.tool_calls
        ]
        assert [step.step_id for step in past.steps] == [step.step_id for step in real.steps]
        assert past.usage is not None
        assert real.usage is not None
        assert past.usage.total_tokens == real.usage.total_tokens
        # no arrival times, so none are made up; the server's own figures stand
        assert past.timed is False
        assert past.duration is not None
        assert [call.duration_source for call in past.tool_calls if call.duration is not None] == [
            "server" for step in past.steps if sum(c.step_index == step.index for c in past.tool_calls) == 1
        ]
        assert past.mimebundle()["text/plain"]


def test_past_runs_make_frames(served: tuple[Server, list[Run]]) -> None:
    server, runs = served
    with letta_nb.Client(server.url) as client:
        frame = letta_nb.runs_df(client.runs("demo", since="1h"))
        assert len(frame) == len(runs)
        assert set(frame["run_id"]) == {run.run_id for run in runs}


def test_lists_are_lazy(served: tuple[Server, list[Run]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "_PAGE", 1)
    server, runs = served
    sent: list[str] = []
    with letta_nb.Client(server.url) as client:
        drive = client.drive

        def counted(flow: Any, **options: Any) -> Any:
            sent.append(flow.__name__)
            return drive(flow, **options)

        monkeypatch.setattr(client, "drive", counted)
        listed = client.runs("demo")
        assert sent == []
        assert next(listed).run_id == runs[-1].run_id
        assert sent.count("_page") == 1
        listed.close()


def test_limit_and_since(call: Call, served: tuple[Server, list[Run]]) -> None:
    server, runs = served
    assert [run.run_id for run in call(server.url, "runs", "demo", limit=2)] == [run.run_id for run in runs[:-3:-1]]
    assert len(call(server.url, "messages", "demo", limit=3)) == 3
    assert call(server.url, "runs", "demo", limit=0) == []
    assert call(server.url, "runs", "demo", since=datetime.now(UTC) + timedelta(hours=1)) == []
    assert len(call(server.url, "runs", "demo", since="7d")) == len(runs)
    assert len(call(server.url, "runs", since=timedelta(days=1))) == len(runs)
    assert call(server.url, "runs", "demo", statuses=["failed"]) == []


def test_steps_of_a_run_that_is_not_there_are_an_error(call: Call, served: tuple[Server, list[Run]]) -> None:
    server, _ = served
    for named in ("run-00000000-0000-4000-8000-000000000009", AGENT):
        with pytest.raises(errors.NotFound, match=f"Run with ID {named} not found"):
            call(server.url, "steps", named)


@pytest.mark.parametrize("status", ["cancelled", "pending", "failed"])
def test_a_step_that_did_not_end_was_never_counted(status: str) -> None:
    # a server makes its row with zeros, and 0.16.8 leaves a cancelled one pending with them
    zeros = dict.fromkeys(("prompt_tokens", "completion_tokens", "total_tokens"), 0)
    run = Run({"messages": [{"role": "user", "content": "hi"}]})
    for number in (1, 2):
        said = {"message_type": "assistant_message", "id": f"message-{number}", "step_id": f"step-{number}"}
        run.receive(Received(number, "", json.dumps({**said, "content": "hi", "run_id": "run-1", "is_err": None})))
    run.end(3, cancelled=True)
    first = {"id": "step-1", "status": "success", "prompt_tokens": 7, "completion_tokens": 0, "total_tokens": 7}
    run.join_server({"steps": [first, {"id": "step-2", "status": status, **zeros}]})
    steps = run.steps_df()
    assert steps["input_tokens"].tolist() == [7, pd.NA]
    assert steps["output_tokens"].tolist() == [0, pd.NA]
    assert steps["total_tokens"].tolist() == [7, pd.NA]
    assert letta_nb.runs_df(run)["input_tokens"].tolist() == [7]


def test_a_step_that_was_cancelled_tells_no_tokens() -> None:
    with letta_nb.serve(pace=5) as server, letta_nb.Client(server.url) as client:
        with client.stream("demo", "Compare Paris and Tokyo in July.") as stream:
            for event in stream:
                if event.message_type != "ping":
                    client.cancel("demo", stream.run.run_id)
                    break
            list(stream)
        run = stream.run
        client.complete(run)
    assert (run.status, run.usage, len(run.steps)) == ("cancelled", None, 1)
    assert run.steps[0].server["status"] == "cancelled"
    assert run.steps_df().filter(regex="_tokens$").isna().all(axis=None)


def test_a_run_without_steps_has_none(call: Call) -> None:
    routes = {("GET", "/v1/runs/run-1/steps"): answer([]), ("GET", "/v1/runs/run-1"): answer({"id": "run-1"})}
    with ScriptedServer([], routes) as server:
        assert call(server.url, "steps", "run-1") == []
    # nothing more is asked where there are some
    routes = {("GET", "/v1/runs/run-1/steps"): answer([{"id": "step-1"}])}
    with ScriptedServer([], routes) as server:
        assert call(server.url, "steps", "run-1") == [{"id": "step-1"}]
        assert [request.path.partition("?")[0] for request in server.requests] == [
            "/v1/runs/run-1/steps",
            "/v1/steps/step-1/metrics",
        ]


def test_one_run_and_its_steps(call: Call, served: tuple[Server, list[Run]]) -> None:
    server, runs = served
    run = call(server.url, "run", runs[-1].run_id)
    assert run.text == runs[-1].text
    for asked in (runs[-1], runs[-1].run_id):
        rows = call(server.url, "steps", asked)
        assert [row["id"] for row in rows] == [step.step_id for step in runs[-1].steps]
        assert all(isinstance(row["llm_request_ns"], int) for row in rows)
    with pytest.raises(errors.NotFound):
        call(server.url, "run", "run-00000000-0000-4000-8000-000000000000")
    with pytest.raises(errors.InputError, match="no run_id"):
        call(server.url, "steps", Run())


def test_the_server_says_what_it_is(call: Call, served: tuple[Server, list[Run]]) -> None:
    info = call(served[0].url, "server")
    assert info.software == "letta_nb's embedded server"
    assert info.can("client_tools")
    assert info.version == "0.16.8"
    with ScriptedServer(routes={("GET", "/v1/health/"): answer({"version": "0.7.16", "status": "ok"})}) as old:
        info = call(old.url, "server")
    assert (info.software, info.version) == ("Letta", "0.7.16")
    assert not info.can("background")
    assert info.can("steps")
    assert "since 0.11.5" in info.lacks("background", "background runs")
    with ScriptedServer() as silent:
        assert call(silent.url, "server").can("background")


@pytest.mark.parametrize("since", ["soon", "7 moons", ""])
def test_a_time_that_is_none(since: str) -> None:
    with pytest.raises(errors.InputError, match="is no time"):
        history.since_of(since)


def test_times_in_words() -> None:
    now = datetime.now(UTC)
    for text, ago in (("90m", timedelta(minutes=90)), ("12h", timedelta(hours=12)), ("2w", timedelta(weeks=2))):
        got = history.since_of(text)
        assert got is not None
        assert abs(now - ago - got) < timedelta(minutes=1)
    assert history.since_of("2026-11-01") == datetime(2026, 11, 1, tzinfo=UTC)
    assert history.since_of(datetime(2026, 11, 1)) == datetime(2026, 11, 1, tzinfo=UTC)


def test_a_server_that_knows_no_cursor_is_not_asked_for_ever(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "_PAGE", 2)
    rows = [{"id": f"message-{n}", "message_type": "user_message", "content": "x"} for n in range(2)]
    with ScriptedServer(routes={("GET", f"/v1/agents/{AGENT}/messages"): answer(rows)}) as server:
        assert len(call(server.url, "messages", AGENT)) == 2
        assert len(server.requests) == 2


def test_a_server_that_has_its_cursors_the_wrong_way_round(monkeypatch: pytest.MonkeyPatch) -> None:
    """0.16.8 pages its runs by `before`; a run that begins meanwhile is newer than what was listed."""
    monkeypatch.setattr(history, "_PAGE", 2)
    rows = [{"id": f"run-{n}", "created_at": f"2026-01-0{9 - n}T00:00:00Z"} for n in range(7)]
    known = [row["id"] for row in rows[1:]]  # the newest is not there yet when the list begins

    def listed(query: httpx.QueryParams) -> list[dict[str, str]]:
        if "before" in query:
            start = known.index(query["before"]) + 2
            return rows[start : start + 2]
        return rows[:1] if "after" in query else rows[1:3]

    with letta_nb.Client("http://127.0.0.1:9") as client:
        pages = client._run_pages(None, None, None, None, None)
        got: list[str] = []
        while (flow := pages.next()) is not None:
            request = next(flow)
            try:
                while True:
                    request = flow.send(httpx.Response(200, json=listed(request.url.params), request=request))
            except StopIteration as end:
                got += [row["id"] for row in end.value]
    assert got == known


def recorded(name: str) -> Any:
    return json.loads((ROOT / f"{name}.json").read_bytes())["body"]


def test_a_recorded_run_of_a_real_server() -> None:
    run = history.as_run(
        recorded("v1_multi_run"), recorded("v1_multi_run_messages"), recorded("v1_multi_run_steps"), None, "http://x"
    )
    assert (run.status, run.stop_reason, run.prompt) == ("completed", "end_turn", "SCN:multi please")
    assert [call.name for call in run.tool_calls] == ["get_weather", "roll_die", "slow_lookup"]
    assert all(call.status == "success" for call in run.tool_calls)
    assert run.duration == pytest.approx(14.619313)
    assert run.started.isoformat() == "2026-11-22T12:05:23.490909+00:00"
