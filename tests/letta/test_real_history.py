"""The past as a real server keeps it: runs, messages and steps, page by page; conversations, and every refusal."""

from __future__ import annotations

from typing import Any

import pytest
from real import LEAVE, Letta, Person, thoughts

import letta_nb
from letta_nb import errors, events, history
from letta_nb.run import Run

Facts = tuple[Any, ...]


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two rows a page, so that a few rows are many pages."""
    monkeypatch.setattr(history, "_PAGE", 2)


def facts_of(message: Any) -> Facts:
    return message.message_type, message.id


def listed(letta: Letta, path: str) -> list[Facts]:
    """All messages at once, oldest first, as the server lists them on one page."""
    rows = letta.ask("GET", path, params={"order": "asc", "limit": 1000})
    return [(row["message_type"], row["id"]) for row in rows]


@pytest.mark.usefixtures("small_pages")
def test_runs_page_by_page(person: Person, agent: str, letta: Letta) -> None:
    sent = [person.send(agent, f"play:{name}") for name in ("hello", "one", "refuses500", "unicode", "danger")]
    letta.row_once(sent[-1].run_id, "completed")
    past: list[Run] = person.every(person.client.runs(agent))
    assert [run.run_id for run in past] == [run.run_id for run in reversed(sent)]
    for now, then in zip(reversed(sent), past, strict=True):
        assert (then.status, then.stop_reason, then.text) == (now.status, now.stop_reason, now.text)
        assert [(call.name, call.result) for call in then.tool_calls] == [(c.name, c.result) for c in now.tool_calls]
        # of a run that failed at once the server keeps nothing that was said
        assert (thoughts(then), then.prompt) == (thoughts(now), "" if now.status == "failed" else now.prompt)
    failed = person.every(person.client.runs(agent, statuses=["failed"]))
    assert [run.run_id for run in failed] == [sent[2].run_id]
    assert [run.run_id for run in person.every(person.client.runs(agent, limit=3))] == [r.run_id for r in past[:3]]
    assert person.every(person.client.runs(agent, since="0s")) == []


@pytest.mark.usefixtures("small_pages")
def test_messages_page_by_page(person: Person, agent: str, letta: Letta) -> None:
    for name in ("hello", "several", "hello", "parallel"):
        person.send(agent, f"play:{name}")
    messages: list[events.AnyEvent] = person.every(person.client.messages(agent))
    whole = listed(letta, f"/v1/agents/{agent}/messages")
    assert len(whole) > 12
    assert [facts_of(message) for message in messages] == whole


def test_steps_with_their_metrics(person: Person, agent: str) -> None:
    run = person.send(agent, "play:several")
    rows = person.value(person.client.steps(run))
    assert [row["id"] for row in rows] == [step.step_id for step in run.steps]
    assert [row["stop_reason"] for row in rows][-1] == "end_turn"
    assert all(row["llm_request_ns"] > 0 and row["step_ns"] > 0 for row in rows)
    assert [bool(row["tool_execution_ns"]) for row in rows] == [True, True, False]
    assert sum(row["total_tokens"] for row in rows) == (run.usage and run.usage.total_tokens)


def test_past_run_with_answers(person: Person, agent: str) -> None:
    run = person.send(agent, "play:danger")
    person.answer(run, letta_nb.answers.Decision(False, "not today"))
    asking, answering = (person.value(person.client.run(leg.run_id)) for leg in run.legs)
    assert (asking.status, asking.prompt) == ("requires_approval", "play:danger")
    assert [call.name for call in asking.tool_calls] == ["danger"]
    assert (answering.status, answering.text) == ("completed", "The danger is over.")
    assert "not today" in str(answering.tool_calls[0].result)


# -- conversations -----------------------------------------------------------------------------------------------------


def test_conversation(person: Person, agent: str, tokens: bool, letta: Letta) -> None:
    talk = letta.conversation(agent)
    run = person.send(agent, "play:one", conversation=talk, stream_tokens=tokens)
    assert (run.status, run.text, run.conversation_id) == ("completed", "It is 21°C in Paris.", talk)
    assert letta.row(run.run_id)["conversation_id"] == talk
    person.send(agent, "play:hello")
    assert [past.run_id for past in person.every(person.client.runs(agent, conversation=talk))] == [run.run_id]


@pytest.mark.usefixtures("small_pages")
def test_messages_of_a_conversation(person: Person, agent: str, letta: Letta) -> None:
    talk = letta.conversation(agent)
    for _ in range(3):
        person.send(agent, "play:hello", conversation=talk)
    messages = person.every(person.client.messages(agent, conversation=talk))
    whole = listed(letta, f"/v1/conversations/{talk}/messages")
    assert [facts_of(message) for message in messages] == whole


def test_answer_in_a_conversation(person: Person, agent: str, letta: Letta) -> None:
    talk = letta.conversation(agent)
    run = person.send(agent, "play:danger", conversation=talk)
    person.answer(run, letta_nb.answers.Decision(True))
    assert (run.status, run.text) == ("completed", "The danger is over.")
    assert {letta.row(leg.run_id)["conversation_id"] for leg in run.legs} == {talk}


def test_conversation_that_is_busy(person: Person, agent: str, letta: Letta) -> None:
    talk = letta.conversation(agent)
    first = person.send(agent, "play:counting", lambda run, _: LEAVE if run.text else None, conversation=talk)
    with pytest.raises(errors.Conflict, match=str(first.run_id)):
        person.send(agent, "play:hello", conversation=talk)
    person.value(person.client.cancel(agent, first.run_id))


def test_default_conversation(person: Person, agent: str) -> None:
    assert person.send(agent, "play:hello", conversation="default").status == "completed"


# -- doors and refusals ------------------------------------------------------------------------------------------------


def test_other_door_is_for_others(person: Person, agent: str, letta: Letta) -> None:
    # the server lets only the SDK's own name through there; the message goes by the door that is open
    someone = type(person)(letta.url, door="messages")
    run = someone.send(agent, "play:hello")
    someone.close()
    assert run.status == "completed"
    assert len(person.every(person.client.runs(agent))) == 1


def test_what_the_server_is(person: Person) -> None:
    info = person.value(person.client.server)
    assert (info.software, info.version) == ("Letta", "0.16.8")
    assert info.can("client_tools")


def test_agent_by_name(person: Person, agent: str) -> None:
    name = person.value(person.client.agent(agent)).name
    run = person.send(name, "play:hello")
    assert (run.agent_id, run.agent_name, run.model) == (agent, name, "gpt-4o-mini")


def test_no_agent_of_that_name(person: Person, agent: str) -> None:
    with pytest.raises(errors.AgentNotFound, match="no agent named 'nobody'"):
        person.send("nobody", "play:hello")


def test_no_agent_of_that_id(person: Person) -> None:
    with pytest.raises(errors.NotFound):
        person.send("agent-00000000-0000-4000-8000-000000000000", "play:hello")


def test_body_that_is_none(person: Person, agent: str) -> None:
    with pytest.raises(errors.ValidationError) as refused:
        person.send(agent, [{"role": "nobody", "content": "play:hello"}])
    assert "role" in str(refused.value)
    assert refused.value.run is not None
    assert refused.value.run.status == "failed"
