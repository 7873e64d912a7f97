"""A fan-out over a real server, and what an agent's memory is before and after a run there."""

from __future__ import annotations

import pytest
from real import Letta

import letta_nb

pytestmark = pytest.mark.usefixtures("notebook")


def test_fan_out_with_another_model(agent: str, letta: Letta) -> None:
    fan = letta_nb.fan_out("play:one", agent, [None, "openai-proxy/gpt-4o", "openai/none"], repeats=2)
    assert [run.status for run in fan] == ["completed"] * 4 + ["failed"] * 2
    assert {run.text for run in fan[:4]} == {"It is 21°C in Paris."}
    assert {letta.row(run.run_id)["conversation_id"] for run in fan[:4]} == {run.conversation_id for run in fan[:4]}
    assert len({run.conversation_id for run in fan}) == 6
    # what each step was answered by, in the server's own rows
    assert fan.steps_df().model.tolist() == ["gpt-4o-mini"] * 4 + ["gpt-4o"] * 4
    assert [run.model for run in fan] == ["gpt-4o-mini"] * 2 + ["gpt-4o"] * 2 + ["none"] * 2
    assert "Handle openai/none not found" in str(fan.runs_df().error_message[4])
    assert fan.runs_df().input_tokens.notna().tolist() == [True] * 4 + [False] * 2


def test_fan_out_sends_to_one_agent_side_by_side(agent: str) -> None:
    fan = letta_nb.fan_out("play:counting", agent, repeats=3, concurrency=3)
    assert [run.status for run in fan] == ["completed"] * 3
    starts, ends = zip(
        *[(run.started.timestamp(), run.started.timestamp() + (run.duration or 0)) for run in fan], strict=True
    )
    assert max(starts) < min(ends)


def test_memory_before_and_after(letta: Letta) -> None:
    agent = letta.agent(remembers="The user is called Ada.")
    run = letta_nb.send("play:remember", agent)
    assert (run.status, run.text) == ("completed", "I will remember that.")
    [human] = run.memory or []
    assert (human.label, human.before) == ("human", "The user is called Ada.")
    assert human.after is not None
    assert human.after.startswith("The user is called Ada.")
    assert "Likes tea." in human.after
    [edit] = human.edits
    assert edit.entry == run.tool_calls[0].index
    assert letta.ask("GET", f"/v1/agents/{agent}/core-memory/blocks/human")["value"] == human.after
