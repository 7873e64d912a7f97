"""Approvals and functions of the notebook on a real server: what is asked, answered, refused and taken back."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from real import KERNEL_FN, Letta, Person

import letta_nb
from letta_nb.answers import Decision
from letta_nb.run import Run

YES, NO = Decision(True), Decision(False, "not today")


def asked(person: Person, agent: str, name: str, tokens: bool, **options: Any) -> Run:
    """A run that waits for an answer."""
    run = person.send(agent, f"play:{name}", stream_tokens=tokens, **options)
    assert (run.status, run.stop_reason) == ("requires_approval", "requires_approval")
    return run


def test_approve(person: Person, agent: str, tokens: bool, letta: Letta) -> None:
    run = asked(person, agent, "danger", tokens)
    (call,) = run.pending
    assert (call.name, json.loads(call.arguments)) == ("danger", {"target": "/tmp/x"})
    person.complete(person.answer(run, YES))
    assert (run.status, run.text) == ("completed", "The danger is over.")
    assert (call.approval, call.status, call.result) == ("approved", "success", "done to /tmp/x")
    # one Run here, two runs there
    first, second = [leg.run_id for leg in run.legs]
    assert letta.row(first)["stop_reason"] == "requires_approval"
    assert letta.row(second)["stop_reason"] == "end_turn"


def test_deny_with_a_reason(person: Person, agent: str, tokens: bool) -> None:
    run = asked(person, agent, "danger", tokens)
    person.complete(person.answer(run, NO))
    (call,) = run.tool_calls
    assert (run.status, run.text, call.approval, call.reason) == (
        "completed",
        "The danger is over.",
        "denied",
        "not today",
    )
    assert call.status in (None, "error")  # streamed in step mode only


def test_two_calls_answered_together(person: Person, agent: str, tokens: bool) -> None:
    run = asked(person, agent, "dangers", tokens)
    assert [json.loads(call.arguments)["target"] for call in run.pending] == ["/tmp/x", "/tmp/y"]
    person.complete(person.answer(run, YES, NO))
    assert [(call.approval, call.status) for call in run.tool_calls] == [("approved", "success"), ("denied", "error")]
    assert "not today" in str(run.tool_calls[1].result)
    assert run.text == "Both dangers are over."


def test_half_an_answer_is_refused_and_the_whole_one_taken(person: Person, agent: str, tokens: bool) -> None:
    run = asked(person, agent, "dangers", tokens)
    half = {"type": "approval", "tool_call_id": run.pending[0].tool_call_id, "approve": True}
    refused = person.send(agent, [{"type": "approval", "approvals": [half]}])
    assert refused.status == "failed"
    assert "Invalid tool call IDs" in str(refused.error and refused.error.detail)
    assert person.answer(run, NO).text == "Both dangers are over."


def test_one_call_needs_approval_and_one_does_not(person: Person, agent: str, tokens: bool) -> None:
    run = asked(person, agent, "danger_and_weather", tokens)
    assert [call.name for call in run.pending] == ["danger"]
    person.complete(person.answer(run, YES))
    results = {call.name: call.result for call in run.tool_calls}
    assert results == {"danger": "done to /tmp/x", "get_weather": "21 in Paris"}


def test_asked_twice_in_one_run(person: Person, agent: str, tokens: bool) -> None:
    run = asked(person, agent, "danger_twice", tokens)
    person.answer(run, YES)
    assert run.status == "requires_approval"
    assert [json.loads(call.arguments)["target"] for call in run.pending] == ["/tmp/y"]
    person.complete(person.answer(run, YES))
    assert [call.result for call in run.tool_calls] == ["done to /tmp/x", "done to /tmp/y"]
    assert (run.text, len(run.legs), len(run.steps)) == ("Both dangers are over.", 3, 3)


def test_message_while_the_agent_waits(person: Person, agent: str, tokens: bool) -> None:
    first = asked(person, agent, "danger", tokens)
    met = person.complete(person.send(agent, "play:hello", stream_tokens=tokens))
    assert (met.status, met.error and met.error.type) == ("failed", "pending_approval")
    assert [call.tool_call_id for call in met.pending] == [call.tool_call_id for call in first.pending]
    # the run that met it has the way out
    person.answer(met, NO)
    assert met.status == "completed"
    assert person.send(agent, "play:hello").text.startswith("Hello")


def test_latest_request_is_the_pending_one(person: Person, agent: str) -> None:
    # all within a second or two: the server's dates do not tell which of them came last
    person.answer(asked(person, agent, "danger", tokens=True), NO)
    second = asked(person, agent, "danger", tokens=True)
    met = person.complete(person.send(agent, "play:hello"))
    assert [call.tool_call_id for call in met.pending] == [call.tool_call_id for call in second.pending]


def test_answer_to_a_call_that_was_answered_elsewhere(person: Person, agent: str, tokens: bool) -> None:
    run = asked(person, agent, "danger", tokens)
    elsewhere = copy.deepcopy(run)
    person.answer(elsewhere, NO)
    later = asked(person, agent, "dangers", tokens)
    person.answer(run, YES)
    assert run.status == "failed"
    assert "Invalid tool call IDs" in str(run.error and run.error.detail)
    assert [(call.approval, call.started_at) for call in run.tool_calls] == [(None, None)]
    assert person.answer(later, NO).text == "Both dangers are over."


def test_answer_to_nothing(person: Person, agent: str) -> None:
    answer = {"type": "approval", "tool_call_id": "call_nobody", "approve": True}
    run = person.send(agent, [{"type": "approval", "approvals": [answer]}])
    assert run.status == "failed"
    assert "No tool call is currently awaiting approval" in str(run.error and run.error.detail)


def test_cancel_clears_a_pending_approval(person: Person, agent: str, letta: Letta) -> None:
    run = asked(person, agent, "danger", tokens=True)
    assert person.value(person.client.cancel(agent, run.run_id)) == {run.run_id: "cancelled"}
    assert letta.row(run.run_id)["status"] == "cancelled"
    assert person.send(agent, "play:hello").status == "completed"


# -- functions of the notebook -----------------------------------------------------------------------------------------


def returned(text: str, status: str = "success") -> dict[str, Any]:
    return {"tool_return": text, "status": status, "stdout": ["squared\n"], "stderr": []}


def test_function_of_the_notebook(person: Person, agent: str, tokens: bool) -> None:
    run = asked(person, agent, "kernel", tokens, client_tools=[KERNEL_FN])
    (call,) = run.pending
    assert (call.name, json.loads(call.arguments), call.here) == ("kernel_fn", {"a": 7}, True)
    person.complete(person.return_for(run, {call.arguments: returned("49")}))
    assert (run.status, run.text) == ("completed", "The kernel said 49.")
    assert (call.result, call.status, call.stdout) == ("49", "success", ["squared\n"])


def test_functions_mixed_with_the_servers_tools(person: Person, agent: str, tokens: bool) -> None:
    run = asked(person, agent, "kernel_and_weather", tokens, client_tools=[KERNEL_FN])
    assert [json.loads(call.arguments)["a"] for call in run.pending] == [7, 3]
    seven, three = (call.arguments for call in run.pending)
    person.complete(person.return_for(run, {seven: returned("49"), three: returned("no", "error")}))
    results = {(call.name, call.status, call.result) for call in run.tool_calls}
    assert results == {
        ("kernel_fn", "success", "49"),
        ("kernel_fn", "error", "no"),
        ("get_weather", "success", "21 in Paris"),
    }
    assert run.text == "49, 9 and 21."


def test_function_denied(person: Person, agent: str, tokens: bool, letta: Letta) -> None:
    run = asked(person, agent, "kernel", tokens, client_tools=[KERNEL_FN])
    person.complete(person.answer(run, NO))
    (call,) = run.tool_calls
    assert (run.status, call.approval, run.text) == ("completed", "denied", "The kernel said 49.")
    kept = letta.ask("GET", f"/v1/runs/{run.legs[-1].run_id}/messages")
    (told,) = [row for row in kept if row["message_type"] == "tool_return_message"]
    assert (told["status"], "not today" in told["tool_return"]) == ("error", True)


# -- as a notebook does it, by name ------------------------------------------------------------------------------------


@pytest.mark.usefixtures("notebook")
def test_run_approve_and_deny(agent: str) -> None:
    run = letta_nb.send("play:dangers", agent)
    first, second = run.pending
    run.approve(first)
    assert (run.status, [call.tool_call_id for call in run.pending]) == ("requires_approval", [second.tool_call_id])
    run.deny("not today", second)
    assert (run.status, run.text) == ("completed", "Both dangers are over.")
    assert (first.approval, first.result) == ("approved", "done to /tmp/x")


@pytest.mark.usefixtures("notebook")
def test_function_runs_by_itself(agent: str) -> None:
    @letta_nb.tools.tool(approve="always")
    def kernel_fn(a: int) -> int:
        """Square a number."""
        print("squaring", a)
        return a * a

    run = letta_nb.send("play:kernel_and_weather", agent, tools=[kernel_fn])
    assert (run.status, run.text) == ("completed", "49, 9 and 21.")
    assert [(call.result, call.stdout) for call in run.tool_calls if call.here] == [
        ("49", ["squaring 7\n"]),
        ("9", ["squaring 3\n"]),
    ]
    (weather,) = [call for call in run.tool_calls if not call.here]
    assert weather.result == "21 in Paris"


@pytest.mark.usefixtures("notebook")
def test_function_that_raises(agent: str, letta: Letta) -> None:
    @letta_nb.tools.tool(approve="always")
    def kernel_fn(a: int) -> int:
        """Fail."""
        raise ValueError(f"no square of {a}")

    run = letta_nb.send("play:kernel", agent, tools=[kernel_fn])
    (call,) = run.tool_calls
    assert (run.status, call.status) == ("completed", "error")
    assert "no square of 7" in str(call.result)
    # what the agent was told
    (told,) = [
        row
        for row in letta.ask("GET", f"/v1/runs/{run.legs[-1].run_id}/messages")
        if row["message_type"] == "tool_return_message"
    ]
    assert (told["tool_return"], told["status"]) == (call.result, "error")
