"""Letta's words: one model per `message_type` of the message stream, both eras.

Every field the wire has is kept, known or not (`extra="allow"`); an unknown or malformed event becomes an
`UnknownEvent` that holds the text as received. `parse` never raises: what a server says is data.
Shapes: Letta 0.6.17 to 0.16.8; `since` in a comment is the first server that sends the field.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal, cast, get_args

import pydantic_core
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

Content = str | list[dict[str, Any]]


class Event(BaseModel):
    """Any event of the stream; unknown fields are in `model_extra`."""

    model_config = ConfigDict(extra="allow", protected_namespaces=())


class MessageEvent(Event):
    """An event about a message: the keys they all share. `id` is shared by all events of one model reply."""

    id: str | None = None
    date: str | None = None  # ISO 8601, truncated to whole seconds by the server
    name: str | None = None  # 0.6.40
    otid: str | None = None  # 0.6.49
    sender_id: str | None = None  # 0.6.54
    step_id: str | None = None  # 0.7.9
    is_err: bool | None = None  # 0.8.16
    seq_id: int | None = None  # 0.11.5, background runs only
    run_id: str | None = None  # 0.11.5


class SystemMessage(MessageEvent):
    message_type: Literal["system_message"] = "system_message"
    content: Content | None = None
    message: Content | None = None  # before 0.6.15


class UserMessage(MessageEvent):
    message_type: Literal["user_message"] = "user_message"
    content: Content | None = None
    message: Content | None = None  # before 0.6.15


class ReasoningMessage(MessageEvent):
    message_type: Literal["reasoning_message"] = "reasoning_message"
    reasoning: str
    source: str | None = None  # "reasoner_model" | "non_reasoner_model"
    signature: str | None = None


class HiddenReasoningMessage(MessageEvent):
    message_type: Literal["hidden_reasoning_message"] = "hidden_reasoning_message"
    state: str  # "redacted" | "omitted"
    hidden_reasoning: str | None = None


class ToolCallDelta(Event):
    """A tool call, whole or in part: with `stream_tokens` any key may be missing."""

    name: str | None = None
    arguments: str | None = None
    tool_call_id: str | None = None


class ToolCallMessage(MessageEvent):
    """`tool_calls` is a list when the calls are complete, one object when it is a delta, absent before 0.12."""

    message_type: Literal["tool_call_message"] = "tool_call_message"
    tool_call: ToolCallDelta | None = None
    tool_calls: list[ToolCallDelta] | ToolCallDelta | None = None


class ApprovalRequestMessage(MessageEvent):
    """Like ToolCallMessage, for calls that wait for an approval or for a client's answer."""

    message_type: Literal["approval_request_message"] = "approval_request_message"
    tool_call: ToolCallDelta | None = None
    tool_calls: list[ToolCallDelta] | ToolCallDelta | None = None


class ToolReturn(Event):
    type: str | None = None
    tool_return: Content | None = None
    status: str | None = None  # "success" | "error"
    tool_call_id: str | None = None
    stdout: list[str] | None = None
    stderr: list[str] | None = None


class ToolReturnMessage(MessageEvent):
    """`tool_returns` holds all calls that returned together; the keys beside it mirror the first (0.12)."""

    message_type: Literal["tool_return_message"] = "tool_return_message"
    tool_return: Content | None = None
    status: str | None = None
    tool_call_id: str | None = None
    stdout: list[str] | None = None
    stderr: list[str] | None = None
    tool_returns: list[ToolReturn] | None = None


class AssistantMessage(MessageEvent):
    message_type: Literal["assistant_message"] = "assistant_message"
    content: Content | None = None
    message: Content | None = None  # before 0.6.15


class ApprovalResponseMessage(MessageEvent):
    message_type: Literal["approval_response_message"] = "approval_response_message"
    approvals: list[dict[str, Any]] | None = None
    approve: bool | None = None
    approval_request_id: str | None = None
    reason: str | None = None


class SummaryMessage(MessageEvent):
    message_type: Literal["summary_message"] = "summary_message"
    summary: str
    compaction_stats: dict[str, Any] | None = None


class EventMessage(MessageEvent):
    message_type: Literal["event_message"] = "event_message"
    event_type: str
    event_data: dict[str, Any] | None = None


class Ping(MessageEvent):
    message_type: Literal["ping"] = "ping"


class StopReason(Event):
    message_type: Literal["stop_reason"] = "stop_reason"
    stop_reason: str


class UsageStatistics(Event):
    """Totals of all steps of the request; null is "not reported"."""

    message_type: Literal["usage_statistics"] = "usage_statistics"
    completion_tokens: int | None = None
    prompt_tokens: int | None = None
    total_tokens: int | None = None
    step_count: int | None = None
    run_ids: list[str] | None = None
    cached_input_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    context_tokens: int | None = None


class ErrorMessage(Event):
    """The server's account of a failure, sent with `event: error` (0.15)."""

    message_type: Literal["error_message"] = "error_message"
    run_id: str | None = None
    error_type: str | None = None
    message: str | None = None
    detail: Any = None  # text, as far as was seen; an object or a list in HTTP errors
    seq_id: int | None = None


