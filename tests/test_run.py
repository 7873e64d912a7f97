"""The fold, against real servers' bytes and against every case of the wire contract by hand."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recordings import ALL_STREAMS, BY_NAME, EXPECTED, REFUSED, Call, Expected

from letta_nb import events as ev
from letta_nb import record, sse
from letta_nb.entries import Buffer, EntryOpened, RunError, TextAppended, ToolCallEntry, compaction_of
from letta_nb.errors import InputError
from letta_nb.log import Received
from letta_nb.run import Run

FINISHED = ("completed", "requires_approval")


def fold(chunks: Iterable[bytes], run: Run | None = None) -> Run:
    """A run from raw bytes, to the end of the stream."""
    run = run or Run()
    for message in sse.decode(chunks):
        run.receive(Received(-1, *message))
    run.end(None)
    return run


def story(run: Run) -> list[tuple[Any, ...]]:
    """All that a run adds up to, without what two runs of one stream may differ in."""
    entries = [
        (
            entry.kind,
            entry.text,
            entry.step_index,
            entry.message_id,
            *(
                (entry.name, entry.tool_call_id, entry.approval, entry.result, entry.status, entry.stdout, entry.stderr)
                if isinstance(entry, ToolCallEntry)
                else ()
            ),
        )
        for entry in run.entries
    ]
    steps = [(step.step_id, step.reply_id) for step in run.steps]
    return [*entries, *steps, (run.status, run.stop_reason, run.error, run.run_id, run.usage_reports, run.event_count)]


# -- real servers -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("expected", EXPECTED, ids=lambda row: row.name)
def test_a_recording_folds_into_its_story(expected: Expected) -> None:
    run = record.load_one(expected.path)
    assert [event for event in run.events if isinstance(event, ev.UnknownEvent)] == []
    assert (run.status, run.stop_reason) == (expected.status, expected.stop_reason)
    assert (run.error.type if run.error else None) == expected.error
    assert tuple(entry.text for entry in run.entries if entry.kind == "reasoning") == expected.story.thinks
    assert run.text == "\n\n".join(expected.story.says)
    assert tuple(as_call(call, wanted) for call, wanted in zip(run.tool_calls, expected.story.calls, strict=True)) == (
        expected.story.calls
    )
    assert len(run.steps) == expected.steps
    assert [entry.index for entry in run.entries] == list(range(len(run.entries)))


def as_call(call: ToolCallEntry, wanted: Call) -> Call:
    """An entry in the table's words: arguments as a dict where the table has one."""
    arguments: Any = call.arguments
    if isinstance(wanted.arguments, dict):
        arguments = json.loads(call.arguments)
        for extra in ("request_heartbeat", "thinking", "inner_thoughts"):
            arguments.pop(extra, None)
    elif wanted.arguments is None:
        arguments = call.arguments or None
    return Call(call.name, arguments, call.status, call.approval)


@pytest.mark.parametrize("name", REFUSED)
def test_a_refused_request_is_no_run(name: str) -> None:
    with pytest.raises(InputError, match=r"refused request \(HTTP \d+\)"):
        record.load_one(BY_NAME["0.16.8/v1_hello_step"].path.parents[1] / f"{name}.sse")


def test_the_table_names_every_recording() -> None:
    fixtures = ALL_STREAMS[0].parents[1]
    named = {path.relative_to(fixtures).with_suffix("").as_posix() for path in ALL_STREAMS} | set(REFUSED)
    assert named == {path.relative_to(fixtures).with_suffix("").as_posix() for path in fixtures.glob("*/*.sse")}


def test_tool_output_and_errors_are_kept_apart() -> None:
    call = record.load_one(BY_NAME["0.16.8/v1_toolerr_tok"].path).tool_calls[0]
    assert call.status == "error"
    assert call.result is not None
    assert "Error executing function always_fails" in call.result
    assert call.stdout is not None
    assert call.stderr is not None
    assert "Traceback" in "".join(call.stderr)


def test_usage_is_what_was_reported_and_nothing_more() -> None:
    modern = record.load_one(BY_NAME["0.16.8/v1_hello_step"].path).usage
    assert modern is not None
    assert (modern.output_tokens, modern.step_count, modern.cache_read_input_tokens) == (21, 1, 128)
    seed = record.load_one(BY_NAME["0.7.16/memgpt_hello_step"].path).usage
    assert seed is not None
    assert (seed.output_tokens, seed.step_count, seed.cache_read_input_tokens, seed.context_tokens) == (
        35,
        1,
        None,
        None,
    )
    assert record.load_one(BY_NAME["0.16.8/v1_err500_tok"].path).usage is None


