"""How a run ends, by hand: every way in which a stream does."""

from __future__ import annotations

import pytest
from alike import story
from by_hand import Wire

from letta_nb.entries import RunError


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
