"""One prompt to many: each send in a conversation of its own, failures as rows, one set of tables, a Stop for all."""

from __future__ import annotations

import asyncio
import pickle
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook
from pydantic_ai import Agent
from server_play import Play, Wire

import letta_nb
from letta_nb import frames, multiples, trials
from letta_nb.entries import RunError
from letta_nb.multiples import Glance, Line
from letta_nb.phases import Phase
from letta_nb.run import Run
from letta_nb.server import Server, serve
from letta_nb.trials import FanOut

MS = 1_000_000


def double(a: int) -> int:
    """Twice as much."""
    return 2 * a


def two_agents() -> dict[str, Agent[None, Any]]:
    quick = Play([[("call", "double", '{"a": 21}')], [("say", "42")]])
    wordy = Play([[("think", "Hm."), ("say", "It is 42, I think.")]])
    wordy.model._model_name = "wordy"  # pyright: ignore[reportPrivateUsage]
    return {"quick": quick.agent(double), "wordy": wordy.agent()}


@contextmanager
def serving(agents: dict[str, Agent[None, Any]], **options: Any) -> Iterator[Server]:
    """A server that `fan_out` talks to."""
    with serve(agents, **options) as server, letta_nb.connect(server.url):
        yield server


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(two_agents()) as server:
        yield server


# -- all goes well -----------------------------------------------------------------------------------------------------


def test_each_send_has_a_conversation_of_its_own(server: Server) -> None:
    fan = letta_nb.fan_out("Double 21", ["quick", "wordy"], repeats=3)

    assert [run.status for run in fan] == ["completed"] * 6
    assert [run.text for run in fan] == ["42"] * 3 + ["It is 42, I think."] * 3
    assert len({run.conversation_id for run in fan}) == 6
    with Wire(server.url).http as http:
        there = {row["id"]: row["agent_id"] for row in http.get("/v1/conversations/").json()}
    assert {run.conversation_id: run.agent_id for run in fan} == there
    assert letta_nb.last_fan_out() is fan


def test_the_tables_of_all_name_agent_model_and_repeat(server: Server) -> None:
    fan = letta_nb.fan_out("Double 21", ["quick", "wordy"], repeats=2)

    runs = fan.runs_df()
    assert list(runs.columns[:5]) == ["run_id", "trial", "agent_name", "request_model", "repeat"]
    assert runs.trial.tolist() == [0, 1, 2, 3]
    assert runs.agent_name.tolist() == ["quick", "quick", "wordy", "wordy"]
    assert runs.request_model.tolist() == ["play", "play", "wordy", "wordy"]
    assert runs.repeat.tolist() == [0, 1, 0, 1]
    assert runs.columns.is_unique
    assert fan.tools_df().merge(runs[["run_id", "repeat"]], on="run_id", validate="many_to_one").repeat_x.tolist() == [
        0,
        1,
    ]
    assert fan.steps_df(columns=["repeat", "step_index"]).columns.tolist() == ["repeat", "step_index"]
    assert "letta.trial" in fan.events_df(names="otel").columns
    assert fan.usage_df().trial.tolist() == [0, 1, 2, 3]
    assert set(fan.messages_df().agent_name) == {"quick", "wordy"}
    # what knows nothing of trials takes the runs as they are
    assert len(frames.runs_df(fan)) == 4
    assert list(frames.runs_df(fan[2:]).agent_name) == ["wordy", "wordy"]


def test_another_model_answers_and_is_what_the_run_names(server: Server) -> None:
    fan = letta_nb.fan_out("Double 21", "quick", [None, "function/wordy"])

    assert [run.text for run in fan] == ["42", "It is 42, I think."]
    assert [run.model for run in fan] == ["play", "wordy"]
    assert [run.provider for run in fan] == ["function", "function"]
    assert fan.runs_df().request_model.tolist() == ["play", "wordy"]
    assert [(run.request or {}).get("override_model") for run in fan] == [None, "function/wordy"]


def test_no_more_than_so_many_go_on_at_once() -> None:
    most, now, lock = [0], [0], threading.Lock()
    three = threading.Barrier(3)

    def busy() -> str:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        three.wait(20)  # never passed if fewer than three run side by side
        with lock:
            now[0] -= 1
        return "done"

    play = Play([[("call", "busy", "{}")], [("say", "ok")]])
    with serving({"busy": play.agent(busy)}):
        fan = letta_nb.fan_out("go", repeats=6, concurrency=3)
    assert [run.status for run in fan] == ["completed"] * 6
    assert most == [3]