@pytest.mark.parametrize(
    ("name", "delivery"),
    [
        ("0.16.8/v1_multi_tok", "token"),
        ("0.16.8/v1_multi_step", "step"),
        ("0.16.8/v1_hello_tok", "token"),
        ("0.16.8/v1_clienttool_tok_2answer", "token"),
        ("0.16.8/v1_clienttool_step_2answer", "step"),
        # a resumed stream's request says nothing about tokens: only its events can
        ("0.16.8/v1_bg_resume_after0", "token"),
        ("0.16.8/v1_bg_resume_after30", "token"),
        ("0.7.16/memgpt_multi_step", None),
    ],
)
def test_how_a_server_delivers_is_seen(name: str, delivery: str | None) -> None:
    assert record.load_one(BY_NAME[name].path).delivery == delivery


def test_tool_latency_only_where_the_wire_supports_it() -> None:
    tokens = record.load_one(BY_NAME["0.16.8/v1_multi_tok"].path).tool_calls
    assert [call.duration_source for call in tokens] == ["client"] * 3
    assert all(call.duration is not None and call.duration > 1e9 for call in tokens)
    steps = record.load_one(BY_NAME["0.16.8/v1_multi_step"].path).tool_calls
    assert [(call.duration, call.duration_source) for call in steps] == [(None, None)] * 3
    together = record.load_one(BY_NAME["0.16.8/v1_parallel2_tok"].path).tool_calls
    assert [call.duration for call in together] == [None] * 3
    assert all(call.at_most is not None and call.at_most > 1e9 for call in together)
    seed = record.load_one(BY_NAME["0.7.16/memgpt_multi_step"].path).tool_calls
    assert [call.duration_source for call in seed] == ["client"] * 3


# -- cut anywhere -----------------------------------------------------------------------------------------------------

CUT = [
    "0.16.8/v1_hello_step",
    "0.16.8/v1_unicode_step",
    "0.16.8/v1_err400ctx_tok",
    "0.16.8/v1_approve_tok_2answer",
    "0.16.8/v1_parallel_step",
    "0.7.16/memgpt_unicode_step",
    "0.7.16/memgpt_printer_tok",
    "0.7.16/memgpt_err500_tok",
]


@pytest.mark.parametrize("name", CUT)
def test_cut_at_every_byte(name: str) -> None:
    """Never an exception, every whole event kept, never "completed" before the end was said."""
    content = BY_NAME[name].content
    whole = fold([content])
    ends = [at + 2 for at in range(len(content)) if content.startswith(b"\n\n", at)]
    said = [event for event in whole.events if not isinstance(event, ev.Done)]
    for cut in range(len(content)):
        run = fold([content[:cut]])
        complete = sum(end <= cut for end in ends)
        kept = [event for event in run.events if not isinstance(event, ev.Done)][:complete]
        assert kept == said[: min(complete, len(said))], cut
        assert run.event_count <= complete + 1
        if run.status in FINISHED:
            # the last word of a modern server is its stop reason, of a seed server usage and [DONE]
            stopped = any(isinstance(event, ev.StopReason) for event in said[:complete])
            assert stopped or complete == len(ends), cut
        else:
            assert run.status in ("interrupted", "failed")
            assert run.error is not None or run.stop_reason is not None


@pytest.mark.parametrize(
    "name", [*CUT, "0.16.8/v1_multi_tok", "0.16.8/v1_unicode_tok", "0.7.16/memgpt_one_noassist_tok"]
)
def test_one_byte_at_a_time_is_the_same_run(name: str) -> None:
    content = BY_NAME[name].content
    assert story(fold(bytes([byte]) for byte in content)) == story(fold([content]))


def test_a_torn_event_is_kept_as_text_but_believed_by_nobody() -> None:
    run = fold([b'data: {"message_type":"stop_reason","stop_reason":"end_turn"}'])
    assert run.log is not None
    assert run.log[0] == Received(-1, "", '{"message_type":"stop_reason","stop_reason":"end_turn"}', True)
    assert (run.status, run.stop_reason) == ("interrupted", None)


# -- by hand: helpers -------------------------------------------------------------------------------------------------


