"""What a run of a real server looks like to a person: text, tools and ends, in step and in token mode."""

from __future__ import annotations

import json

import pytest
from plays import COUNTING, PLAYS, UNICODE
from real import LEAVE, Letta, Person, kinds, thoughts

from letta_nb.run import Run


def play(person: Person, agent: str, name: str, tokens: bool, **options: object) -> Run:
    """A run of a play, completed as a notebook would."""
    return person.complete(person.send(agent, f"play:{name}", stream_tokens=tokens, **options))


def told(name: str) -> str:
    """All that the agent says in a play."""
    return "\n\n".join(reply.says for reply in PLAYS[name] if reply.says)


def test_hello(person: Person, agent: str, tokens: bool, letta: Letta) -> None:
    run = play(person, agent, "hello", tokens)
    assert (run.status, run.stop_reason, run.error) == ("completed", "end_turn", None)
    assert (thoughts(run), run.text) == (["The user greets me."], told("hello"))
    assert run.delivery == ("token" if tokens else "step")
    assert letta.row(run.run_id)["agent_id"] == agent
    assert run.usage is not None
    assert run.usage.output_tokens == 12
    assert run.usage.reasoning_output_tokens == 4
    assert run.steps[0].server["llm_request_ns"] > 0


def test_one_tool(person: Person, agent: str, tokens: bool) -> None:
    run = play(person, agent, "one", tokens)
    assert kinds(run) == ["user", "reasoning", "tool_call", "reasoning", "assistant"]
    (call,) = run.tool_calls
    assert (call.name, json.loads(call.arguments)) == ("get_weather", {"city": "Paris"})
    assert (call.status, call.result, call.stdout) == ("success", "21 in Paris", ["looking up Paris\n"])
    assert (call.duration_source, run.text, len(run.steps)) == ("server", told("one"), 2)
    assert call.duration == run.steps[0].server["tool_execution_ns"]


def test_several_steps(person: Person, agent: str, tokens: bool) -> None:
    run = play(person, agent, "several", tokens)
    before_die = ["user", "reasoning", "tool_call", "reasoning", "assistant", "tool_call"]
    assert kinds(run) == [*before_die, "reasoning", "assistant"]
    assert [(call.name, call.result) for call in run.tool_calls] == [("get_weather", "21 in Paris"), ("roll_die", "4")]
    assert (run.text, len(run.steps), run.status) == (told("several"), 3, "completed")


def test_parallel_tools(person: Person, agent: str, tokens: bool) -> None:
    run = play(person, agent, "parallel", tokens)
    assert [json.loads(call.arguments)["city"] for call in run.tool_calls] == ["Paris", "Tokyo"]
    assert [(call.status, call.result) for call in run.tool_calls] == [
        ("success", "21 in Paris"),
        ("success", "21 in Tokyo"),
    ]
    assert {call.step_index for call in run.tool_calls} == {0}
    assert run.text == told("parallel")


def test_tool_that_prints_and_raises(person: Person, agent: str, tokens: bool) -> None:
    run = play(person, agent, "raises", tokens)
    (call,) = run.tool_calls
    assert call.status == "error"
    assert 'a "reason" é' in str(call.result)
    assert call.stdout == ["said before\n"]
    assert "warned before" in "".join(call.stderr or [])
    assert (run.status, run.text) == ("completed", "Sorry.")


def test_arguments_that_are_no_json(person: Person, agent: str, tokens: bool) -> None:
    run = play(person, agent, "badargs", tokens)
    (call,) = run.tool_calls
    assert call.has_returned
    # in step mode the server repairs what the model wrote
    assert call.arguments.startswith('{"city": "Par' if tokens else "{")
    assert (run.status, run.text) == ("completed", "Recovered.")


@pytest.mark.parametrize("name", ["missing", "unknown"])
def test_call_that_cannot_be_made(person: Person, agent: str, tokens: bool, name: str) -> None:
    run = play(person, agent, name, tokens)
    (call,) = run.tool_calls
    assert (call.status, bool(call.result)) == ("error", True)
    assert (run.status, run.text) == ("completed", "Recovered.")


def test_unicode_to_the_last_character(person: Person, agent: str, tokens: bool) -> None:
    run = play(person, agent, "unicode", tokens)
    assert run.text == UNICODE
    assert thoughts(run) == ["Émoji 思考 🤔"]


def test_max_steps(person: Person, agent: str, tokens: bool) -> None:
    run = play(person, agent, "loop", tokens, max_steps=2)
    assert (run.status, run.stop_reason, len(run.steps)) == ("completed", "max_steps", 2)
    assert [call.result for call in run.tool_calls] == ["4", "4"]


def test_model_that_fails(person: Person, agent: str, tokens: bool) -> None:
    run = play(person, agent, "refuses500", tokens)
    assert (run.status, run.stop_reason, run.text) == ("failed", "llm_api_error", "")
    assert run.error is not None
    assert "scripted failure 500" in f"{run.error.message} {run.error.detail}"


def test_model_that_fails_in_the_second_step(person: Person, agent: str, tokens: bool) -> None:
    run = play(person, agent, "refuses2nd", tokens)
    assert (run.status, thoughts(run)) == ("failed", ["First is fine."])
    assert [call.result for call in run.tool_calls] == ["4"]
    assert run.error is not None


def test_context_that_is_too_long(person: Person, agent: str) -> None:
    run = play(person, agent, "refuses400", tokens=True)
    assert (run.status, run.text) == ("failed", "")
    assert run.error is not None
    assert "context" in f"{run.error.message} {run.error.detail}".lower()


def test_model_whose_stream_is_cut(person: Person, agent: str, tokens: bool) -> None:
    run = play(person, agent, "cut", tokens)
    assert run.status == "failed"
    assert run.error is not None
    # what came is kept, and known to be cut
    if tokens:
        assert (thoughts(run), run.text) == (["I will vanish"], "and this will be cut")
        assert run.entries[-1].cut


def test_model_that_says_nothing(person: Person, agent: str, tokens: bool) -> None:
    run = play(person, agent, "empty", tokens)
    assert run.text == ""
    # 0.16.8 takes an empty reply for an answer when it streams tokens, and for a failure when it does not
    assert (run.status, run.stop_reason) == (
        ("completed", "end_turn") if tokens else ("failed", "invalid_llm_response")
    )


def test_leaving_is_no_cancel(person: Person, agent: str, letta: Letta) -> None:
    run = person.send(agent, "play:counting", lambda run, _: LEAVE if run.text else None)
    assert (run.status, run.error and run.error.type) == ("interrupted", "closed")
    assert letta.row(run.run_id)["status"] == "running"
    letta.row_once(run.run_id, "completed")
    person.complete(run)
    assert (run.status, run.text) == ("completed", COUNTING)