def test_without_conversations_an_agents_runs_go_one_after_the_other() -> None:
    with serving(two_agents(), era="seed"):
        fan = letta_nb.fan_out("Double 21", ["quick", "wordy"], repeats=3, concurrency=6)

    assert [run.status for run in fan] == ["completed"] * 6
    for runs in (fan[:3], fan[3:]):
        ends = [run.started.timestamp() + (run.duration or 0) for run in runs]
        assert all(run.started.timestamp() >= end - 0.001 for run, end in zip(runs[1:], ends, strict=False))
        assert all(run.conversation_id is None for run in runs)


def test_a_run_that_asks_for_approval_waits_for_whoever_answers_it_later() -> None:
    from pydantic_ai import Tool

    play = Play([[("call", "double", '{"a": 21}')], [("say", "42")]])
    with serving({"careful": play.agent(Tool(double, requires_approval=True))}):
        fan = letta_nb.fan_out("Double 21", repeats=2)
        assert [run.status for run in fan] == ["requires_approval"] * 2
        assert "waits for approval  double needs your approval" in multiples.plain(fan.lines())

        assert fan[1].approve().status == "completed"
        assert fan[0].status == "requires_approval"
        assert fan.runs_df().status.tolist() == ["requires_approval", "completed"]
        assert multiples.plain(fan.lines()).endswith("1   completed  42")


def test_the_runs_are_saved_a_file_each(server: Server, tmp_path: Path) -> None:
    fan = letta_nb.fan_out("Double 21", ["quick", "wordy"])
    files = fan.save(tmp_path / "runs")
    assert [file.name for file in files] == ["000-quick-play-0.jsonl", "001-wordy-wordy-0.jsonl"]
    loaded = frames.runs_df(str(tmp_path / "runs" / "*.jsonl"))
    assert loaded.equals(frames.runs_df(fan))


@pytest.mark.parametrize("redact", [(), ["wordy"]])
def test_saved_runs_know_which_trial_they_were(server: Server, tmp_path: Path, redact: list[str]) -> None:
    fan = letta_nb.fan_out("Double 21", "quick", [None, "function/wordy"], repeats=2)
    fan.save(tmp_path, redact=redact)
    names = ["trial", "request_model", "repeat"]
    loaded = letta_nb.runs_df(str(tmp_path / "*.jsonl"))
    other = "[redacted]" if redact else "wordy"
    assert loaded[names].to_numpy().tolist() == [[0, "play", 0], [1, "play", 1], [2, other, 0], [3, other, 1]]
    runs = [letta_nb.load(path) for path in sorted(tmp_path.glob("*.jsonl"))]
    again = [run for run in runs if isinstance(run, Run)]
    again[0].save(tmp_path / "copy.jsonl")
    assert letta_nb.runs_df(tmp_path / "copy.jsonl")[names].equals(loaded[names].head(1))
    # what was no trial has the columns too, and nothing in them
    assert letta_nb.runs_df(Run())[names].isna().all(axis=None)


def test_two_fan_outs_are_not_saved_into_one_folder(server: Server, tmp_path: Path) -> None:
    first, second = (letta_nb.fan_out("Double 21", "quick", repeats=2) for _ in range(2))
    other = first[0].save(tmp_path / "another.jsonl", redact=["quick"])
    kept = {path: path.read_bytes() for path in first.save(tmp_path)}
    other.unlink()
    with pytest.raises(letta_nb.errors.InputError, match=r"000-quick-play-0.jsonl is a run of another fan-out"):
        second.save(tmp_path)
    with pytest.raises(letta_nb.errors.InputError, match="Name another folder"):
        letta_nb.fan_out("Double 21", "wordy").save(tmp_path)  # no name is the same
    assert {path: path.read_bytes() for path in sorted(tmp_path.iterdir())} == kept
    # the same runs may be saved again, and beside runs that are of no fan-out
    first.save(tmp_path, redact=["Double"])
    letta_nb.send("Double 21", "quick").save(tmp_path / "alone.jsonl")
    assert len(first.save(tmp_path)) == 2
    # what is there under such a name and is no run of these
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "001-quick-play-1.jsonl").write_text("notes")
    with pytest.raises(letta_nb.errors.InputError, match=r"001-quick-play-1.jsonl is there already"):
        second.save(tmp_path / "mine")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["001-quick-play-1.jsonl"]