class Wire:
    """Writes events as a server does and folds them, a millisecond apart."""

    def __init__(self, run: Run | None = None, modern: bool = True) -> None:
        self.run = run or Run()
        self.modern = modern
        self.at = 0
        self.changes: list[Any] = []

    def send(self, message_type: str | None, id: str | None = "message-1", event: str = "", **more: Any) -> list[Any]:
        base: dict[str, Any] = {"message_type": message_type} if message_type else {}
        if id is not None:
            base = {"id": id, "date": "2026-01-02T03:04:05+00:00", **base}
            if self.modern:
                base |= {"name": None, "otid": None, "sender_id": None, "step_id": None, "is_err": None}
                base |= {"seq_id": None, "run_id": "run-1"}
        return self.raw(json.dumps(base | more), event)

    def raw(self, data: str, event: str = "") -> list[Any]:
        self.at += 1_000_000
        changes = self.run.receive(Received(self.at, event, data))[1]
        self.changes += changes
        return changes

    def end(self, **how: Any) -> Run:
        self.changes += self.run.end(self.at, **how)
        return self.run

    # the words that tests need most
    def reasoning(self, text: str, id: str = "message-1", **more: Any) -> list[Any]:
        return self.send("reasoning_message", id, reasoning=text, **more)

    def assistant(self, content: Any, id: str = "message-1", **more: Any) -> list[Any]:
        return self.send("assistant_message", id, content=content, **more)

    def call(self, delta: dict[str, Any] | list[dict[str, Any]], id: str = "message-1", **more: Any) -> list[Any]:
        first = delta[0] if isinstance(delta, list) else delta
        both = {"tool_call": first, "tool_calls": delta} if self.modern else {"tool_call": first}
        return self.send("tool_call_message", id, **both, **more)

    def returned(self, call_id: str, result: Any = "ok", id: str = "message-2", **more: Any) -> list[Any]:
        one = {"tool_return": result, "status": "success", "tool_call_id": call_id, "stdout": None, "stderr": None}
        return self.send("tool_return_message", id, **one, **more)

    def stop(self, reason: str = "end_turn") -> list[Any]:
        return self.send("stop_reason", None, stop_reason=reason)

    def usage(self, **more: Any) -> list[Any]:
        counts = {"completion_tokens": 1, "prompt_tokens": 2, "total_tokens": 3, "step_count": 1}
        return self.send("usage_statistics", None, **counts | more)

    def done(self) -> list[Any]:
        return self.raw("[DONE]")


def texts(run: Run, kind: str) -> list[str]:
    return [entry.text for entry in run.entries if entry.kind == kind]


def arguments(run: Run) -> dict[str | None, str]:
    return {call.tool_call_id: call.arguments for call in run.tool_calls}


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


# -- how runs end -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reason", "status"),
    [
        ("end_turn", "completed"),
        ("max_steps", "completed"),
        ("tool_rule", "completed"),
        ("requires_approval", "requires_approval"),
        ("cancelled", "cancelled"),
        ("error", "failed"),
        ("llm_api_error", "failed"),
        ("invalid_llm_response", "failed"),
        ("invalid_tool_call", "failed"),
        ("max_tokens_exceeded", "failed"),
        ("no_tool_call", "failed"),
        ("insufficient_credits", "failed"),
        ("context_window_overflow_in_system_prompt", "failed"),
        ("a_reason_from_the_future", "failed"),
    ],
)
def test_a_stop_reason_decides(reason: str, status: str) -> None:
    wire = Wire()
    wire.assistant("a")
    wire.stop(reason)
    wire.usage()
    wire.done()
    assert (wire.run.status, wire.run.stop_reason) == (status, reason)


def test_a_stop_reason_is_enough_without_done() -> None:
    wire = Wire()
    wire.assistant("a")
    wire.stop()
    assert wire.end().status == "completed"


def test_of_two_stop_reasons_the_later_one_is_the_better_one() -> None:
    wire = Wire()
    wire.assistant("part", otid="x")
    wire.stop("error")
    wire.stop("llm_api_error")
    wire.send("error_message", None, "error", run_id="run-1", error_type="llm_error", message="It broke.", detail="why")
    run = wire.end()
    assert (run.status, run.stop_reason, run.text) == ("failed", "llm_api_error", "part")
    assert run.error == RunError("llm_error", "It broke.", "why")
    assert run.entries[0].cut


def test_an_error_before_anything_else() -> None:
    wire = Wire()
    wire.stop("error")
    wire.send("error_message", None, "error", run_id=None, error_type="internal_error", message="No.", detail=None)
    wire.done()
    assert (wire.run.status, wire.run.entries) == ("failed", [])


def test_a_seed_run_completes_by_usage_and_done() -> None:
    wire = Wire(modern=False)
    wire.assistant("a")
    wire.usage()
    wire.done()
    assert wire.run.status == "completed"


