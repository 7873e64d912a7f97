"""Runs of several requests: answered approval requests, resumed streams, and what a server tells afterwards."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from folded import ROOT, S, facts, feed_in, two_legs

from letta_nb import feed, frames, record, sse
from letta_nb.answers import Answers, chosen, given
from letta_nb.entries import CallTimes, Leg
from letta_nb.errors import InputError
from letta_nb.log import Received
from letta_nb.run import Run

PAIRS = [
    "v1_approve_tok",
    "v1_approve_step",
    "v1_approve_parallel_step",
    "v1_deny_step",
    "v1_clienttool_tok",
    "v1_clienttool_step",
    "v1_clienttools_step",
]


def story(run: Run) -> list[Any]:
    entries = [(e.kind, e.step_index, e.text, e.first_at, e.last_at, e.cut) for e in run.entries]
    calls = [
        (
            c.approval,
            c.answered_at,
            c.reason,
            c.started_at,
            c.returned_at,
            c.result,
            c.status,
            c.stdout,
            c.here,
            c.duration,
        )
        for c in run.tool_calls
    ]
    legs = [(leg.kind, leg.at, leg.request, leg.lost_at, leg.calls, leg.run_id) for leg in run.legs]
    return [run.status, run.stop_reason, run.error, run.usage, run.ended_at, run.era, entries, calls, legs, run.steps]


@pytest.mark.parametrize("name", PAIRS)
def test_an_answered_run_is_one_run(name: str) -> None:
    run = two_legs(name)
    assert run.status == "completed"
    assert run.text
    assert [leg.kind for leg in run.legs] == ["message", "answer"]
    first, second = (leg.run_id for leg in run.legs)
    assert first != second
    assert run.run_id == first
    assert len(run.usage_reports) == 2
    assert run.usage is not None
    assert run.usage.input_tokens == sum(report.input_tokens or 0 for report in run.usage_reports)
    assert run.pending == []
    # no call stands twice, and none is left without its end
    ids = [call.tool_call_id for call in run.tool_calls]
    assert len(ids) == len(set(ids))
    assert all(call.has_returned for call in run.tool_calls)
    assert not any(entry.cut for entry in run.entries)


@pytest.mark.parametrize("name", PAIRS)
def test_it_is_the_same_from_a_file_and_as_a_replay(name: str, tmp_path: Path) -> None:
    run = two_legs(name)
    loaded = record.load_one(run.save(tmp_path / "run.jsonl"))
    again = run.blank(record=True)
    for item in run.history():
        again.take(item)
    again.close_like(run)
    assert story(loaded) == story(run) == story(again)
    assert feed.snapshot(loaded)["changes"] == feed.snapshot(run)["changes"]
    for frame in (frames.runs_df, frames.steps_df, frames.tools_df, frames.usage_df, frames.messages_df):
        assert frame(loaded).equals(frame(run))
    assert len(run.usage_df()) == 2


def test_a_function_of_this_kernel_has_its_own_return_and_time() -> None:
    run = two_legs("v1_clienttool_tok")
    [call] = run.tool_calls
    assert (call.name, call.here, call.approval) == ("kernel_fn", True, "approved")
    # the server does not repeat it in token mode: it stands there because it was sent
    assert (call.result, call.status, call.stdout) == ("49", "success", ["squared in the kernel\n"])
    assert (call.duration, call.duration_source) == (5, "client")


def test_an_approved_call_waits_for_the_person_and_not_for_its_tool() -> None:
    run = two_legs("v1_approve_tok")
    [call] = run.tool_calls
    assert (call.approval, call.answered_at, call.started_at, call.returned_at) == (
        "approved",
        9 * S,
        10 * S,
        11 * S + 1_000_000,
    )
    # from the answer to the return: an upper bound, for the server did other things too
    assert call.duration is None
    assert call.at_most == S + 1_000_000
    # the step after it starts to wait when the answer went out, not when the first leg ended
    assert run.steps[0].last_at == call.returned_at


def test_a_denial_keeps_its_reason() -> None:
    run = two_legs("v1_deny_step")
    [call] = run.tool_calls
    assert (call.approval, call.reason, call.status) == ("denied", "too risky", "error")


def test_history_puts_each_leg_before_its_events() -> None:
    run = two_legs("v1_approve_tok")
    items = list(run.history())
    [at] = [index for index, item in enumerate(items) if isinstance(item, Leg)]
    assert at == run.legs[1].first_event
    assert '"requires_approval"' in "".join(item.data for item in items[:at] if isinstance(item, Received))


# -- answers -----------------------------------------------------------------------------------------------------------


def paused() -> Run:
    run = Run(facts("v1_clienttools_step_1request")["request"]["body"])
    feed_in(run, "v1_clienttools_step_1request")
    assert len(run.pending) >= 1
    return run


def test_answers_are_sent_when_all_pending_calls_have_one() -> None:
    run = Run(
        {"messages": [{"role": "user", "content": "x"}], "stream_tokens": True, "max_steps": 7, "background": True}
    )
    ask(run, "a", "b")
    answers = Answers(run)
    first, second = run.pending
    answers.decide(second, approve=False, reason="no", at=5)
    assert not answers.complete
    assert run.pending == [first]
    answers.decide(first, approve=True, reason=None, at=6)
    assert answers.complete
    # the parameters of the message hold for its answer too, in the calls' own order
    assert answers.body() == {
        "messages": [
            {
                "type": "approval",
                "approvals": [
                    {"type": "approval", "approve": True, "tool_call_id": "a"},
                    {"type": "approval", "approve": False, "tool_call_id": "b", "reason": "no"},
                ],
            }
        ],
        "stream_tokens": True,
        "max_steps": 7,
        "background": True,
    }
    answers.withdraw(7)
    assert [call.tool_call_id for call in run.pending] == ["a", "b"]
    assert not answers.complete
    assert run.tool_calls[1].reason is None


def ask(run: Run, *ids: str) -> None:
    calls = [{"name": "danger", "arguments": "{}", "tool_call_id": call_id} for call_id in ids]
    event = {"message_type": "approval_request_message", "id": "message-1", "step_id": "step-1", "run_id": "run-1"}
    run.receive(Received(1, "", json.dumps({**event, "is_err": None, "tool_call": calls[0], "tool_calls": calls})))
    run.receive(Received(2, "", '{"message_type":"stop_reason","stop_reason":"requires_approval"}'))
    run.receive(Received(3, "", "[DONE]"))


def test_answers_in_short() -> None:
    returned = {"tool_return": "49", "status": "success"}
    for said, items in (
        (True, [{"approve": True}, {"approve": True}]),
        (False, [{"approve": False}, {"approve": False}]),
        ({"a": "too risky", "b": returned}, [{"approve": False, "reason": "too risky"}, returned]),
    ):
        run = Run({"messages": []})
        ask(run, "a", "b")
        approvals = given(run, said).body()["messages"][0]["approvals"]
        kinds = ("type", "tool_call_id")
        assert [{key: value for key, value in item.items() if key not in kinds} for item in approvals] == items
    run = Run({"messages": []})
    ask(run, "a", "b")
    with pytest.raises(InputError, match="b has no answer"):
        given(run, {"a": True})
    with pytest.raises(InputError, match="No pending call is c"):
        given(run, {"a": True, "b": True, "c": True})
    assert len(run.pending) == 2


NONE_WAITS = "Cannot process approval response: No tool call is currently awaiting approval. Please send a message."


def answered_in_vain(detail: str, approve: bool = True) -> Run:
    """Two calls that were answered, and a server that says in its stream that it does not take the answers."""
    run = Run({"messages": [{"role": "user", "content": "hi"}]})
    ask(run, "call_a", "call_b")
    collected = given(run, {"call_a": True, "call_b": approve or "too risky"})
    run.begin("answer", collected.body(), 10 * S, calls={"call_a": CallTimes(9 * S), "call_b": CallTimes(9 * S)})
    assert [call.approval for call in run.tool_calls] == ["approved", "approved" if approve else "denied"]
    for message in (
        {"message_type": "stop_reason", "stop_reason": "error"},
        {"message_type": "error_message", "error_type": "internal_error", "message": "Unknown.", "detail": detail},
    ):
        run.receive(Received(11 * S, "", json.dumps(message)))
    run.receive(Received(11 * S, "", "[DONE]"))
    assert run.status == "failed"
    return run


@pytest.mark.parametrize("approve", [True, False])
def test_an_answer_that_the_server_does_not_take_is_none(approve: bool, tmp_path: Path) -> None:
    run = answered_in_vain(NONE_WAITS, approve)
    assert run.error is not None
    assert run.error.detail == NONE_WAITS
    for call in run.tool_calls:
        assert (call.approval, call.answered_at, call.reason, call.started_at) == (None, None, None, None)
        assert (call.answered_elsewhere, call.has_returned, call.cut) == (True, False, False)
    assert run.pending == []
    assert run.tools_df()["approval"].isna().all()
    assert run.tools_df()["approval_wait_s"].isna().all()
    # a page that drew the answers draws them no more
    changes: list[Any] = [change for change in feed.snapshot(run)["changes"] if change.get("entry") == 1]
    assert [changes[-1]["set"][name] for name in ("approval", "answered", "started")] == [None, None, None]
    # it was joined from elsewhere, and asked then what the agent waits for
    request = {"message_type": "approval_request_message", "id": "message-1", "tool_calls": []}
    request["tool_calls"] = [{"name": "danger", "arguments": "{}", "tool_call_id": "call_a"}]
    run.fetched["pending"] = [request]
    loaded = record.load_one(run.save(tmp_path / "run.jsonl"))
    assert story(loaded) == story(run)
    assert [call.extra for call in loaded.tool_calls] == [call.extra for call in run.tool_calls]


def test_a_call_that_the_server_still_asks_about_waits_again() -> None:
    run = answered_in_vain("Invalid tool call IDs. Expected '['call_b']', but received '['call_a', 'call_b']'.")
    assert [call.approval for call in run.tool_calls] == [None, "pending"]
    assert [call.answered_elsewhere for call in run.tool_calls] == [True, False]


def test_an_answer_stays_where_the_model_failed_after_it() -> None:
    run = answered_in_vain("The model's server said: no.")
    assert [(call.approval, call.answered_at) for call in run.tool_calls] == [("approved", 9 * S)] * 2


def test_what_a_function_of_this_kernel_returned_stays_when_it_is_not_taken() -> None:
    run = paused()
    outcome = {"tool_return": "49", "status": "success"}
    answers = given(run, {str(call.tool_call_id): outcome for call in run.pending})
    run.begin("answer", answers.body(), 10 * S, calls=answers.times())
    error = {"message_type": "error_message", "error_type": "internal_error", "message": "", "detail": NONE_WAITS}
    run.receive(Received(11 * S, "", json.dumps(error)))
    assert [(call.approval, call.result, call.extra) for call in run.tool_calls if call.here] == [
        ("approved", "49", {}) for call in run.tool_calls if call.here
    ]


def test_what_is_meant_must_be_pending() -> None:
    run = Run({"messages": []})
    ask(run, "a", "b")
    assert chosen(run, ()) == run.pending
    assert chosen(run, ("b",)) == [run.pending[1]]
    assert chosen(run, (run.pending[0],)) == [run.pending[0]]
    with pytest.raises(InputError, match=r"No pending call is nonsense\. Pending: a, b"):
        chosen(run, ("nonsense",))
    with pytest.raises(InputError, match="waits for an answer: it is running"):
        chosen(Run({"messages": []}), ())


# -- resumed streams ---------------------------------------------------------------------------------------------------


def background() -> tuple[list[Received], Run]:
    messages = list(sse.decode([(ROOT / "v1_bg_multi_tok.sse").read_bytes()]))
    whole = Run({"messages": [], "background": True})
    received = [Received(index, *message) for index, message in enumerate(messages)]
    for item in received:
        whole.receive(item)
    return received, whole


def test_a_stream_may_be_taken_up_anywhere_and_say_things_twice() -> None:
    received, whole = background()
    numbers = [json.loads(item.data).get("seq_id") if item.data.startswith("{") else None for item in received]
    for cut in range(1, len(received)):
        run = Run({"messages": [], "background": True})
        for item in received[:cut]:
            run.receive(item)
        after = run.seq_id or 0
        if run.status != "running":
            continue
        run.begin("resume", {"starting_after": after}, cut, lost_at=cut)
        # from three before the cursor: what is repeated must not be said twice
        again = [item for item, number in zip(received, numbers, strict=True) if number is None or number > after - 3]
        for item in again:
            run.receive(item)
        assert run.status == "completed"
        assert [entry.text for entry in run.entries] == [entry.text for entry in whole.entries]
        assert [call.result for call in run.tool_calls] == [call.result for call in whole.tool_calls]
        assert run.usage == whole.usage or (
            run.usage is not None and run.usage.total_tokens == whole.usage.total_tokens
        )  # type: ignore[union-attr]
        assert run.event_count == cut + len(again)


# -- what the server tells afterwards ----------------------------------------------------------------------------------


def without_return() -> Run:
    """A run whose two calls returned together in an event that was never streamed, as some servers do."""
    run = Run({"messages": [], "stream_tokens": True})
    for message in sse.decode([(ROOT / "v1_parallel2_tok.sse").read_bytes()]):
        if "tool_return_message" not in message.data:
            run.receive(Received(run.event_count * 1_000_000, *message))
    assert run.status == "completed"
    return run


def test_returns_that_were_never_streamed_are_joined_and_marked() -> None:
    run = without_return()
    assert not any(call.has_returned for call in run.tool_calls)
    messages = facts("v1_parallel2_run_messages")["body"]
    run.join_server({"messages": messages}, run.ended_at)
    assert [(call.status, call.return_source, call.returned_at) for call in run.tool_calls] == [
        ("success", "server", None)
    ] * len(run.tool_calls)
    count, text = len(run.entries), run.text
    # again, and with what was streamed before: nothing is said twice
    run.join_server({"messages": messages}, run.ended_at)
    assert (len(run.entries), run.text) == (count, text)


def test_a_broken_stream_is_completed_by_what_the_server_keeps() -> None:
    whole = list(sse.decode([(ROOT / "v1_multi_step.sse").read_bytes()]))
    messages = facts("v1_multi_run_messages")["body"]
    row = facts("v1_multi_run")["body"]
    complete = Run({"messages": []})
    for index, message in enumerate(whole):
        complete.receive(Received(index, *message))
    for cut in range(1, len(whole) - 3):
        run = Run({"messages": [], "stream_tokens": False})
        for index, message in enumerate(whole[:cut]):
            run.receive(Received(index, *message))
        run.end(cut)
        assert run.status == "interrupted"
        run.join_server({"run": row, "messages": messages, "steps": facts("v1_multi_run_steps")["body"]}, run.ended_at)
        assert (run.status, run.stop_reason, run.error) == ("completed", "end_turn", None)
        kinds = ("assistant", "reasoning", "tool_call")
        assert sorted((e.kind, e.text) for e in run.entries if e.kind in kinds) == sorted(
            (e.kind, e.text) for e in complete.entries if e.kind in kinds
        )
        assert [call.result for call in run.tool_calls] == [call.result for call in complete.tool_calls]
        assert run.usage is not None
        assert run.usage.total_tokens == complete.usage.total_tokens  # type: ignore[union-attr]


def test_a_run_file_keeps_where_each_fact_came_from(tmp_path: Path) -> None:
    run = without_return()
    run.join_server({"messages": facts("v1_parallel2_run_messages")["body"]}, run.ended_at)
    loaded = record.load_one(run.save(tmp_path / "run.jsonl"))
    assert story(loaded) == story(run)
    assert [call.return_source for call in loaded.tool_calls] == ["server"] * len(run.tool_calls)
    assert loaded.fetched == run.fetched
