"""Letta's words: every field kept, every string accepted, and the official client's types agree with ours."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from letta_client.types.agents import EventMessage, LettaStreamingResponse, SummaryMessage
from pydantic import TypeAdapter
from recordings import ALL_STREAMS

from letta_nb import events as ev
from letta_nb import sse

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def messages(path: Path) -> list[sse.Message]:
    return list(sse.decode([path.read_bytes()]))


# -- what is kept -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ALL_STREAMS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_field_of_a_recording_is_in_the_event(path: Path) -> None:
    for message in messages(path)[:400]:
        event = ev.parse(message.data, message.event)
        if isinstance(event, ev.Done):
            assert message.data == "[DONE]"
            continue
        sent: dict[str, Any] = json.loads(message.data)
        assert event.model_dump(exclude_unset=True) == sent


@pytest.mark.parametrize("path", ALL_STREAMS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_no_field_that_a_server_sends_is_a_stranger(path: Path) -> None:
    for message in messages(path)[:400]:
        assert not ev.parse(message.data, message.event).model_extra


def test_unknown_fields_are_kept() -> None:
    event = ev.parse('{"message_type":"ping","id":"p","novelty":{"a":[1,"é"]}}')
    assert isinstance(event, ev.Ping)
    assert event.model_extra == {"novelty": {"a": [1, "é"]}}


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        ('{"message_type":"system_message","id":"m","content":"c"}', ev.SystemMessage),
        ('{"message_type":"user_message","id":"m","content":[{"type":"text","text":"c"}]}', ev.UserMessage),
        (
            '{"message_type":"reasoning_message","id":"m","reasoning":"r","source":"reasoner_model"}',
            ev.ReasoningMessage,
        ),
        ('{"message_type":"hidden_reasoning_message","id":"m","state":"omitted"}', ev.HiddenReasoningMessage),
        ('{"message_type":"tool_call_message","id":"m","tool_call":{"arguments":"{"}}', ev.ToolCallMessage),
        ('{"message_type":"tool_return_message","id":"m","tool_return":"r","status":"success"}', ev.ToolReturnMessage),
        ('{"message_type":"assistant_message","id":"m","content":null}', ev.AssistantMessage),
        ('{"message_type":"approval_request_message","id":"m","tool_calls":[]}', ev.ApprovalRequestMessage),
        ('{"message_type":"approval_response_message","id":"m","approve":true}', ev.ApprovalResponseMessage),
        ('{"message_type":"summary_message","id":"m","summary":"s","compaction_stats":{}}', ev.SummaryMessage),
        ('{"message_type":"event_message","id":"m","event_type":"compaction","event_data":{}}', ev.EventMessage),
        ('{"message_type":"ping"}', ev.Ping),
        ('{"message_type":"stop_reason","stop_reason":"new_reason"}', ev.StopReason),
        ('{"message_type":"usage_statistics","steps_messages":[[{}]]}', ev.UsageStatistics),
        ('{"message_type":"error_message","run_id":null,"error_type":"e","message":"m"}', ev.ErrorMessage),
        ('{"error":"Stream failed","code":500}', ev.StreamError),
        ('{"error":{"message":"m"},"message_type":null}', ev.StreamError),
        ("[DONE]", ev.Done),
    ],
)
def test_each_word_has_its_model(data: str, kind: type[ev.Event]) -> None:
    assert type(ev.parse(data)) is kind


def test_a_cancelled_event_is_known_by_its_name() -> None:
    assert ev.parse('{"message": "Run was cancelled"}', "cancelled") == ev.Cancelled(message="Run was cancelled")
    assert isinstance(ev.parse('{"message": "Run was cancelled"}'), ev.UnknownEvent)


@pytest.mark.parametrize("calls", ['[{"name":"f","arguments":"{}","tool_call_id":"c"}]', '{"arguments":"{"}', "null"])
def test_tool_calls_is_a_list_or_one_delta_or_nothing(calls: str) -> None:
    event = ev.parse(f'{{"message_type":"tool_call_message","id":"m","tool_call":{{}},"tool_calls":{calls}}}')
    assert isinstance(event, ev.ToolCallMessage)
    assert type(event.tool_calls) is {"[": list, "{": ev.ToolCallDelta, "n": type(None)}[calls[0]]


# -- total over all strings -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ("", "not JSON"),
        ("nonsense", "not JSON"),
        ('{"message_type":"ping"', "not JSON"),
        ("[DONE", "not JSON"),
        ("null", "NoneType"),
        ("[]", "list"),
        ("3.5", "float"),
        ("{}", "unknown message_type"),
        ('{"message_type":"brand_new"}', "unknown message_type"),
        ('{"message_type":["ping"]}', "unknown message_type"),
        ('{"message_type":"reasoning_message"}', "reasoning: Field required"),
        ('{"message_type":"stop_reason","stop_reason":null}', "stop_reason: Input should be a valid string"),
        ('{"message_type":"tool_return_message","stdout":"x"}', "stdout: Input should be a valid"),
        ("[" * 10_000, "not JSON"),
        ('{"a":' * 10_000, "not JSON"),
        ('{"message_type":"ping","id":"\\ud83d"}', "not JSON"),
    ],
)
def test_anything_else_is_kept_as_received_with_the_problem(data: str, problem: str) -> None:
    event = ev.parse(data)
    assert isinstance(event, ev.UnknownEvent)
    assert event.raw == data
    assert problem in event.problem


any_text = st.text(st.characters(exclude_categories=())) | st.text()


@example("\ud800 lone", "")
@example("{\ud800}", "cancelled")
@given(any_text, st.sampled_from(["", "error", "cancelled", "message", "novel"]))
def test_no_text_raises(data: str, name: str) -> None:
    event = ev.parse(data, name)
    if isinstance(event, ev.UnknownEvent):
        assert event.raw == data
    else:
        assert data == "[DONE]" or isinstance(json.loads(data), dict)


@given(json_values, st.sampled_from(["", "error", "cancelled"]))
def test_no_json_raises(value: Any, name: str) -> None:
    event = ev.parse(json.dumps(value), name)
    assert isinstance(event, (ev.UnknownEvent, ev.StreamError, ev.Cancelled))


KNOWN = sorted(ev._KNOWN)
FIELDS = sorted(
    {name for kind in ev.Event.__subclasses__() + ev.MessageEvent.__subclasses__() for name in kind.model_fields}
)


@given(st.sampled_from(KNOWN), st.dictionaries(st.sampled_from(FIELDS) | st.text(), json_values, max_size=8))
def test_a_known_type_with_any_fields_never_raises_and_loses_nothing(message_type: str, fields: dict[str, Any]) -> None:
    sent = {**fields, "message_type": message_type}
    data = json.dumps(sent)
    event = ev.parse(data)
    if isinstance(event, ev.UnknownEvent):
        assert event.raw == data
        assert event.problem
    else:
        assert event.message_type == message_type
        assert event.model_dump(exclude_unset=True).keys() == sent.keys()


def test_known_types_are_those_of_the_union() -> None:
    kinds = {
        kind
        for kind in ev.Event.__subclasses__() + ev.MessageEvent.__subclasses__()
        if "message_type" in kind.model_fields
    }
    assert {kind.model_fields["message_type"].default for kind in kinds} - {None} == set(KNOWN) | (
        {ev.UnknownEvent.model_fields["message_type"].default} - {None}
    )


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, ""),
        ("", ""),
        ("a", "a"),
        ([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], "ab"),
        ([{"type": "image"}, {}], "[image][part]"),
    ],
)
def test_text_of_content(content: Any, text: str) -> None:
    assert ev.text_of(content) == text


# -- the other reading of the same words ------------------------------------------------------------------------------

official: TypeAdapter[Any] = TypeAdapter(LettaStreamingResponse | SummaryMessage | EventMessage)
OURS_TO_THEIRS = {"Ping": "LettaPing", "StopReason": "LettaStopReason", "UsageStatistics": "LettaUsageStatistics"}


@pytest.mark.parametrize(
    "path", [path for path in ALL_STREAMS if path.parent.name == "0.16.8"], ids=lambda path: path.stem
)
def test_the_official_client_reads_the_same_events(path: Path) -> None:
    """Its types accept each event that has a published type, and choose the one that we choose."""
    for message in messages(path)[:400]:
        ours = ev.parse(message.data, message.event)
        if isinstance(ours, (ev.Done, ev.StreamError)):
            continue
        theirs = type(official.validate_json(message.data)).__name__
        assert theirs.removeprefix("Letta") == type(ours).__name__