def test_a_seed_run_without_usage_did_not_complete() -> None:
    wire = Wire(modern=False)
    wire.assistant("a")
    wire.done()
    assert wire.run.status == "interrupted"


def test_a_seed_run_without_done_did_not_complete() -> None:
    wire = Wire(modern=False)
    wire.assistant("a")
    wire.usage()
    assert wire.end().status == "interrupted"


@pytest.mark.parametrize("code", [{}, {"code": "INTERNAL_SERVER_ERROR"}])
def test_a_failure_of_the_stream_itself(code: dict[str, str]) -> None:
    wire = Wire(modern=False)
    wire.assistant("part")
    wire.send(None, None, error="Stream failed (internal error occurred)", **code)
    wire.done()
    assert wire.run.status == "failed"
    assert wire.run.error == RunError(code.get("code", "stream_error"), "Stream failed (internal error occurred)")
    assert wire.run.text == "part"


def test_a_cancelled_event() -> None:
    wire = Wire()
    wire.assistant("part")
    wire.raw('{"message": "Run was cancelled"}', "cancelled")
    assert wire.end().status == "cancelled"
    assert wire.run.entries[0].cut


def test_a_stream_that_we_cancelled() -> None:
    wire = Wire()
    wire.assistant("part")
    assert wire.end(cancelled=True).status == "cancelled"
    assert wire.run.error is None


def test_what_the_server_said_last_wins_over_how_the_connection_closed() -> None:
    wire = Wire()
    wire.assistant("a")
    wire.stop()
    run = wire.end(cancelled=True, error=RunError("connection_closed", "gone"))
    assert (run.status, run.error) == ("completed", None)


def test_a_dropped_stream_is_interrupted_and_says_so_once() -> None:
    wire = Wire()
    wire.call({"name": "f", "arguments": '{"a', "tool_call_id": "c1"})
    run = wire.end(error=RunError("read_error", "The connection was reset."))
    assert (run.status, run.error) == ("interrupted", RunError("read_error", "The connection was reset."))
    assert run.tool_calls[0].cut
    assert run.end(99, RunError("other", "again")) == []
    assert run.ended_at == 1_000_000


def test_a_stream_of_pings_only_is_interrupted() -> None:
    wire = Wire()
    wire.send("ping", "ping-1")
    assert wire.end().status == "interrupted"


def test_nothing_after_done_counts() -> None:
    wire = Wire()
    wire.assistant("a", otid="x")
    wire.stop()
    wire.done()
    before = story(wire.run)[:-1]
    assert wire.done() == []
    assert wire.assistant("b", otid="x") == []
    assert wire.send("error_message", None, "error", error_type="x", message="y") == []
    assert story(wire.run)[:-1] == before
    assert wire.run.status == "completed"


def test_several_usage_reports_add_up() -> None:
    wire = Wire()
    wire.usage(context_tokens=10)
    wire.usage(context_tokens=12, reasoning_tokens=4)
    usage = wire.run.usage
    assert usage is not None
    assert (usage.input_tokens, usage.total_tokens, usage.step_count) == (4, 6, 2)
    assert (usage.context_tokens, usage.reasoning_output_tokens, usage.cache_read_input_tokens) == (12, 4, None)


# -- properties -------------------------------------------------------------------------------------------------------

few = st.sampled_from
maybe = st.none
message_ids = few(["message-1", "message-2", "message-3"])
call_ids = few([None, "c1", "c2", "c3"])
pieces = few(["", "a", "{", '"x"', "}", "é", "👩", "\u2028", "\n"])
content = st.one_of(
    st.none(), pieces, st.lists(st.fixed_dictionaries({"type": few(["text", "image"])}, optional={"text": pieces}))
)
deltas = st.fixed_dictionaries(
    {}, optional={"name": few([None, "f", "g"]), "arguments": st.none() | pieces, "tool_call_id": call_ids}
)
base: dict[str, Any] = {
    "id": st.none() | message_ids,
    "otid": few([None, "o0", "o1"]),
    "step_id": few([None, "step-1", "step-2"]),
    "run_id": few([None, "run-1"]),
}


def message(message_type: str, **fields: Any) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {"message_type": st.just(message_type), **fields}, optional={**base, "is_err": st.none() | st.booleans()}
    )


