"""The fold against bytes of real servers, whole and cut anywhere."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest
from alike import story
from recordings import ALL_STREAMS, BY_NAME, EXPECTED, REFUSED, Call, Expected

from letta_nb import events as ev
from letta_nb import record, sse
from letta_nb.entries import ToolCallEntry
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