def test_what_is_nowhere_in_all_the_runs_is_warned_of_once(server: Server, tmp_path: Path) -> None:
    fan = letta_nb.fan_out("Double 21", ["quick", "wordy"])
    assert "quick" not in str(fan[1].agent_name)
    with pytest.warns(UserWarning, match="nothing in these runs was redacted") as told:
        fan.save(tmp_path, redact=["quick", "Double", "nobody"], redact_fields=["content", "contents"])
    (warning,) = told
    assert warning.filename == __file__
    assert "redacted for redact[2] (" in str(warning.message)
    assert "redact_fields 'contents': check the spelling" in str(warning.message)
    assert all("Double" not in path.read_text("utf-8") for path in tmp_path.glob("*.jsonl"))


# -- what goes wrong ---------------------------------------------------------------------------------------------------


def test_what_fails_or_is_refused_is_a_row_and_the_others_go_on() -> None:
    play = Play(lambda prompt, step: [("fail", "the model is out of order")])
    with serving({"broken": play.agent(), **two_agents()}):
        fan = letta_nb.fan_out("Double 21", ["broken", "quick"], [None, "openai/none"])

    assert [run.status for run in fan] == ["failed", "failed", "completed", "failed"]
    rows = fan.runs_df()
    assert rows.agent_name.tolist() == ["broken", "broken", "quick", "quick"]
    assert rows.request_model.tolist() == ["play", "none", "play", "none"]
    assert rows.error_message.notna().tolist() == [True, True, False, True]
    told = multiples.plain(fan.lines())
    assert "3   failed  HTTP 404:" in told
    assert "2   completed  42" in told


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ({"agents": []}, "agents is an empty list"),
        ({"agents": "quick", "models": []}, "models is an empty list"),
        ({"agents": ["quick"], "repeats": 0}, "repeats=0"),
        ({"agents": ["quick"], "concurrency": 0}, "concurrency=0"),
        ({"agents": ["quick", "quack"]}, "There is no agent named 'quack'"),
        ({"agents": ["quick", "quick"]}, "The agent quick is named twice. For several runs of it say repeats=2."),
        ({"agents": ["quick"], "models": ["a/b", "a/b"]}, "The model a/b is named twice"),
        ({}, "Which agent?"),
    ],
)
def test_what_cannot_be_sent_raises_before_anything_is(server: Server, call: dict[str, Any], words: str) -> None:
    with pytest.raises(letta_nb.errors.InputError, match=words.replace("?", r"\?")):
        letta_nb.fan_out("Double 21", **call)
    with Wire(server.url).http as http:
        assert http.get("/v1/runs/").json() == []
        assert http.get("/v1/conversations/").json() == []


def test_a_server_that_cannot_take_another_model_is_not_sent_one() -> None:
    old = r"has no override_model.*since 0\.16\.4"
    with serving(two_agents(), era="seed"), pytest.raises(letta_nb.errors.ConfigurationError, match=old):
        letta_nb.fan_out("Double 21", "quick", ["function/wordy"])


def test_an_interrupt_stops_all_and_what_arrived_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    play = Play([[("say", "Half of it"), ("wait",), ("say", " and the rest.")]])

    def interrupted(fan: FanOut) -> Iterator[None]:
        while not all(run.text for run in fan[:2]):
            yield
        raise KeyboardInterrupt

    monkeypatch.setattr(trials.FanOut, "ticks", interrupted)
    with serving({"slow": play.agent()}) as server:
        with pytest.raises(letta_nb.errors.Interrupted, match=r"5 runs, 5 stopped, .*letta_nb.last_fan_out\(\)"):
            letta_nb.fan_out("go", repeats=5, concurrency=2)
        with Wire(server.url).http as http:
            sent = http.get("/v1/runs/").json()

    fan = letta_nb.last_fan_out()
    assert fan is not None
    assert [run.status for run in fan] == ["cancelled"] * 5
    assert [run.text for run in fan] == ["Half of it"] * 2 + [""] * 3
    assert [run["status"] for run in sent] == ["cancelled"] * 2
    assert fan[4].note == "Never sent: the fan-out was stopped before."
    assert fan.runs_df().status.tolist() == ["cancelled"] * 5
    assert fan.runs_df().duration_s.isna().tolist() == [False] * 2 + [True] * 3  # what was never sent took no time
    assert [thread.name for thread in threading.enumerate() if thread.name == "letta_nb fan-out"] == []


# -- a conversation of its own, for any message ------------------------------------------------------------------------


