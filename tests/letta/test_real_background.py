"""Background runs and Stop on a real server: broken connections, later readers, and what it says of a cancel."""

from __future__ import annotations

from typing import Any

import pytest
from plays import COUNTING
from proxy import Proxy
from real import LEAVE, PEOPLE, Letta, Person

import letta_nb
from letta_nb import errors, events
from letta_nb.answers import Decision
from letta_nb.run import Run


def numbered(run: Run) -> list[int]:
    """The numbers of a background run's events, as received."""
    seqs = (getattr(event, "seq_id", None) for event in run.events)
    return [seq for seq in seqs if seq is not None]


@pytest.mark.parametrize("kind", PEOPLE)
def test_broken_connection_is_taken_up_again(letta: Letta, agent: str, kind: Any) -> None:
    with Proxy(letta.url, 6, 9) as wire:
        someone: Person = PEOPLE[kind](wire.url)
        run = someone.send(agent, "play:counting", background=True)
        someone.close()
    assert (run.status, run.text) == ("completed", COUNTING)
    assert [leg.kind for leg in run.legs] == ["message", "resume", "resume"]
    # nothing twice, nothing lost, and the message went out once
    assert numbered(run) == list(range(1, len(numbered(run)) + 1))
    assert len([path for path in wire.posted if path.endswith("/messages/stream")]) == 1


@pytest.mark.parametrize("kind", PEOPLE)
def test_foreground_run_is_not_sent_again(letta: Letta, agent: str, kind: Any) -> None:
    with Proxy(letta.url, 6) as wire:
        someone: Person = PEOPLE[kind](wire.url)
        run = someone.send(agent, "play:counting")
        assert (run.status, run.error and run.error.type) == ("interrupted", "connection_lost")
        assert COUNTING.startswith(run.text)
        assert wire.posted == [f"/v1/agents/{agent}/messages/stream"]
        letta.row_once(run.run_id, "completed")
        someone.complete(run)
        someone.close()
    assert (run.status, run.text) == ("completed", COUNTING)


def test_attach_from_the_beginning(person: Person, agent: str, tokens: bool) -> None:
    first = person.send(agent, "play:several", background=True, stream_tokens=tokens)
    again = person.read(person.client.attach(first.run_id), None)
    sent, stored = list(first.events), list(again.events)
    # what was asked is fetched and comes before; the stored stream is the same to the byte
    assert [event.message_type for event in stored[: -len(sent)]] == ["user_message"]
    assert stored[-len(sent) :] == sent
    assert (again.status, again.text, again.prompt) == (first.status, first.text, "play:several")
    assert [call.result for call in again.tool_calls] == ["21 in Paris", "4"]


def test_attach_to_a_run_that_goes_on(person: Person, agent: str) -> None:
    first = person.send(agent, "play:counting", lambda run, _: LEAVE if run.text else None, background=True)
    again = person.read(person.client.attach(first.run_id), None)
    assert (again.status, again.text) == ("completed", COUNTING)


def test_attach_to_a_foreground_run(person: Person, agent: str, letta: Letta) -> None:
    first = person.send(agent, "play:hello")
    letta.row_once(first.run_id, "completed")
    again = person.read(person.client.attach(first.run_id), None)
    assert (again.status, again.text, again.prompt) == ("completed", first.text, "play:hello")
    assert "background" in str(again.note)


def test_attach_to_no_run(person: Person) -> None:
    with pytest.raises(errors.NotFound):
        person.read(person.client.attach("run-00000000-0000-4000-8000-000000000000"), None)


def test_background_run_that_fails(person: Person, agent: str, tokens: bool) -> None:
    run = person.send(agent, "play:refuses500", background=True, stream_tokens=tokens)
    assert (run.status, run.stop_reason, len(run.legs)) == ("failed", "llm_api_error", 1)