returns = st.fixed_dictionaries(
    {"tool_return": content, "status": few(["success", "error"]), "tool_call_id": call_ids},
    optional={"stdout": st.none() | st.lists(pieces), "stderr": st.none() | st.lists(pieces)},
)
calls = {"tool_call": st.none() | deltas, "tool_calls": st.none() | deltas | st.lists(deltas, max_size=3)}
any_event = st.one_of(
    message("reasoning_message", reasoning=pieces),
    message("assistant_message", content=content),
    message("tool_call_message", **calls),
    message("approval_request_message", **calls),
    returns.flatmap(
        lambda one: message(
            "tool_return_message", **{k: st.just(v) for k, v in one.items()}, tool_returns=st.none() | st.lists(returns)
        )
    ),
    message(
        "approval_response_message",
        approvals=st.none() | st.lists(st.fixed_dictionaries({"tool_call_id": call_ids, "approve": st.booleans()})),
    ),
    message("hidden_reasoning_message", state=few(["redacted", "omitted"])),
    message("user_message", content=content),
    message("system_message", content=content),
    message("summary_message", summary=pieces),
    message("event_message", event_type=st.just("compaction")),
    message("ping"),
    message("from_the_future", content=content),
    st.fixed_dictionaries(
        {"message_type": st.just("stop_reason"), "stop_reason": few(["end_turn", "error", "requires_approval"])}
    ),
    st.fixed_dictionaries(
        {"message_type": st.just("usage_statistics")}, optional={"total_tokens": st.none() | st.integers(0, 9)}
    ),
    st.fixed_dictionaries({"message_type": st.just("error_message"), "error_type": st.text(), "message": st.text()}),
    st.fixed_dictionaries({"error": st.text() | st.fixed_dictionaries({"message": st.text()})}),
)
streams = st.lists(any_event.map(lambda event: json.dumps(event, ensure_ascii=False)), max_size=30).flatmap(
    lambda events: st.booleans().map(lambda done: [*events, "[DONE]"] if done else events)
)


def replayed(data: list[str], **options: Any) -> tuple[Run, list[Any]]:
    run = Run(**options)
    changes: list[Any] = list(run.opening())
    for number, text in enumerate(data):
        changes += run.receive(Received(number * 1_000_000, "", text))[1]
    changes += run.end(len(data) * 1_000_000)
    return run, changes


@given(streams)
def test_whatever_is_sent_folds_into_a_consistent_run(data: list[str]) -> None:
    run, changes = replayed(data)
    assert run.event_count == len(data)
    assert run.status != "running"
    assert (run.error is not None) or run.status != "interrupted"
    assert [entry.index for entry in run.entries] == list(range(len(run.entries)))
    assert [step.index for step in run.steps] == list(range(len(run.steps)))
    assert all(entry.step_index is None or entry.step_index < len(run.steps) for entry in run.entries)
    # changes say everything: each entry opened once, before its text, and its text is what was appended
    opened: dict[int, str] = {}
    for change in changes:
        if isinstance(change, EntryOpened):
            assert change.entry.index == len(opened)
            opened[change.entry.index] = ""
        elif isinstance(change, TextAppended):
            assert change.text
            opened[change.entry.index] += change.text
    assert list(opened.values()) == [entry.text for entry in run.entries]


@given(streams)
def test_a_replay_of_the_log_is_the_same_run(data: list[str]) -> None:
    run, _ = replayed(data)
    again = run.blank()
    for received in run.log or ():
        again.receive(Received(*received))
    again.close_like(run)
    assert story(again) == story(run)


def said(data: list[str]) -> Iterator[str]:
    for text in data:
        event = ev.parse(text)
        if isinstance(event, ev.Done):
            return
        if isinstance(event, ev.ReasoningMessage):
            yield event.reasoning
        elif isinstance(event, ev.AssistantMessage):
            yield ev.text_of(event.content)


@given(streams)
def test_no_text_is_lost_or_made_up(data: list[str]) -> None:
    run, _ = replayed(data)
    joined = "".join(entry.text for entry in run.entries if entry.kind in ("reasoning", "assistant"))
    assert sorted(joined) == sorted("".join(said(data)))


@given(st.lists(st.text(), max_size=2000))
def test_a_buffer_is_its_pieces(parts: list[str]) -> None:
    buffer = Buffer()
    for number, part in enumerate(parts):
        buffer.append(part)
        if number % 700 == 3:
            assert str(buffer) == "".join(parts[: number + 1])
    assert str(buffer) == "".join(parts)
    assert bool(buffer) == any(parts)


def test_what_a_server_calls_its_agent_does_not_steer_a_terminal() -> None:
    assert "\x1b" not in repr(Run(agent_name="\x1b[2J\x1b]0;owned\x07agent"))
