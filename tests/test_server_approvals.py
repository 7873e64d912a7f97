"""Calls that wait for the client: approved, denied, or run by the client, as 0.16.8 was recorded doing it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai import Agent, ApprovalRequired, CallDeferred, RunContext
from pydantic_ai.capabilities import HandleDeferredToolCalls
from pydantic_ai.messages import ToolReturnPart
from pydantic_ai.tools import DeferredToolRequests, DeferredToolResults, Tool
from server_play import Play, Wire, events, joined, kinds, of_type, playing

RECORDINGS = Path(__file__).parent / "fixtures" / "0.16.8"
NO_AGENT = "agent-00000000-0000-4000-8000-000000000000"
KERNEL_FN = {
    "name": "kernel_fn",
    "description": "Square a number in the notebook.",
    "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
}
TARGET = '{"target": "/tmp/x"}'


def get_weather(city: str) -> str:
    """The weather."""
    print(f"looking up {city}")
    return f'{{"city": "{city}", "temp_c": 21}}'


class Danger:
    """A tool that needs approval, and knows what it destroyed."""

    def __init__(self) -> None:
        self.destroyed: list[str] = []

    def tool(self) -> Tool[Any]:
        def danger(target: str) -> str:
            """Destroy something."""
            self.destroyed.append(target)
            return f"destroyed {target}"

        return Tool(danger, requires_approval=True)


ONE = [
    [("think", "Dangerous; needs approval."), ("call", "danger", TARGET)],
    [("think", "Handled."), ("say", "Approval flow finished.")],
]
MIXED = [
    [("think", "Two calls."), ("call", "get_weather", '{"city": "Rome"}'), ("call", "danger", TARGET)],
    [("say", "Approval flow 2 finished.")],
]
CLIENT = [[("think", "The notebook can."), ("call", "kernel_fn", '{"a": 7}')], [("think", "So."), ("say", "It is 49.")]]
CLIENT_MIXED = [
    [
        ("think", "Two at once."),
        ("call", "get_weather", '{"city": "Oslo"}'),
        ("call", "kernel_fn", '{"a": 2}'),
        ("call", "kernel_fn", '{"a": 3}'),
    ],
    [("say", "Four and nine.")],
]


@pytest.fixture
def danger() -> Danger:
    return Danger()


def recorded(case: str) -> list[dict[str, Any]]:
    return events((RECORDINGS / f"{case}.sse").read_bytes())


def shape(value: Any) -> Any:
    """Keys in order and kinds of values; ids, dates and words do not count, nulls do."""
    if isinstance(value, dict):
        return [(key, shape(inner)) for key, inner in value.items()]
    if isinstance(value, list):
        return [shape(inner) for inner in value]
    return type(value).__name__


def shapes(found: list[dict[str, Any]]) -> list[tuple[str, Any]]:
    """Each event's shape, runs of equal ones folded; token counts are another test's business."""
    told = [(e["message_type"], shape(e)) for e in found if e["message_type"] != "usage_statistics"]
    return [item for index, item in enumerate(told) if index == 0 or told[index - 1] != item]


def asked(found: list[dict[str, Any]]) -> list[str]:
    """The ids of the calls that a stream ended waiting for."""
    ids = dict[str, None]()
    for event in of_type(found, "approval_request_message"):
        calls = event["tool_calls"] if isinstance(event["tool_calls"], list) else [event["tool_calls"]]
        ids |= dict.fromkeys(call["tool_call_id"] for call in calls)
    return list(ids)


def approval(call_ids: list[str], approve: bool = True, reason: str | None = None) -> list[dict[str, Any]]:
    words = [{"type": "approval", "approve": approve, "tool_call_id": i, "reason": reason} for i in call_ids]
    return [{"type": "approval", "approvals": words}]


def returned(call_ids: list[str], status: str = "success") -> list[dict[str, Any]]:
    base = {"type": "tool", "tool_return": "49", "status": status, "stdout": ["squared\n"], "stderr": None}
    return [{"type": "approval", "approvals": [base | {"tool_call_id": i} for i in call_ids]}]


@pytest.mark.parametrize(
    ("case", "replies", "tokens"),
    [
        ("v1_approve_step", ONE, False),
        ("v1_approve_tok", ONE, True),
        ("v1_approve_parallel_step", MIXED, False),
    ],
)
def test_an_approval_has_the_shape_of_the_recorded_one(case: str, replies: Any, tokens: bool, danger: Danger) -> None:
    with playing(replies, danger.tool(), get_weather) as wire:
        first = wire.body(stream_tokens=tokens)
        call_ids = asked(events(first))
        assert danger.destroyed == []
        second = wire.body(messages=approval(call_ids), stream_tokens=tokens)
    assert shapes(events(first)) == shapes(recorded(f"{case}_1request"))
    assert shapes(events(second)) == shapes(recorded(f"{case}_2answer"))
    assert first.endswith(b"data: [DONE]\n\n")
    assert b'data: {"message_type":"stop_reason","stop_reason":"requires_approval"}\n\n' in first
    assert danger.destroyed == ["/tmp/x"]
    (back,) = of_type(events(second), "tool_return_message")
    assert (back["name"], back["tool_return"], back["step_id"]) == (
        "danger",
        "destroyed /tmp/x",
        events(first)[1]["step_id"],
    )
    assert next(entry["tool_call_id"] for entry in back["tool_returns"]) == call_ids[0]
    assert events(first)[0]["run_id"] != events(second)[0]["run_id"]
    assert events(second)[-1]["step_count"] == 1


@pytest.mark.parametrize("tokens", [False, True])
def test_the_ids_of_a_request_are_the_recorded_servers(tokens: bool, danger: Danger) -> None:
    with playing(ONE, danger.tool()) as wire:
        found = wire.stream(stream_tokens=tokens)
    thought, request = of_type(found, "reasoning_message")[0], of_type(found, "approval_request_message")[0]
    below = int(thought["id"].removeprefix("message-").replace("-", ""), 16) - 1
    hexed = f"{below:032x}"
    fewer = f"message-{hexed[:8]}-{hexed[8:12]}-{hexed[12:16]}-{hexed[16:20]}-{hexed[20:]}"
    assert request["id"] == request["otid"] == (fewer if tokens else thought["id"])
    assert request["step_id"] == thought["step_id"]


@pytest.mark.parametrize("tokens", [False, True])
def test_a_denial_tells_the_model_why(tokens: bool, danger: Danger) -> None:
    play = Play(ONE)
    with playing(play, agent=play.agent(danger.tool())) as wire:
        call_ids = asked(wire.stream(stream_tokens=tokens))
        found = wire.stream(messages=approval(call_ids, False, "too risky"), stream_tokens=tokens)
        listed = wire.get(f"/v1/agents/{wire.agent_id}/messages", order="asc")
    words = "Error: request to call tool denied. User reason: too risky"
    backs = of_type(found, "tool_return_message")
    assert [back["tool_return"] for back in backs] == ([] if tokens else [words])
    if not tokens:
        assert shapes(found) == shapes(recorded("v1_deny_step_2answer"))
    assert danger.destroyed == []
    assert joined(found, "assistant_message", "content") == "Approval flow finished."
    (part,) = [p for message in play.seen[-1] for p in message.parts if isinstance(p, ToolReturnPart)]
    assert (part.content, part.outcome) == (words, "denied")
    assert kinds(listed)[2:] == [
        "reasoning_message",
        "approval_request_message",
        "approval_response_message",
        "tool_return_message",
        "reasoning_message",
        "assistant_message",
    ]
    answer = of_type(listed, "approval_response_message")[0]
    assert (answer["approve"], answer["approval_request_id"], answer["reason"]) == (False, call_ids[0], "too risky")
    assert of_type(listed, "approval_request_message")[0]["tool_calls"][0]["arguments"] == TARGET


@pytest.mark.parametrize("approve", [True, False])
def test_the_older_form_of_an_answer_names_the_request(approve: bool, danger: Danger) -> None:
    with playing(ONE, danger.tool()) as wire:
        request = of_type(wire.stream(), "approval_request_message")[0]
        found = wire.stream(messages=[{"approve": approve, "approval_request_id": request["id"], "reason": "no"}])
    assert joined(found, "assistant_message", "content") == "Approval flow finished."
    assert danger.destroyed == (["/tmp/x"] if approve else [])


def test_several_calls_take_one_word_each(danger: Danger) -> None:
    calls = [("call", "danger", f'{{"target": "{t}"}}') for t in "abc"]
    with playing([calls, [("say", "done")]], danger.tool()) as wire:
        call_ids = asked(wire.stream())
        words = approval(call_ids[:1])[0]["approvals"] + approval(call_ids[1:2], False, "keep b")[0]["approvals"]
        words += approval(call_ids[2:])[0]["approvals"]
        found = wire.stream(messages=[{"type": "approval", "approvals": words}])
    (back,) = of_type(found, "tool_return_message")
    assert danger.destroyed == ["a", "c"]
    assert [(e["tool_call_id"], e["status"]) for e in back["tool_returns"]] == [
        (call_ids[1], "error"),
        (call_ids[0], "success"),
        (call_ids[2], "success"),
    ]


def test_an_answer_may_bring_a_message_of_the_user(danger: Danger) -> None:
    play = Play(ONE)
    with playing(play, agent=play.agent(danger.tool())) as wire:
        call_ids = asked(wire.stream())
        wire.stream(messages=[*approval(call_ids, False, "no"), {"role": "user", "content": "Do y instead."}])
        listed = wire.get(f"/v1/agents/{wire.agent_id}/messages", order="asc")
    assert [part.content for part in play.seen[-1][-1].parts][-1] == ["Do y instead."]
    assert [event["content"] for event in of_type(listed, "user_message")] == ["go", "Do y instead."]


def test_a_message_while_a_call_waits_is_refused_in_the_recorded_words(danger: Danger) -> None:
    with playing(ONE, danger.tool()) as wire:
        request = of_type(wire.stream(), "approval_request_message")[0]
        body = wire.body("hello?")
        path = f"/v1/agents/{wire.agent_id}/messages"
        door = wire.http.post(path, json={"messages": [{"role": "user", "content": "hello?"}]})
        # the request still waits
        found = wire.stream(messages=approval(asked([request])))
    theirs = recorded("v1_approve_step_1b_usermsg_while_pending")
    assert shapes(events(body)) == shapes(theirs)
    assert events(body)[-1]["message"] == theirs[-1]["message"]
    assert events(body)[-1]["detail"] == theirs[-1]["detail"]
    assert body.endswith(b"data: [DONE]\n\n")
    assert door.status_code == 409
    detail = {"code": "PENDING_APPROVAL", "message": theirs[-1]["message"], "pending_request_id": request["id"]}
    assert door.json() == {"detail": detail}
    assert danger.destroyed == ["/tmp/x"]
    assert found[-1]["message_type"] == "usage_statistics"


@pytest.mark.parametrize(
    ("words", "detail"),
    [
        (approval(["call_other"]), "Invalid tool call IDs. Expected '['{id}']', but received '['call_other']'."),
        ([{"type": "approval", "approvals": []}], "does not contain any approvals"),
    ],
)
def test_a_wrong_answer_is_an_error_and_the_call_waits_on(words: Any, detail: str, danger: Danger) -> None:
    with playing(ONE, danger.tool()) as wire:
        call_ids = asked(wire.stream())
        found = wire.stream(messages=words)
        again = wire.stream(messages=approval(call_ids))
    assert detail.format(id=call_ids[0]) in found[-1]["detail"]
    assert kinds(found) == ["ping", "stop_reason", "error_message"]
    assert danger.destroyed == ["/tmp/x"]
    assert again[-1]["message_type"] == "usage_statistics"


def test_an_answer_to_nothing_is_the_recorded_error(danger: Danger) -> None:
    with playing([[("say", "hi")]], danger.tool()) as wire:
        found = wire.stream(messages=approval(["call_1"]))
    assert shapes(found) == shapes(recorded("bad_approval_none_pending"))
    assert found[-1]["detail"] == recorded("bad_approval_none_pending")[-1]["detail"]


def test_a_request_survives_the_server(tmp_path: Path, danger: Danger) -> None:
    play = Play(MIXED)
    options: dict[str, Any] = {"database": tmp_path / "agents.db"}
    with playing(play, agent=play.agent(danger.tool(), get_weather), **options) as wire:
        call_ids = asked(wire.stream())
    with playing(play, agent=play.agent(danger.tool(), get_weather), **options) as wire:
        state = wire.get(f"/v1/agents/{wire.agent_id}")["pending_approval"]
        assert [call["tool_call_id"] for call in state["tool_calls"]] == call_ids
        assert list(state) == list(of_type(recorded("v1_approve_step_1request"), "approval_request_message")[0])
        found = wire.stream(messages=approval(call_ids))
        assert wire.get(f"/v1/agents/{wire.agent_id}")["pending_approval"] is None
    assert danger.destroyed == ["/tmp/x"]
    assert len(of_type(found, "tool_return_message")[0]["tool_returns"]) == 2


def test_cancel_withdraws_a_request_and_the_history_stays_whole(danger: Danger) -> None:
    play = Play(lambda prompt, step: MIXED[step] if prompt == "go" else [("say", "nothing")])
    with playing(play, agent=play.agent(danger.tool(), get_weather)) as wire:
        first = wire.stream()
        run_id = first[0]["run_id"]
        path = f"/v1/agents/{wire.agent_id}/messages/cancel"
        assert wire.http.post(path, json={"run_ids": [run_id]}).json() == {run_id: "cancelled"}
        assert wire.get(f"/v1/runs/{run_id}")["status"] == "cancelled"
        assert wire.get(f"/v1/agents/{wire.agent_id}")["pending_approval"] is None
        assert "currently awaiting" in wire.stream(messages=approval(asked(first)))[-1]["detail"]
        wire.stream("and now?")
        assert wire.http.post(path).status_code == 409
    backs = [p for message in play.seen[-1] for p in message.parts if isinstance(p, ToolReturnPart)]
    assert [part.outcome for part in backs] == ["denied", "denied"]
    assert "The user cancelled the request" in str(backs[0].content)
    assert danger.destroyed == []


def test_a_step_is_told_once_with_the_time_of_its_tools(danger: Danger) -> None:
    with playing(ONE, danger.tool()) as wire:
        first = wire.stream()
        second = wire.stream(messages=approval(asked(first)))
        step = wire.get(f"/v1/steps/{first[1]['step_id']}")
        metrics = wire.get(f"/v1/steps/{first[1]['step_id']}/metrics")
        runs = [wire.get(f"/v1/runs/{found[0]['run_id']}") for found in (first, second)]
    assert (step["status"], step["stop_reason"], step["run_id"]) == (
        "success",
        "requires_approval",
        first[0]["run_id"],
    )
    assert metrics["tool_execution_ns"] > 0
    assert [(run["status"], run["stop_reason"]) for run in runs] == [
        ("completed", "requires_approval"),
        ("completed", "end_turn"),
    ]


def test_max_steps_counts_the_step_whose_tools_waited(danger: Danger) -> None:
    with playing(ONE, danger.tool()) as wire:
        found = wire.stream(messages=approval(asked(wire.stream())), max_steps=1)
    assert danger.destroyed == ["/tmp/x"]
    assert of_type(found, "stop_reason")[0]["stop_reason"] == "max_steps"


def reckless(ctx: RunContext[Any], target: str) -> str:
    """Asks from within."""
    if not ctx.tool_call_approved:
        raise ApprovalRequired
    return f"gone: {target}"


def elsewhere(target: str) -> str:
    """Runs elsewhere."""
    raise CallDeferred


@pytest.mark.parametrize("tokens", [False, True])
@pytest.mark.parametrize("tool", [reckless, elsewhere])
def test_a_tool_may_ask_from_within(tool: Any, tokens: bool) -> None:
    name = tool.__name__
    replies = [[("call", "get_weather", '{"city": "Rome"}'), ("call", name, TARGET)], [("say", "done")]]
    play = Play(replies)
    agent = play.agent(tool, get_weather)
    agent.output_validator(lambda output: output)
    with playing(play, agent=agent) as wire:
        first = wire.stream(stream_tokens=tokens)
        request = of_type(first, "approval_request_message")[-1]
        words = approval(asked(first)) if tool is reckless else returned(asked(first))
        second = wire.stream(messages=words, stream_tokens=tokens)
    assert of_type(first, "tool_return_message")[0]["name"] == "get_weather"
    assert request["tool_call"] == {"name": name, "arguments": TARGET, "tool_call_id": asked(first)[0]}
    assert joined(second, "assistant_message", "content") == "done"
    contents = [p.content for message in play.seen[-1] for p in message.parts if isinstance(p, ToolReturnPart)]
    assert len(contents) == 2
    assert contents[-1] == ("gone: /tmp/x" if tool is reckless else "49")


def test_a_programs_own_handler_comes_first(danger: Danger) -> None:
    async def handler(_: RunContext[Any], requests: DeferredToolRequests) -> DeferredToolResults:
        return requests.build_results(approve_all=True)

    play = Play(ONE)
    agent = play.agent(danger.tool(), capabilities=[HandleDeferredToolCalls(handler)])
    with playing(play, agent=agent) as wire:
        found = wire.stream()
    assert danger.destroyed == ["/tmp/x"]
    assert kinds(found)[1:4] == ["reasoning_message", "tool_call_message", "tool_return_message"]


@pytest.fixture(params=[False, True], ids=["step", "tok"])
def tokens(request: pytest.FixtureRequest) -> Iterator[bool]:
    return request.param


@pytest.mark.parametrize(("case", "replies"), [("v1_clienttool", CLIENT), ("v1_clienttools", CLIENT_MIXED)])
def test_a_clients_tools_are_called_as_recorded(case: str, replies: Any, tokens: bool) -> None:
    play = Play(replies)
    offer: dict[str, Any] = {"client_tools": [KERNEL_FN], "stream_tokens": tokens}
    with playing(play, agent=play.agent(get_weather)) as wire:
        first = wire.stream(**offer)
        call_ids = asked(first)
        second = wire.stream(messages=returned(call_ids), **offer)
    if not (tokens and case == "v1_clienttools"):
        mode = "tok" if tokens else "step"
        assert shapes(first) == shapes(recorded(f"{case}_{mode}_1request"))
        assert shapes(second) == shapes(recorded(f"{case}_{mode}_2answer"))
    contents = [p.content for message in play.seen[-1] for p in message.parts if isinstance(p, ToolReturnPart)]
    assert contents.count("49") == len(call_ids)
    for back in of_type(second, "tool_return_message"):
        assert [entry["tool_call_id"] for entry in back["tool_returns"]][: len(call_ids)] == call_ids
        assert back["name"] == ("get_weather" if case == "v1_clienttools" else None)
        assert back["stdout"] == ["squared\n"]


def test_a_client_may_fail_deny_or_answer_with_parts(danger: Danger) -> None:
    play = Play([CLIENT_MIXED[0], [("say", "so")]])
    with playing(play, agent=play.agent(get_weather)) as wire:
        call_ids = asked(wire.stream(client_tools=[KERNEL_FN]))
        failed = returned(call_ids[:1], "error")[0]["approvals"]
        denied = approval(call_ids[1:], False, "busy")[0]["approvals"]
        found = wire.stream(messages=[{"type": "approval", "approvals": failed + denied}], client_tools=[KERNEL_FN])
    (back,) = of_type(found, "tool_return_message")
    assert [entry["status"] for entry in back["tool_returns"]] == ["error", "error", "success"]
    assert "User reason: busy" in back["tool_returns"][1]["tool_return"]
    with playing(CLIENT) as wire:
        call_ids = asked(wire.stream(client_tools=[KERNEL_FN]))
        parts = [{"type": "text", "text": "4"}, {"type": "text", "text": "9"}]
        item = returned(call_ids)[0]["approvals"][0] | {"tool_return": parts}
        found = wire.stream(messages=[{"type": "tool_return", "tool_returns": [item]}], client_tools=[KERNEL_FN])
    assert of_type(found, "tool_return_message")[0]["tool_return"] == "4\n9"


def test_a_clients_tool_cannot_be_run_here() -> None:
    with playing(CLIENT) as wire:
        call_ids = asked(wire.stream(client_tools=[KERNEL_FN]))
        found = wire.stream(messages=approval(call_ids), client_tools=[KERNEL_FN])
    (back,) = of_type(found, "tool_return_message")
    assert back["status"] == "error"
    assert "the client" in back["tool_return"]


def test_an_agent_with_few_tools_gets_the_clients_too() -> None:
    with playing(CLIENT, get_weather) as wire:
        agent_id = wire.http.post("/v1/agents/", json={"tools": []}).json()["id"]
        assert asked(wire.stream(agent_id=agent_id, client_tools=[KERNEL_FN]))


def test_structured_output_is_left_alone(danger: Danger) -> None:
    """An agent that ends by a tool of its own still does, after an approval as well."""
    replies = [[("call", "danger", TARGET)], [("call", "final_result", '{"response": 7}')]]
    play = Play(replies)
    with playing(play, agent=Agent(play.model, tools=[danger.tool()], output_type=int)) as wire:
        found = wire.stream(messages=approval(asked(wire.stream())))
    assert danger.destroyed == ["/tmp/x"]
    assert of_type(found, "stop_reason")[0]["stop_reason"] == "end_turn"


def test_requests_page_like_other_messages(tokens: bool, danger: Danger) -> None:
    with playing(MIXED, danger.tool(), get_weather) as wire:
        wire.stream(messages=approval(asked(wire.stream(stream_tokens=tokens))))
        path = f"/v1/agents/{wire.agent_id}/messages"
        whole = wire.get(path, order="asc")
        collected: list[Any] = []
        position: dict[str, str] = {}
        while page := wire.get(path, order="asc", limit=1, **position):
            collected += page
            position = {"after": page[-1]["id"]}
    assert collected == whole
    assert json.dumps(whole).count("approval_request_message") == 1


def test_the_step_and_run_of_a_request_list_it(danger: Danger) -> None:
    with playing(ONE, danger.tool()) as wire:
        found = wire.stream()
        listed = wire.get(f"/v1/runs/{found[0]['run_id']}/messages")
    assert listed[1:] == [event for event in found if event.get("id", "").startswith("message-")]


def test_calls_of_an_answer_that_was_cancelled_are_closed_out() -> None:
    """Cancelled while the approved tool ran: the agent is not stuck, and the model hears that there is no return."""
    entered, leave = threading.Event(), threading.Event()

    def hangs() -> str:
        """Blocks a thread."""
        entered.set()
        leave.wait(20)
        return "late"

    play = Play(lambda prompt, step: [("call", "hangs", "{}")] if prompt == "go" else [("say", "well")])
    with playing(play, agent=play.agent(Tool(hangs, requires_approval=True))) as wire:
        call_ids = asked(wire.stream())
        other = Wire(str(wire.http.base_url))
        path = f"/v1/agents/{other.agent_id}/messages"
        with wire.http.stream("POST", f"{path}/stream", json={"messages": approval(call_ids)}) as answer:
            assert entered.wait(10)
            assert len(other.http.post(f"{path}/cancel").json()) == 1
            assert "cancelled" in answer.read().decode()
        leave.set()
        found = wire.stream("next")
        other.http.close()
    assert joined(found, "assistant_message", "content") == "well"
    (back,) = [p for message in play.seen[-1] for p in message.parts if isinstance(p, ToolReturnPart)]
    assert (back.tool_call_id, back.outcome) == (call_ids[0], "interrupted")


@pytest.mark.parametrize("given", [None, []])
def test_a_clients_tool_comes_before_the_servers_of_its_name(given: list[str] | None, tokens: bool) -> None:
    """As on 0.16.8, also with other parameters than the server's, and for an agent that was not given the server's."""
    play = Play([[("call", "get_weather", '{"where": "Oslo"}')], [("say", "done")]])
    offer: dict[str, Any] = {"client_tools": [{"name": "get_weather", "description": "Mine."}], "stream_tokens": tokens}
    with playing(play, agent=play.agent(get_weather)) as wire:
        agent_id = wire.http.post("/v1/agents/", json={"tools": given}).json()["id"]
        call_ids = asked(wire.stream(agent_id=agent_id, **offer))
        found = wire.stream(agent_id=agent_id, messages=returned(call_ids), **offer)
    contents = [p.content for message in play.seen[-1] for p in message.parts if isinstance(p, ToolReturnPart)]
    assert contents == ["49"]
    assert joined(found, "assistant_message", "content") == "done"


def test_an_agents_tools_say_which_need_approval(danger: Danger) -> None:
    with playing(ONE, danger.tool(), get_weather) as wire:
        tools = wire.get(f"/v1/agents/{wire.agent_id}")["tools"]
    assert {tool["name"]: tool["default_requires_approval"] for tool in tools} == {"danger": True, "get_weather": None}


def test_a_spoken_message_may_stand_beside_a_waiting_call(tokens: bool, danger: Danger) -> None:
    """The words are told at once, and their call returns with the answer without being told again."""
    calls = [("call", "send_message", '{"message": "I ask first."}'), ("call", "danger", TARGET)]
    with playing([calls, [("say", "never")]], danger.tool(), message_tool=True) as wire:
        first = wire.stream(stream_tokens=tokens)
        found = wire.stream(messages=approval(asked(first)), stream_tokens=tokens)
        listed = wire.get(f"/v1/agents/{wire.agent_id}/messages", order="asc")
    assert joined(first, "assistant_message", "content") == "I ask first."
    assert danger.destroyed == ["/tmp/x"]
    (back,) = of_type(found, "tool_return_message")
    assert [entry["tool_return"] for entry in back["tool_returns"]] == ["destroyed /tmp/x"]
    assert of_type(found, "stop_reason")[0]["stop_reason"] == "end_turn"
    assert [event["content"] for event in of_type(listed, "assistant_message")] == ["I ask first."]