def test_background_run_that_asks(person: Person, agent: str, tokens: bool, letta: Letta) -> None:
    run = person.send(agent, "play:danger", background=True, stream_tokens=tokens)
    assert run.status == "requires_approval"
    person.answer(run, Decision(True))
    assert (run.status, run.text) == ("completed", "The danger is over.")
    assert [letta.row(leg.run_id)["background"] for leg in run.legs] == [True, True]


# -- Stop --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("background", [False, True])
def test_cancel_while_the_model_speaks(person: Person, agent: str, letta: Letta, background: bool) -> None:
    words: list[Any] = []

    def stop(run: Run, event: events.AnyEvent) -> Any:
        if run.text and not words:
            words.append(run.run_id)
            return person.client.cancel(agent, run.run_id)
        return None

    run = person.send(agent, "play:counting", stop, background=background)
    assert (run.status, run.stop_reason) == ("cancelled", "cancelled")
    assert letta.row(run.run_id)["status"] == "cancelled"
    # the server forgets what was said so far; the run does not
    heard = run.text
    person.complete(run)
    assert run.text == heard
    assert COUNTING.startswith(heard)
    # its step's row has the zeros that it was made with
    assert [row["total_tokens"] for row in person.value(person.client.steps(run))] == [0]
    assert run.steps_df().filter(regex="_tokens$").isna().all(axis=None)
    assert person.send(agent, "play:hello").status == "completed"


def test_cancel_in_step_mode(person: Person, agent: str) -> None:
    asked: list[Any] = []

    def stop(run: Run, event: events.AnyEvent) -> Any:
        if run.run_id and not asked:
            asked.append(run.run_id)
            return person.client.cancel(agent, run.run_id)
        return None

    run = person.complete(person.send(agent, "play:counting", stop, stream_tokens=False))
    assert (run.status, run.stop_reason) == ("cancelled", "cancelled")


def test_nothing_to_cancel(person: Person, agent: str) -> None:
    with pytest.raises(errors.Conflict, match="No active runs"):
        person.value(person.client.cancel(agent))


def test_cancel_of_a_run_that_is_over(person: Person, agent: str, letta: Letta) -> None:
    run = person.send(agent, "play:hello")
    # the server agrees, and does nothing
    assert person.value(person.client.cancel(agent, run.run_id)) == {run.run_id: "cancelled"}
    assert letta.row(run.run_id)["status"] == "completed"


def test_cancel_of_no_run(person: Person, agent: str) -> None:
    nobody = "run-00000000-0000-4000-8000-000000000000"
    assert person.value(person.client.cancel(agent, nobody)) == {nobody: "failed"}


@pytest.mark.usefixtures("notebook")
def test_stop_right_after_the_start(agent: str, letta: Letta) -> None:
    run = letta_nb.send("play:counting", agent, background=True)
    run.cancel()
    assert (run.status, run.cancellation and run.cancellation.outcome) == ("cancelled", "cancelled")
    assert letta.row(run.run_id)["status"] == "cancelled"


@pytest.mark.usefixtures("notebook")
def test_stop_while_a_tool_runs(agent: str, letta: Letta) -> None:
    run = letta_nb.send("play:slow_tool", agent, background=True)
    while not (run.tool_calls and run.tool_calls[0].arguments.endswith("}")):
        assert run.status == "running"
    run.cancel()
    # the tool goes on at the server, and its word on the run does not wait for it
    assert (run.status, run.cancellation and run.cancellation.outcome) == ("cancelled", "cancelled")
    assert letta.row(run.run_id)["status"] == "cancelled"
    assert not run.tool_calls[0].has_returned


@pytest.mark.usefixtures("notebook")
def test_background_run_by_name(agent: str) -> None:
    run = letta_nb.send("play:several", agent, background=True)
    assert run.wait().text.endswith("Weather and die are done.")
    again = letta_nb.attach(str(run.run_id))
    assert (again.text, again.status) == (run.text, "completed")