class StreamError(Event):
    """A failure without a `message_type`: `{"error": ..., "code"?: ...}`, seed era and transport level."""

    message_type: Literal[None] = None
    error: Any
    code: Any = None


class Cancelled(Event):
    """`event: cancelled`, which some servers send before they close (0.8)."""

    message_type: Literal[None] = None
    message: str | None = None


class Done(Event):
    """`[DONE]`: the server has said all it will say."""

    message_type: Literal[None] = None


class SessionEvent(Event):
    """A line of Letta Code's own in a transcript (`system`, `result`, `tool_execution_started`, ...)."""

    message_type: Literal[None] = None
    type: str
    subtype: str | None = None


class UnknownEvent(Event):
    """Anything else, as received: a type from the future, or a known one that does not have its shape."""

    message_type: str | None = None
    raw: str
    problem: str


TypedEvent = Annotated[
    SystemMessage
    | UserMessage
    | ReasoningMessage
    | HiddenReasoningMessage
    | ToolCallMessage
    | ApprovalRequestMessage
    | ToolReturnMessage
    | AssistantMessage
    | ApprovalResponseMessage
    | SummaryMessage
    | EventMessage
    | Ping
    | StopReason
    | UsageStatistics
    | ErrorMessage,
    Field(discriminator="message_type"),
]
AnyEvent = TypedEvent | StreamError | Cancelled | Done | SessionEvent | UnknownEvent

_adapter: TypeAdapter[Any] = TypeAdapter(TypedEvent)
_validate = _adapter.validator.validate_json
DONE = "[DONE]"
# The event name under which a log keeps lines of transcripts that are not Letta's events. No server can send it: the
# name of a server-sent event holds no newline.
SESSION = "session\n"


def parse(data: str, event: str = "") -> AnyEvent:
    """The event in one SSE message (`data` its text, `event` its name). Never raises; total over all strings."""
    if data == DONE:
        return Done()
    if event == SESSION:
        return _parse_session(data)
    try:
        return _validate(data)
    except ValidationError as problem:
        return _parse_other(data, event, problem)


def known(data: str) -> AnyEvent | None:
    """The event in a text that is one of `TypedEvent` in its shape; None for any other text."""
    try:
        return _validate(data)
    except ValidationError:
        return None


def _parse_session(data: str) -> AnyEvent:
    try:
        event = SessionEvent.model_validate_json(data)
    except ValidationError as problem:
        return UnknownEvent(raw=data, problem=f"not a line of Letta Code: {problem.error_count()} problems")
    inner = (event.model_extra or {}).get("event")
    if event.type == "stream_event" and isinstance(inner, dict):
        return parse(pydantic_core.to_json(inner).decode())
    return event


def _parse_other(data: str, event: str, problem: ValidationError) -> AnyEvent:
    try:
        value = pydantic_core.from_json(data)
    except (ValueError, TypeError) as error:  # TypeError: a lone surrogate, which is no text that JSON could hold
        return UnknownEvent(raw=data, problem=f"not JSON: {error}")
    if not isinstance(value, dict):
        return UnknownEvent(raw=data, problem=f"a JSON {type(value).__name__} where an object was expected")
    facts = cast("dict[str, Any]", value)
    message_type = facts.get("message_type")
    if message_type is None and "error" in facts:
        return StreamError.model_validate(facts)
    if message_type is None and event == "cancelled":
        text = facts.get("message")
        return Cancelled(message=text if isinstance(text, str) else data)
    known = message_type in _KNOWN if isinstance(message_type, str) else False
    first = problem.errors(include_url=False, include_input=False)[0]
    return UnknownEvent(
        message_type=message_type if isinstance(message_type, str) else None,
        raw=data,
        problem=f"{'.'.join(map(str, first['loc'][1:]))}: {first['msg']}" if known else "unknown message_type",
    )


_KNOWN = frozenset(model.model_fields["message_type"].default for model in get_args(get_args(TypedEvent)[0]))


def text_of(content: Any) -> str:
    """The text of a content field: a string, or the text parts of a list; other parts appear as `[type]`.

    Total over all values: what should not be there is shown as JSON.
    """
    if isinstance(content, list):
        return "".join(_text_of_part(part) for part in cast("list[Any]", content))
    return _words(content)


_SUMMARY = "summary of the previous messages:"


def packed_summary(text: str) -> tuple[str, object] | None:
    """The summary and the statistics in a packed message; None for any other text.

    So 0.16.8 streams what it says to the agent after a compaction, as a `user_message`, to a client that did not ask
    for `summary_message`.
    """
    if not text.startswith("{") or _SUMMARY not in text:
        return None
    try:
        packed: Any = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if packed.get("type") != "system_alert" or not isinstance(packed.get("message"), str):
        return None
    _, found, summary = packed["message"].partition(_SUMMARY)
    return (summary.strip(), packed.get("compaction_stats")) if found else None


def _text_of_part(part: Any) -> str:
    if not isinstance(part, dict):
        return _words(part)
    facts = cast("dict[str, Any]", part)
    return _words(facts["text"]) if "text" in facts else f"[{_words(facts.get('type', 'part'))}]"


def _words(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    try:
        return json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):  # no server's: a caller's own object
        return f"[{type(value).__name__}]"
