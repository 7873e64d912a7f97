"""The fold against every case of the wire contract, by hand: what joins, what a call is, what is told."""

from __future__ import annotations

import json
from typing import Any

import pytest
from by_hand import Wire, arguments, texts

from letta_nb import frames
from letta_nb.entries import TextAppended, ToolCallEntry, compaction_of
from letta_nb.run import Run

# -- joining ----------------------------------------------------------------------------------------------------------


def test_deltas_join_by_type_and_otid() -> None:
    wire = Wire()
    wire.reasoning("I ", otid="a0")
    wire.reasoning("think", otid="a0")
    wire.assistant("He", otid="a1")
    wire.assistant("llo", otid="a1")
    assert [(entry.kind, entry.text) for entry in wire.run.entries] == [
        ("reasoning", "I think"),
        ("assistant", "Hello"),
    ]
    assert wire.run.delivery == "token"


def test_one_otid_for_two_types_is_two_blocks() -> None:
    wire = Wire()
    wire.reasoning("think", otid="same")
    wire.assistant("say", otid="same")
    assert [entry.kind for entry in wire.run.entries] == ["reasoning", "assistant"]


def test_reasoning_that_goes_on_after_the_answer_began_is_one_block() -> None:
    wire = Wire()
    wire.reasoning("first", otid="a0")
    wire.assistant("answer", otid="a1")
    wire.reasoning(" and more", otid="a0")
    wire.assistant(" ends", otid="a1")
    assert texts(wire.run, "reasoning") == ["first and more"]
    assert wire.run.text == "answer ends"


def test_two_fragments_of_one_type_in_a_reply_are_two_blocks() -> None:
    wire = Wire()
    wire.reasoning("before", otid="a0")
    wire.assistant("one", otid="a1")
    wire.reasoning("after", otid="a2")
    assert texts(wire.run, "reasoning") == ["before", "after"]


def test_without_otid_the_message_id_joins() -> None:
    wire = Wire(modern=False)
    wire.reasoning("a", "message-1")
    wire.reasoning("b", "message-1")
    wire.reasoning("c", "message-2")
    assert texts(wire.run, "reasoning") == ["ab", "c"]


def test_empty_deltas_change_nothing() -> None:
    wire = Wire()
    wire.assistant("a", otid="x")
    assert [change for change in wire.assistant("", otid="x") if isinstance(change, TextAppended)] == []
    wire.assistant("b", otid="x")
    assert wire.run.text == "ab"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ([{"type": "text", "text": "a", "signature": None}, {"type": "text", "text": "b"}], "ab"),
        (
            [{"type": "text", "text": "look: "}, {"type": "image", "source": {"type": "url", "url": "x"}}],
            "look: [image]",
        ),
        ([{"type": "text", "text": None}], ""),
        ([], ""),
        (None, ""),
        ("plain", "plain"),
    ],
)
def test_content_as_a_list(content: Any, text: str) -> None:
    wire = Wire()
    wire.assistant(content)
    assert texts(wire.run, "assistant") == [text]


def test_content_under_its_name_before_0_6_15() -> None:
    wire = Wire(modern=False)
    wire.send("assistant_message", message="old")
    assert wire.run.text == "old"


def test_a_streamed_user_message_is_shown() -> None:
    wire = Wire(Run({"messages": [{"role": "user", "content": "hi"}]}))
    wire.send("user_message", "message-9", content="(summary of what came before)")
    assert texts(wire.run, "user") == ["hi", "(summary of what came before)"]
    assert wire.run.prompt == "hi"


