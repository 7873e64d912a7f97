"""Letta's words as the 0.16.8 server writes them: every key, in its order, null where it has nothing to say."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

Event = dict[str, Any]
"""One JSON object of the stream or of a message list."""


def new_id(kind: str) -> str:
    """A fresh id such as `run-<uuid4>`."""
    return f"{kind}-{uuid4()}"


def now() -> datetime:
    """The time in UTC; `date` and `created_at` both come from it."""
    return datetime.now(UTC)


def date_text(at: datetime) -> str:
    """`date` of a message: whole seconds, with offset."""
    return at.replace(microsecond=0).isoformat()


def fragment_otid(message_id: str, index: int) -> str:
    """The message's uuid with its last 7 bits replaced by the fragment's index."""
    value = UUID(message_id.removeprefix("message-")).int
    return str(UUID(int=(value & ~0x7F) | (index & 0x7F)))


def message(
    message_type: str,
    message_id: str,
    date: str,
    *,
    name: str | None = None,
    otid: str | None = None,
    step_id: str | None = None,
    run_id: str | None = None,
    **own: Any,
) -> Event:
    """A message event: the base keys first, then those of its type."""
    return {
        "id": message_id,
        "date": date,
        "name": name,
        "message_type": message_type,
        "otid": otid,
        "sender_id": None,
        "step_id": step_id,
        "is_err": None,
        "seq_id": None,
        "run_id": run_id,
        **own,
    }


def ping(run_id: str, seq_id: int | None = None) -> Event:
    """The keepalive; the first one tells the run's id. In a background run it repeats the number before it."""
    return message("ping", new_id("ping"), date_text(now()), run_id=run_id) | {"seq_id": seq_id}


def tool_call(call_id: str, *, name: str | None = None, arguments: str | None = None) -> Event:
    """A tool call, or one piece of it: keys without a value are left out, as 0.16.8 does only here."""
    fields = {"name": name, "arguments": arguments, "tool_call_id": call_id}
    return {key: value for key, value in fields.items() if value is not None}


def approval_call(call_id: str, *, name: str | None = None, arguments: str | None = None) -> Event:
    """A call that waits for approval, or one piece of it: here 0.16.8 keeps the keys without a value."""
    return {"name": name, "arguments": arguments, "tool_call_id": call_id}


def approval_request(
    request_id: str,
    date: str,
    tool_call: Event,
    tool_calls: list[Event] | Event,
    *,
    step_id: str | None,
    run_id: str | None,
) -> Event:
    """A request for approval, whole or in part. Its otid is its id, with the prefix."""
    ids = {"otid": request_id, "step_id": step_id, "run_id": run_id}
    return message(
        "approval_request_message", request_id, date, **ids, tool_call=dict(tool_call), tool_calls=tool_calls
    )


def approval_request_id(message_id: str) -> str:
    """The id of the request that a streamed reply asks with: the number before its own."""
    value = UUID(message_id.removeprefix("message-")).int
    return f"message-{UUID(int=value - 1)}"


def tool_return(call_id: str, text: str, status: str, stdout: list[str] | None, stderr: list[str] | None) -> Event:
    """One entry of `tool_returns`."""
    return {
        "type": "tool",
        "tool_return": text,
        "status": status,
        "tool_call_id": call_id,
        "stdout": stdout,
        "stderr": stderr,
    }


def stop_reason(reason: str) -> Event:
    """Why the run ended."""
    return {"message_type": "stop_reason", "stop_reason": reason}


def error_message(run_id: str, error_type: str, text: str, detail: str | None) -> Event:
    """Sent under `event: error`."""
    return {
        "message_type": "error_message",
        "run_id": run_id,
        "error_type": error_type,
        "message": text,
        "detail": detail,
        "seq_id": None,
    }


def utc_text(at: datetime | None = None) -> str:
    """A time, by default now, as `created_at` and its like are written."""
    return (at or now()).isoformat(timespec="microseconds").replace("+00:00", "Z")
