"""Writes js/fixtures/*.json: what the page is sent for real recordings, for the TypeScript tests and the demo page;
and js/comparisons/*.json: what it is given of two of them.

Also for runs that a recording cannot show by itself: answered, resumed and stopped ones are made of recordings, and a
few hand-made calls stand for what people do.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from letta_nb import feed, record
from letta_nb.answers import Answers
from letta_nb.comparison import Comparison
from letta_nb.entries import CallTimes, Cancel, RunError
from letta_nb.log import Received
from letta_nb.run import Run

ROOT = Path(__file__).resolve().parent.parent
RECORDINGS = ROOT / "tests/fixtures"
MODERN = (
    "multi_tok multi_step toolerr_tok toolerr_step parallel2_tok parallel_step approve_tok_1request "
    "approve_parallel_step_1request clienttools_step_1request disc_tok cancel_slowtok err500_tok err2_tok unicode_tok "
    "longjson_step empty_tok loop_maxsteps3_step badargs_tok hello_tok"
).split()
SEED = "memgpt_multi_step memgpt_one_tok memgpt_err500_tok memgpt_loop_maxsteps3".split()
S = 1_000_000_000
# how far a run has come that goes on, or waits for a person, ns
NOW = {"arriving": 12 * S, "held": 3 * S, "asks_three": 42 * S, "half_answered": 50 * S}


def load(name: str) -> Run:
    return record.load_one(RECORDINGS / f"{name}.sse")


def server_rows(name: str) -> list[dict[str, Any]]:
    """A run's `/steps` with each step's `/metrics`, as recorded beside its stream."""
    folder = RECORDINGS / "0.16.8"
    rows: list[dict[str, Any]] = json.loads((folder / f"{name}_run_steps.json").read_text())["body"]
    metrics = [json.loads(path.read_text())["body"] for path in sorted(folder.glob(f"{name}_step*_metrics.json"))]
    by_id = {row["id"]: row for row in metrics}
    return [row | by_id.get(row["id"], {}) for row in rows]


def until(run: Run, seconds: float) -> Run:
    """The same run, as far as it had come after so many seconds."""
    again = run.blank(record=True)
    for received in run.log or ():
        if received.at <= seconds * S:
            again.receive(received)
    return again


def cut(run: Run, seconds: float) -> Run:
    """The same run, as if the connection had closed after so many seconds."""
    again = until(run, seconds)
    again.end(round(seconds * S), RunError("connection_closed", "The connection closed before the run ended."))
    return again


def answered(name: str, seconds: float, *, function: tuple[float, float] | None = None, reason: str = "") -> Run:
    """The run of two recordings, a request for approval and its answer, which a person gave after so many seconds.

    `function`: when the functions of this kernel began, and how long each took.
    """
    run, second = load(f"0.16.8/{name}_1request"), load(f"0.16.8/{name}_2answer")
    at = round(seconds * S)
    times: dict[str, CallTimes] = {}
    begun = at if function is None else round(function[0] * S)
    for call in run.pending:
        done = None if function is None else begun + round(function[1] * S)
        times[str(call.tool_call_id)] = CallTimes(at, None if function is None else begun, done)
        begun = done or begun
    # what a person's answer takes to be sent
    sent = begun + 2_000_000
    request = second.request or {}
    if reason:
        request["messages"][0]["approvals"][0]["reason"] = reason
    run.begin("answer", request, sent, calls=times)
    for received in second.log or ():
        run.receive(received._replace(at=received.at + sent))
    return run


def resumed(run: Run, lost: float, back: float) -> Run:
    """The same run, its connection broken and taken up again; what came meanwhile comes at once."""
    again = run.blank(record=True)
    for received in run.log or ():
        if received.at > lost * S and len(again.legs) == 1:
            again.lose(round(lost * S))
            again.begin("resume", {"starting_after": 1}, round(back * S), lost_at=round(lost * S))
        again.receive(received._replace(at=max(received.at, round(back * S))) if len(again.legs) > 1 else received)
    return again


def stopped(outcome: Any, words: str | None = None) -> Run:
    """A run that a person stopped, and what the server said to that."""
    again = until(load("0.16.8/v1_cancel_slowtok"), 1.9)
    again.cancel_told(Cancel(asked_at=1_700_000_000, outcome=outcome, words=words), 1_700_000_000)
    again.end(2 * S, cancelled=True)
    return again


def asks_three() -> Run:
    """Three calls of one reply that each wait for a person, and one that needs no approval."""
    run = Run({"messages": [{"role": "user", "content": "Clean up the old projects."}], "stream_tokens": True})
    run.agent_name, run.model = "caretaker", "gpt-4o-mini"
    for number, event in enumerate(_three()):
        run.receive(Received((300 + 40 * number) * 1_000_000, "", json.dumps(event)))
    return run


def _three() -> Iterator[dict[str, Any]]:
    base = {"id": "message-1", "date": "2026-11-22T12:00:00+00:00", "step_id": "step-1", "run_id": "run-1"}
    base |= {"is_err": None, "seq_id": None}
    yield base | {"message_type": "reasoning_message", "reasoning": "Three folders are old; the notes can be read now."}
    reads = {"name": "read_notes", "arguments": '{"path": "/srv/notes.md"}', "tool_call_id": "call_0"}
    yield base | {"message_type": "tool_call_message", "tool_call": reads, "tool_calls": reads}
    for number, folder in enumerate(("alpha", "beta", "gamma"), start=1):
        arguments = json.dumps({"path": f"/srv/{folder}", "recursive": True})
        call = {"name": "delete_folder", "arguments": arguments, "tool_call_id": f"call_{number}"}
        asks = {"message_type": "approval_request_message", "id": f"message-1{number}"}
        yield base | asks | {"tool_call": call, "tool_calls": call}
    yield {"message_type": "stop_reason", "stop_reason": "requires_approval"}
    yield {"message_type": "usage_statistics", "prompt_tokens": 1212, "completion_tokens": 96, "total_tokens": 1308}


def half_answered() -> Run:
    """Two of three are answered; the run goes on with the last."""
    run = asks_three()
    run.end(700_000_000)
    answers = Answers(run)
    one, two, _ = run.pending
    answers.decide(one, approve=True, reason=None, at=20 * S)
    answers.decide(two, approve=False, reason="still in use", at=31 * S)
    return run


def runs() -> dict[str, Run]:
    """Every run of js/fixtures, by name."""
    found = {name: load(f"0.16.8/v1_{name}") for name in MODERN}
    found |= {f"seed_{name}": load(f"0.7.16/{name}") for name in SEED}
    for name in ("multi2", "parallel2"):
        run = load(f"0.16.8/v1_{name}_tok")
        run.join_server({"steps": server_rows(f"v1_{name}")})
        found[f"{name}_tok_server"] = run
    multi = found["multi_tok"]
    found["interrupted"] = cut(multi, 9.514)
    found["answered_tok"] = answered("v1_approve_tok", 42.4)
    found["answered_parallel_step"] = answered("v1_approve_parallel_step", 21.0, reason="go ahead")
    found["denied_step"] = answered("v1_deny_step", 8.25)
    found["function_tok"] = answered("v1_clienttool_tok", 3.0, function=(3.02, 1.25))
    found["functions_step"] = answered("v1_clienttools_step", 5.0, function=(5.01, 0.75))
    found["arriving"] = until(multi, 9.514)
    found["held"] = until(load("0.16.8/v1_parallel2_tok"), 0.25)
    found["asks_three"] = asks_three()
    found["asks_three"].end(700_000_000)
    found["half_answered"] = half_answered()
    found["resumed"] = resumed(multi, 3.2, 5.61)
    found["stop_unsupported"] = stopped("unsupported")
    found["stop_nothing"] = stopped("nothing", "No active runs to cancel.")
    return found


def many(count: int, odd: int | None = None) -> Run:
    """So many calls of one tool; the `odd` one is called otherwise, and the answer says so."""
    run = Run(
        {"messages": [{"role": "user", "content": "Read all stations."}]}, started=datetime(2026, 11, 22, tzinfo=UTC)
    )
    run.agent_name, run.model = "inspector", "gpt-4o-mini"
    at = 0
    for station in range(count):
        base = {"id": f"message-{station}", "step_id": f"step-{station}", "run_id": "run-1"}
        arguments = json.dumps({"station": station, "unit": "K" if station == odd else "C"})
        call = {"name": "read_station", "arguments": arguments, "tool_call_id": f"call_{station}"}
        result = json.dumps({"station": station, "temp": 290 if station == odd else 17 + station % 5})
        events: list[dict[str, Any]] = [
            {"message_type": "reasoning_message", "reasoning": f"Station {station} next."},
            {"message_type": "tool_call_message", "tool_call": call, "tool_calls": call},
            {"message_type": "tool_return_message", "tool_return": result, "status": "success"},
        ]
        events[-1]["tool_call_id"] = call["tool_call_id"]
        for event, seconds in zip(events, (0.3, 0.15, 0.8 + station % 7 / 10), strict=True):
            at += round(seconds * S)
            run.receive(Received(at, "", json.dumps(base | event)))
    told = "All stations read." if odd is None else "One station was read in kelvin."
    answer = {"message_type": "assistant_message", "id": "message-last", "step_id": "step-last", "content": told}
    for event in (answer, {"message_type": "stop_reason", "stop_reason": "end_turn"}):
        run.receive(Received(at + S // 2, "", json.dumps(event)))
    run.end(at + S // 2)
    return run


def renamed(run: Run, old: str, new: str) -> Run:
    """The same run, as if another word had been in it throughout."""
    again = run.blank(record=True)
    for received in run.log or ():
        again.receive(received._replace(data=received.data.replace(old, new)))
    again.end(run.ended_at)
    return again


def comparisons() -> dict[str, Comparison]:
    """Every pair of js/comparisons, by name."""
    multi, parallel = load("0.16.8/v1_multi_tok"), load("0.16.8/v1_parallel2_tok")
    pairs = {
        "failed": (multi, load("0.16.8/v1_err2_tok")),
        "same": (multi, load("0.16.8/v1_multi2_tok")),
        "whole_steps": (multi, load("0.16.8/v1_multi_step")),
        "arguments": (multi, renamed(load("0.16.8/v1_multi2_tok"), "Paris", "Berlin")),
        "parallel": (load("0.16.8/v1_loop_maxsteps3_step"), parallel),
        "tool_error": (multi, load("0.16.8/v1_toolerr_tok")),
        "stopped": (load("0.16.8/v1_hello_tok"), load("0.16.8/v1_cancel_slowtok")),
        "asks": (load("0.16.8/v1_approve_tok_1request"), load("0.16.8/v1_approve_step_1request")),
        "many": (many(16), many(16, odd=9)),
    }
    return {name: Comparison(a, b) for name, (a, b) in pairs.items()}


def snapshot(name: str, run: Run) -> dict[str, Any]:
    """What the page is sent; answers that are not sent yet are in no event, and so told as a live run tells them."""
    run.uid = name  # the only thing about a loaded recording that is random
    log = feed.ChangeLog()
    log.absorb(feed.snapshot(run)["changes"])
    if name == "half_answered":
        log.add(run, [feed.EntryChanged(call.answered_at, call) for call in run.tool_calls if call.approval])
    now = feed.ms(NOW.get(name, run.ended_at))
    return {"seq": 0, "now": now, "changes": log.changes()}


def main() -> None:
    out = ROOT / "js/fixtures"
    out.mkdir(exist_ok=True)
    for name, run in sorted(runs().items()):
        text = json.dumps(snapshot(name, run), ensure_ascii=False, indent=0, sort_keys=True)
        (out / f"{name}.json").write_text(text + "\n", encoding="utf-8")
        print(f"{len(text):8,}  {name}")
    out = ROOT / "js/comparisons"
    out.mkdir(exist_ok=True)
    for name, comparison in sorted(comparisons().items()):
        comparison.a.uid, comparison.b.uid = f"{name}-a", f"{name}-b"
        text = json.dumps(comparison.words_for_page(), ensure_ascii=False, indent=0, sort_keys=True)
        (out / f"{name}.json").write_text(text + "\n", encoding="utf-8")
        print(f"{len(text):8,}  {name}")


if __name__ == "__main__":
    main()