def test_a_summary_packed_as_a_user_message_is_a_summary() -> None:
    """What 0.16.8 streams after a compaction to a client that did not ask for summaries."""
    note = "Note: prior messages have been hidden from view due to conversation memory constraints.\n"
    stats = {"trigger": "context_window_exceeded", "context_tokens_before": 9000, "context_tokens_after": 400}
    message = f"{note}The following is a summary of the previous messages:\n They spoke of Oslo."
    packed = {"type": "system_alert", "message": message, "time": "2026-01-01 10:00:00 AM UTC+0000"}
    wire = Wire(Run({"input": "hi"}))
    wire.send("user_message", "message-9", content=json.dumps(packed | {"compaction_stats": stats}))
    wire.send("user_message", "message-10", content=json.dumps(packed))
    assert texts(wire.run, "user") == ["hi"]
    assert texts(wire.run, "summary") == ["They spoke of Oslo."] * 2
    told = [compaction_of(entry) for entry in wire.run.entries if entry.kind == "summary"]
    assert told == [("context_window_exceeded", 9000, 400), (None, None, None)]


@pytest.mark.parametrize(
    "content",
    [
        '{"type": "login", "about": "summary of the previous messages:"}',
        '{"type": "system_alert", "message": ["summary of the previous messages:"]}',
        '{"type": "system_alert", "message": "no", "x": "summary of the previous messages:"}',
        '{"summary of the previous messages:',
        "{" * 100_000 + "summary of the previous messages:",
    ],
)
def test_what_only_looks_like_a_packed_summary_is_as_it_is(content: str) -> None:
    wire = Wire(Run({"input": "hi"}))
    wire.send("user_message", "message-9", content=content)
    assert texts(wire.run, "user") == ["hi", content]


def test_the_prompt_comes_from_the_request() -> None:
    parts = [{"type": "text", "text": "see "}, {"type": "image", "source": {}}]
    assert (
        Run({"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": parts}]}).prompt
        == "see [image]"
    )
    assert Run({"input": "hello"}).prompt == "hello"
    assert Run({"input": parts}).prompt == "see [image]"
    assert Run({"messages": [{"type": "approval", "approvals": []}]}).entries == []
    assert Run({"messages": None}).entries == []


# -- tool calls -------------------------------------------------------------------------------------------------------


def test_parallel_calls_in_tokens_interleave_and_return_together() -> None:
    wire = Wire()
    for piece in (
        {"name": "a", "arguments": "", "tool_call_id": "c1"},
        {"name": "b", "arguments": "", "tool_call_id": "c2"},
        {"arguments": '{"x"', "tool_call_id": "c1"},
        {"arguments": "{}", "tool_call_id": "c2"},
        {"arguments": ":1}", "tool_call_id": "c1"},
    ):
        wire.call(piece, otid="same")
    assert arguments(wire.run) == {"c1": '{"x":1}', "c2": "{}"}
    returns = [
        {
            "type": "tool",
            "tool_return": "A",
            "status": "success",
            "tool_call_id": "c1",
            "stdout": ["o"],
            "stderr": None,
        },
        {"type": "tool", "tool_return": "B", "status": "error", "tool_call_id": "c2", "stdout": None, "stderr": ["e"]},
    ]
    wire.returned("c1", "A", tool_returns=returns)
    one, two = wire.run.tool_calls
    assert (one.name, one.result, one.status, one.stdout, one.stderr) == ("a", "A", "success", ["o"], None)
    assert (two.name, two.result, two.status, two.stdout, two.stderr) == ("b", "B", "error", None, ["e"])
    assert (one.duration, one.at_most, two.at_most) == (None, 1_000_000, 1_000_000)


def test_parallel_calls_whose_return_never_comes() -> None:
    wire = Wire()
    wire.call({"name": "a", "arguments": "{}", "tool_call_id": "c1"}, step_id="step-1")
    wire.call({"name": "b", "arguments": "{}", "tool_call_id": "c2"}, step_id="step-1")
    wire.assistant("done", "message-3", step_id="step-2")
    wire.stop()
    wire.usage()
    wire.done()
    assert wire.run.status == "completed"
    assert [(call.has_returned, call.result, call.duration, call.cut) for call in wire.run.tool_calls] == [
        (False, None, None, False)
    ] * 2
    assert [entry.step_index for entry in wire.run.entries] == [0, 0, 1]


