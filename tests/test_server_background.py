"""Background runs: numbered, kept, read again from anywhere, found again by otid, cancelled, expired, cut."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from server_play import Play, Wire, events, kinds, of_type, playing

from letta_nb.server.store import Store
from letta_nb.server.wire import now, utc_text

RECORDINGS = Path(__file__).parent / "fixtures" / "0.16.8"
WAITING = [[("think", "hm"), ("say", "half "), ("wait",), ("say", "whole")]]
NO_RUN = "run-00000000-0000-4000-8000-000000000000"


def add(a: float, b: float) -> float:
    """Add two numbers."""
    return a + b


TOOL = [
    [("think", "adding"), ("call", "add", '{"a": 1, "b": 2}')],
    [("say", "It is 3.")],
]


def frames(body: bytes) -> list[bytes]:
    return [frame + b"\n\n" for frame in body.split(b"\n\n") if frame]


def resume(wire: Wire, run_id: str, **body: Any) -> bytes:
    answer = wire.http.post(f"/v1/runs/{run_id}/stream", json=body)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    return answer.content


@contextmanager
def half_way(wire: Wire, **body: Any) -> Iterator[tuple[str, Iterator[str], list[str]]]:
    """A background stream that has said half of its words: its run, the lines to come, and those that came."""
    path = f"/v1/agents/{wire.agent_id}/messages/stream"
    sent: dict[str, Any] = {"messages": [{"role": "user", "content": "go"}], "stream_tokens": True, "background": True}
    with wire.http.stream("POST", path, json=sent | body) as answer:
        lines, seen = answer.iter_lines(), list[str]()
        for line in lines:
            seen.append(line)
            if "half" in line:
                break
        yield json.loads(seen[0].removeprefix("data: "))["run_id"], lines, seen


def wait_for_end(wire: Wire, run_id: str) -> dict[str, Any]:
    deadline = time.monotonic() + 10
    while (run := wire.get(f"/v1/runs/{run_id}"))["status"] == "running":
        assert time.monotonic() < deadline
        time.sleep(0.005)
    return run


@pytest.mark.parametrize("tokens", [False, True])
def test_events_are_numbered_and_the_replay_is_the_same_bytes(tokens: bool) -> None:
    with playing(TOOL, add) as wire:
        body = wire.body(background=True, stream_tokens=tokens)
        run_id = events(body)[0]["run_id"]
        assert resume(wire, run_id) == resume(wire, run_id, starting_after=0) == body
        for after in range(len(frames(body)) + 2):
            assert resume(wire, run_id, starting_after=after, batch_size=3) == b"".join(frames(body)[after:])
    assert body.endswith(b"data: [DONE]\n\n")
    numbers = dict(enumerate(events(body), 1))
    assert all(event["seq_id"] == index for index, event in numbers.items() if "seq_id" in event)
    assert [event["message_type"] for event in numbers.values() if "seq_id" not in event] == [
        "stop_reason",
        "usage_statistics",
    ]
    assert numbers[1]["message_type"] == "ping"


def test_the_shape_is_the_recorded_one() -> None:
    with playing([[("think", "hm"), ("say", "hi")]]) as wire:
        ours = wire.stream(background=True)
    theirs = events((RECORDINGS / "v1_bg_hello_step.sse").read_bytes())
    assert [list(event) for event in ours] == [list(event) for event in theirs]
    assert [event.get("seq_id") for event in ours] == [event.get("seq_id") for event in theirs]


def test_a_failed_stream_ends_with_its_error() -> None:
    with playing([[("fail", "down")]]) as wire:
        body = wire.body(background=True, stream_tokens=True)
        assert resume(wire, events(body)[0]["run_id"]) == body
    assert kinds(events(body)) == kinds(events((RECORDINGS / "v1_bg_err500_tok.sse").read_bytes()))
    assert events(body)[-1]["seq_id"] == 3
    assert b"[DONE]" not in body


def test_a_reader_that_left_comes_back_and_hears_the_rest_live() -> None:
    play = Play(WAITING, piece=9)
    with playing(play) as wire:
        other = Wire(str(wire.http.base_url))
        with half_way(wire) as (run_id, _, seen):
            pass
        last = json.loads(seen[-1].removeprefix("data: "))["seq_id"]
        path, body = f"/v1/runs/{run_id}/stream", {"starting_after": last}
        with other.http.stream("POST", path, json=body) as answer:
            play.released.set()
            rest = b"".join(answer.iter_raw())
        whole = resume(other, run_id)
        assert wait_for_end(wire, run_id)["status"] == "completed"
        other.http.close()
    assert b"".join(frames(whole)[last:]) == rest
    assert b"whole" in rest
    assert b"half" not in rest


def test_a_stream_without_pings_has_no_keepalive() -> None:
    play = Play(WAITING, piece=9)
    with playing(play, ping_interval=0.01) as wire:
        other = Wire(str(wire.http.base_url))
        with half_way(wire) as (run_id, lines, _):
            # keepalives repeat the number of the event before them
            ping = next(line for line in lines if '"ping"' in line)
            path = f"/v1/runs/{run_id}/stream"
            with other.http.stream("POST", path, json={"include_pings": False}) as answer:
                quiet = answer.iter_lines()
                assert '"ping"' in next(quiet)
                said = next(line for line in quiet if "half" in line)
                play.released.set()
                assert not any('"ping"' in line for line in quiet)
        stored = resume(other, run_id)
        other.http.close()
    assert json.loads(ping.removeprefix("data: "))["seq_id"] == json.loads(said.removeprefix("data: "))["seq_id"]
    assert len(of_type(events(stored), "ping")) == 1


def test_what_cannot_be_read_again_says_why() -> None:
    with playing([[("say", "x")]]) as wire:
        run_id = wire.stream()[0]["run_id"]
        foreground = wire.http.post(f"/v1/runs/{run_id}/stream", json={})
        unknown = wire.http.post(f"/v1/runs/{NO_RUN}/stream", json={})
        wrong = wire.http.get(f"/v1/runs/{run_id}/stream")
    recorded = json.loads((RECORDINGS / "resume_non_background_run.sse").read_text(encoding="utf-8"))
    assert (foreground.status_code, foreground.json()) == (400, recorded)
    theirs = json.loads((RECORDINGS / "resume_bad_run.sse").read_text(encoding="utf-8"))["detail"]
    shared = theirs[: theirs.index("actor=") + len("actor=")]
    assert unknown.status_code == 404
    assert unknown.json()["detail"].startswith(shared)
    assert (wrong.status_code, wrong.json()) == (405, {"detail": "Method Not Allowed"})


def test_a_stream_expires(tmp_path: Path) -> None:
    path = tmp_path / "agents.db"
    with playing([[("say", "x")]], database=path) as wire:
        run_id = wire.stream(background=True)[0]["run_id"]
        other = Store(path)
        other.update("runs", run_id, created_at="2020-01-01T00:00:00.000000Z")
        answer = wire.http.post(f"/v1/runs/{run_id}/stream", json={})
        assert other.frame_count(run_id) > 0
        # the next background run sweeps
        wire.stream(background=True)
        assert other.frame_count(run_id) == 0
        other.close()
    assert answer.status_code == 410
    assert answer.json() == {"detail": "EXPIRED: Run was created more than 3 hours ago, and is now expired."}


def test_the_time_to_live_is_a_setting() -> None:
    with playing([[("say", "x")]], background_ttl=0.0) as wire:
        run_id = wire.stream(background=True)[0]["run_id"]
        answer = wire.http.post(f"/v1/runs/{run_id}/stream", json={})
    assert answer.status_code == 410
    assert "more than 0 seconds ago" in answer.json()["detail"]


def test_a_server_without_redis_has_no_background() -> None:
    with playing([[("say", "x")]], background=False) as wire:
        body = {"messages": [{"role": "user", "content": "x"}], "background": True}
        answer = wire.http.post(f"/v1/agents/{wire.agent_id}/messages/stream", json=body)
        assert wire.get("/v1/runs/") == []
        assert wire.stream()[-1]["message_type"] == "usage_statistics"
    assert answer.status_code == 503
    assert answer.json()["detail"].startswith("Background streaming requires Redis to be running. ")


def test_the_same_request_again_attaches_to_its_run() -> None:
    play = Play(WAITING, piece=9)
    messages = [{"role": "user", "content": "go", "otid": "one"}]
    with playing(play) as wire:
        other = Wire(str(wire.http.base_url))
        with half_way(wire, messages=messages) as (run_id, lines, seen):
            path = f"/v1/agents/{other.agent_id}/messages/stream"
            body = {"messages": messages, "stream_tokens": True, "background": True}
            with other.http.stream("POST", path, json=body) as answer:
                play.released.set()
                again = "".join(f"{line}\n" for line in answer.iter_lines())
            assert again == "".join(f"{line}\n" for line in [*seen, *lines])
        assert len(wire.get("/v1/runs/")) == 1
        # and after its end, as long as it is kept
        assert other.body(messages=messages, background=True).decode() == again
        assert other.stream(messages=[messages[0] | {"otid": "two"}])[0]["run_id"] != run_id
        assert len(wire.get("/v1/runs/")) == 2
        other.http.close()


def test_requests_without_otids_are_each_their_own() -> None:
    with playing([[("say", "x")]]) as wire:
        first, second = wire.stream(background=True), wire.stream(background=True)
    assert first[0]["run_id"] != second[0]["run_id"]


def test_cancel_ends_it_as_recorded() -> None:
    with playing(Play(WAITING, piece=9)) as wire:
        other = Wire(str(wire.http.base_url))
        with half_way(wire) as (run_id, lines, _):
            path = f"/v1/agents/{other.agent_id}/messages/cancel"
            assert other.http.post(path, json={"run_ids": [run_id]}).json() == {run_id: "cancelled"}
            rest = [line for line in lines if line]
        stored = resume(other, run_id)
        run = wait_for_end(other, run_id)
        other.http.close()
    theirs = (RECORDINGS / "v1_cancel_bg_slowtok.sse").read_text(encoding="utf-8").split("\n")
    assert rest == [line for line in theirs if line][-2:]
    assert stored.decode().split("\n\n")[-3:-1] == rest
    assert (run["status"], run["stop_reason"], run["background"]) == ("cancelled", "cancelled", True)


def test_runs_are_listed_by_it() -> None:
    with playing([[("say", "x")]]) as wire:
        behind, before = wire.stream(background=True)[0]["run_id"], wire.stream()[0]["run_id"]
        assert [run["id"] for run in wire.get("/v1/runs/", background=True)] == [behind]
        assert [run["id"] for run in wire.get("/v1/runs/", background=False)] == [before]
        assert [run["background"] for run in wire.get("/v1/runs/")] == [False, True]


def test_a_stream_outlives_its_server(tmp_path: Path) -> None:
    options: dict[str, Any] = {"database": tmp_path / "agents.db"}
    with playing(TOOL, add, **options) as wire:
        body = wire.body(background=True, stream_tokens=True)
        run_id = events(body)[0]["run_id"]
    with playing(TOOL, add, **options) as wire:
        assert resume(wire, run_id) == body


def test_a_stream_that_the_servers_end_cut_says_so(tmp_path: Path) -> None:
    options: dict[str, Any] = {"database": tmp_path / "agents.db"}
    play = Play(WAITING, piece=9)
    with playing(play, **options) as wire, half_way(wire) as (run_id, _, _):
        pass
    with playing(play, **options) as wire:
        found = events(resume(wire, run_id))
        run = wire.get(f"/v1/runs/{run_id}")
    assert kinds(found)[-2:] == ["stop_reason", "error_message"]
    assert found[-1]["error_type"] == "stream_task_cancelled"
    assert found[-1]["seq_id"] == len(found)
    assert (run["status"], run["stop_reason"]) == ("failed", "error")


def test_a_stream_that_a_crash_cut_is_given_an_end(tmp_path: Path) -> None:
    path = tmp_path / "agents.db"
    with playing(TOOL, add, database=path) as wire:
        run_id = wire.stream(background=True)[0]["run_id"]
    store = Store(path)
    store.update("runs", run_id, status="running", stop_reason=None, created_at=utc_text(now()))
    kept = store.frames(run_id, 0, 2)
    store.close()
    with playing(TOOL, add, database=path) as wire:
        found = events(resume(wire, run_id))
        again = events(resume(wire, run_id))
    assert events(b"".join(kept)) == found[:2]
    assert found[-1]["error_type"] == "stream_task_cancelled"
    assert again == found


def test_approvals_work_in_the_background_too() -> None:
    offer = {"client_tools": [{"name": "kernel_fn"}], "background": True}
    with playing([[("call", "kernel_fn", "{}")], [("say", "done")]]) as wire:
        first = wire.stream(**offer)
        call_id = of_type(first, "approval_request_message")[0]["tool_call"]["tool_call_id"]
        item = {"type": "tool", "tool_call_id": call_id, "tool_return": "1", "status": "success"}
        second = wire.stream(messages=[{"type": "approval", "approvals": [item]}], **offer)
    assert [event["seq_id"] for event in first if "seq_id" in event] == [1, 2]
    assert [event["seq_id"] for event in second if "seq_id" in event] == [1, 2, 3]
    assert kinds(second)[-1] == "usage_statistics"