def test_a_new_conversation_can_be_asked_for_by_either_client(server: Server) -> None:
    async def main() -> Run:
        async with letta_nb.AsyncClient(server.url) as client:
            async with client.stream("quick", "Double 21", conversation="new") as stream:
                assert [event async for event in stream]
            return stream.run

    with letta_nb.Client(server.url) as client, client.stream("quick", "Double 21", conversation="new") as stream:
        assert list(stream)
    ids = [stream.run.conversation_id, asyncio.run(main()).conversation_id]
    with Wire(server.url).http as http:
        assert {row["id"] for row in http.get("/v1/conversations/").json()} == set(ids)


def test_a_server_without_conversations_says_so(server: Server) -> None:
    with (
        serve(two_agents(), era="seed") as seed,
        letta_nb.Client(seed.url) as client,
        pytest.raises(letta_nb.errors.ConfigurationError, match="has no conversations"),
        client.stream("quick", "Double 21", conversation="new"),
    ):
        pass


# -- how it looks ------------------------------------------------------------------------------------------------------


def line(number: int, its: Glance, *, group: str = "quick, play", elapsed: int | None = None) -> Line:
    return Line(number, group, its, elapsed)


DONE = Glance(status="completed", end=400 * MS, tokens=(10, 5), note="42", calls=1)


def test_a_line_runs_on_while_its_run_does() -> None:
    parts = (Phase("wait", 0, 100 * MS), Phase("tool", 100 * MS, 200 * MS))
    lines = [line(0, Glance(parts=parts), elapsed=400 * MS), line(1, Glance())]
    told = multiples.as_text(lines, 400 * MS)
    assert "0   ··········━━━━━━━━━━····················     400 ms  running" in told
    assert "1" + " " * 56 + "queued" in told
    assert told.startswith("0 of 2 done, 1 running, 400 ms")


def test_the_facts_of_a_group_are_of_what_completed() -> None:
    lines = [
        line(0, DONE),
        line(1, DONE._replace(end=600 * MS, usd=0.5)),
        line(2, Glance(status="failed", end=MS)),
    ]
    assert multiples.group_facts(lines) == [
        "2 of 3 completed",
        "median 500 ms (400 ms to 600 ms)",
        "10 tokens in",
        "5 out",
        "$0.5000 each",
    ]
    assert multiples.heading(lines, 1200 * MS) == ["3 runs", "1 failed", "1.20 s"]


def test_nothing_of_the_data_becomes_a_tag() -> None:
    evil = "<img src=x onerror=alert(1)>\"'\x1b[31m\u202e"
    html = multiples.html([line(0, DONE._replace(note=evil), group=evil)], MS)
    assert "<img" not in html
    assert "\x1b" not in html
    assert "&lt;img src=x onerror=alert(1)&gt;" in html


def test_a_failure_is_told_in_the_line() -> None:
    run = Run(agent_name="quick")
    run.fail(3 * MS, RunError("ConnectionFailed", "Nobody answers at that address."))
    html = multiples.html([Line(0, "quick", multiples.glance(run), 3 * MS)], 3 * MS)
    assert "failed: Nobody answers at that address." in html


def test_the_text_of_a_cell_has_no_times(server: Server) -> None:
    fan = letta_nb.fan_out("Double 21", ["quick", "wordy"])
    assert fan.mimebundle()["text/plain"] == (
        "letta  2 runs\nquick, play\n  0   completed  42\nwordy, wordy\n  1   completed  It is 42, I think."
    )


CELLS = """
import letta_nb
server = letta_nb.serve()
client = letta_nb.connect(server.url)
---
fan = letta_nb.fan_out("What is the weather in Oslo?", repeats=2, stream_tokens=False)
fan
---
fan
"""


def test_a_cell_shows_it_once_and_any_other_as_it_stands() -> None:
    book = new_notebook(cells=[new_code_cell(cell.strip()) for cell in CELLS.split("---")])
    done = NotebookClient(book, timeout=120, kernel_name="python3").execute()
    for cell in done.cells[1:]:
        [output] = cell.outputs
        assert output.output_type == "display_data"
        assert output.data["text/html"].count("<tr>") == 3
        assert output.data["text/plain"].startswith("letta  2 runs\ndemo, scripted\n  0   completed  ")


def test_runs_that_were_read_here_can_be_sent_to_another_process(server: Server) -> None:
    fan = letta_nb.fan_out("Double 21", "quick", repeats=2)
    again = pickle.loads(pickle.dumps(list(fan)))
    assert frames.steps_df(again).equals(frames.steps_df(fan))