def test_a_list_of_calls_is_whole() -> None:
    wire = Wire()
    wire.call([{"name": n, "arguments": "{}", "tool_call_id": c} for n, c in (("a", "c1"), ("b", "c2"))])
    assert [(call.name, call.arguments) for call in wire.run.tool_calls] == [("a", "{}"), ("b", "{}")]
    assert wire.run.delivery == "step"


def test_a_delta_with_all_three_keys_is_still_a_delta() -> None:
    wire = Wire()
    for piece in ("", '{"q":', '"x"}'):  # Anthropic repeats name and id in every frame
        wire.call({"name": "search", "arguments": piece, "tool_call_id": "c1"})
    (call,) = wire.run.tool_calls
    assert (call.name, call.arguments) == ("search", '{"q":"x"}')
    assert wire.run.delivery == "token"


def test_whole_arguments_in_one_frame() -> None:
    wire = Wire()  # Gemini
    wire.call({"name": "search", "arguments": '{"q":"x"}', "tool_call_id": "c1"})
    assert arguments(wire.run) == {"c1": '{"q":"x"}'}


def test_the_whole_call_after_its_pieces_is_not_written_twice() -> None:
    wire = Wire()
    wire.call({"name": "f", "arguments": '{"a"', "tool_call_id": "c1"})
    wire.call([{"name": "f", "arguments": '{"a":1}', "tool_call_id": "c1"}])
    assert arguments(wire.run) == {"c1": '{"a":1}'}


def test_a_name_in_pieces() -> None:
    wire = Wire()
    for piece in ({"name": "get_"}, {"name": "weather"}, {"arguments": "{}"}):
        wire.call({"tool_call_id": "c1", **piece})
    (call,) = wire.run.tool_calls
    assert (call.name, call.arguments) == ("get_weather", "{}")


def test_a_name_that_comes_after_the_arguments_began() -> None:
    wire = Wire()
    wire.call({"arguments": "{", "tool_call_id": "c1"})
    wire.call({"name": "f", "arguments": "}", "tool_call_id": "c1"})
    (call,) = wire.run.tool_calls
    assert (call.name, call.arguments) == ("f", "{}")


def test_a_return_tells_the_name_of_a_call_whose_start_was_missed() -> None:
    wire = Wire()  # a resumed stream begins in the middle of a call
    wire.call({"arguments": "}", "tool_call_id": "c1"})
    wire.returned("c1", name="roll_die")
    assert wire.run.tool_calls[0].name == "roll_die"


def test_seed_deltas_carry_no_id_after_the_first() -> None:
    wire = Wire(modern=False)
    wire.call({"name": "f", "tool_call_id": "c1"})
    wire.call({"arguments": '{"a"'})
    wire.call({"arguments": ":1}"})
    wire.returned("c1", "ok")
    wire.call({"name": "g", "tool_call_id": "c2"}, "message-3")
    wire.call({"arguments": "{}"}, "message-3")
    assert arguments(wire.run) == {"c1": '{"a":1}', "c2": "{}"}
    assert [call.name for call in wire.run.tool_calls] == ["f", "g"]
    assert [step.reply_id for step in wire.run.steps] == ["message-1", "message-3"]


def test_a_call_without_any_id_still_has_its_pieces() -> None:
    wire = Wire(modern=False)
    wire.call({"name": "f"})
    wire.call({"arguments": "{}"})
    assert [(call.name, call.arguments) for call in wire.run.tool_calls] == [("f", "{}")]


def test_a_call_that_names_nothing_is_no_call() -> None:
    wire = Wire()
    wire.send("tool_call_message", tool_call=None, tool_calls=None)
    assert wire.run.tool_calls == []
    assert len(wire.run.steps) <= 1


def test_arguments_need_not_be_json() -> None:
    wire = Wire()
    wire.call({"name": "f", "arguments": '{"sides": 20, "request_heartbeat"}', "tool_call_id": "c1"})
    assert arguments(wire.run) == {"c1": '{"sides": 20, "request_heartbeat"}'}


def test_a_return_of_an_unseen_call_is_shown_and_not_timed() -> None:
    wire = Wire()
    wire.returned("c9", "late", name="kernel_fn", step_id="step-7")
    (call,) = wire.run.tool_calls
    assert (call.name, call.arguments, call.result, call.tool_call_id) == ("kernel_fn", "", "late", "c9")
    assert (call.duration, call.at_most) == (None, None)
    assert wire.run.steps[0].step_id == "step-7"


def test_a_return_may_be_a_list_of_parts() -> None:
    wire = Wire()
    wire.call({"name": "f", "arguments": "{}", "tool_call_id": "c1"})
    wire.returned("c1", [{"type": "text", "text": "see"}, {"type": "image", "source": {}}])
    assert wire.run.tool_calls[0].result == "see[image]"


def test_a_return_before_the_last_piece_does_not_make_time_negative() -> None:
    wire = Wire()
    wire.call({"name": "f", "arguments": "{", "tool_call_id": "c1"})
    wire.returned("c1")
    wire.call({"arguments": "}", "tool_call_id": "c1"})
    (call,) = wire.run.tool_calls
    assert call.duration == 1_000_000
    assert call.arguments == "{}"


# -- steps ------------------------------------------------------------------------------------------------------------


def test_a_step_is_a_model_call_and_its_tools() -> None:
    wire = Wire()
    wire.reasoning("r", "message-1", step_id="step-1")
    wire.call({"name": "f", "arguments": "{}", "tool_call_id": "c1"}, "message-1", step_id="step-1")
    wire.returned("c1", id="message-2", step_id="step-1")
    wire.assistant("a", "message-3", step_id="step-2")
    assert [(step.index, step.step_id) for step in wire.run.steps] == [(0, "step-1"), (1, "step-2")]
    assert [entry.step_index for entry in wire.run.entries] == [0, 0, 1]


def test_servers_figures_join_their_step() -> None:
    wire = Wire()
    wire.call({"name": "f", "arguments": "{}", "tool_call_id": "c1"}, step_id="step-1")
    wire.call({"name": "g", "arguments": "{}", "tool_call_id": "c2"}, "message-3", step_id="step-2")
    wire.call({"name": "h", "arguments": "{}", "tool_call_id": "c3"}, "message-3", step_id="step-2")
    wire.run.join_server(
        {
            "steps": [
                {"id": "step-1", "model": "m", "tool_execution_ns": 5},
                {
                    "id": "step-2",
                    "model": "m",
                    "tool_execution_ns": 9,
                },  # the longest of two tools: says nothing of each
                {"id": "step-unknown", "tool_execution_ns": 1},
            ]
        }
    )
    assert [(call.duration, call.duration_source) for call in wire.run.tool_calls] == [
        (5, "server"),
        (None, None),
        (None, None),
    ]
    assert wire.run.model == "m"


# -- other events -----------------------------------------------------------------------------------------------------


def test_hidden_reasoning() -> None:
    wire = Wire()
    wire.send("hidden_reasoning_message", state="redacted", hidden_reasoning="gAAAA")
    (entry,) = wire.run.entries
    assert (entry.kind, entry.extra["state"], entry.step_index) == ("hidden_reasoning", "redacted", 0)


def test_compaction_is_a_note_and_a_summary() -> None:
    wire = Wire()
    wire.send("event_message", "e-1", event_type="compaction", event_data={"trigger": "context_window_exceeded"})
    wire.send("summary_message", "message-5", summary="We spoke of tea.", compaction_stats={"trigger": "x"})
    assert [(entry.kind, entry.text) for entry in wire.run.entries] == [
        ("compaction", ""),
        ("summary", "We spoke of tea."),
    ]
    assert wire.run.entries[0].extra["facts"] == {"trigger": "context_window_exceeded"}
    assert wire.run.text == ""


def test_an_unknown_type_is_shown_as_received() -> None:
    wire = Wire()
    wire.assistant("a", otid="x")
    wire.send("telepathy_message", "message-8", thought="…")
    wire.assistant("b", otid="x")
    assert wire.run.text == "ab"
    (unknown,) = [entry for entry in wire.run.entries if entry.kind == "unknown"]
    assert unknown.message_type == "telepathy_message"
    assert json.loads(unknown.text)["thought"] == "…"


@pytest.mark.parametrize(
    "data", ['{"id":"message-1","content":"who am I?"}', "not json", "[1]", '"x"', "{", '{"message_type":5}']
)
def test_what_has_no_type_is_shown_as_received(data: str) -> None:
    wire = Wire()
    wire.raw(data)
    assert [(entry.kind, entry.text) for entry in wire.run.entries] == [("unknown", data)]
    assert wire.end().status == "interrupted"


def test_a_known_type_of_the_wrong_shape_says_what_is_wrong() -> None:
    wire = Wire()
    wire.send("reasoning_message", reasoning=7)
    (entry,) = wire.run.entries
    assert entry.kind == "unknown"
    assert "reasoning" in entry.extra["problem"]


def test_pings_tell_the_run_id_and_nothing_else() -> None:
    wire = Wire()
    wire.send("ping", "ping-1")
    wire.raw('{"message_type":"ping"}')  # 0.10 to 0.12
    assert (wire.run.run_id, wire.run.entries, wire.run.steps) == ("run-1", [], [])


def test_an_approval_request_waits() -> None:
    wire = Wire()
    wire.send(
        "approval_request_message", tool_call={"name": "rm", "arguments": "{}", "tool_call_id": "c1"}, tool_calls=None
    )
    wire.stop("requires_approval")
    wire.usage()
    wire.done()
    (call,) = wire.run.tool_calls
    assert (call.approval, call.has_returned, call.cut) == ("pending", False, False)
    assert wire.run.status == "requires_approval"


def test_approval_answers_settle_the_call() -> None:
    wire = Wire()
    for call_id in ("c1", "c2"):
        piece = {"name": "rm", "arguments": "{}", "tool_call_id": call_id}
        wire.send("approval_request_message", tool_call=piece, tool_calls=piece)
    answers = [{"type": "approval", "tool_call_id": "c1", "approve": True}, {"tool_call_id": "c2", "approve": False}]
    wire.send("approval_response_message", "message-7", approvals=answers)
    assert [call.approval for call in wire.run.tool_calls] == ["approved", "denied"]


def test_what_a_server_calls_its_agent_does_not_steer_a_terminal() -> None:
    assert "\x1b" not in repr(Run(agent_name="\x1b[2J\x1b]0;owned\x07agent"))


def test_a_call_is_read_on_one_short_line() -> None:
    call = ToolCallEntry(index=0, kind="tool_call", message_type="m", name="rent_bike", tool_call_id="call-1")
    call.buffer.append('{"city": "Oslo",\n "hours": 2}')
    call.approval = "pending"
    assert repr([call]) == '[<rent_bike({"city": "Oslo", "hours": 2}) call-1, pending>]'
    call.has_returned, call.status = True, "success"
    call.buffer.append("x" * 10_000_000)
    assert repr(call).endswith("xxx…) call-1, success>")
    assert len(repr(call)) < 110
    evil = ToolCallEntry(index=0, kind="tool_call", message_type="m", name="\x1b[31mrm")
    assert repr(evil) == "<␛[31mrm()>"


def test_a_run_makes_each_table() -> None:
    run = Run()
    for name in ("runs_df", "steps_df", "tools_df", "usage_df", "messages_df", "events_df"):
        assert getattr(run, name)().equals(getattr(frames, name)(run))
    assert run.runs_df(columns=["status"]).status.tolist() == ["running"]
