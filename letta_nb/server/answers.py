"""What the routes may answer besides the usual, for the OpenAPI document."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, JsonValue

EVENT_STREAM = "text/event-stream"
Answers = dict[int | str, dict[str, Any]]

_MEANINGS = {
    400: "What is asked for cannot be done, or not on this server",
    401: "The password is missing or wrong",
    403: "Sent by a web page, or to another address than this server's own",
    404: "There is no such thing",
    409: "Something goes on that is in the way, or nothing that could be cancelled",
    410: "The stream has expired",
    415: "The body is not JSON",
    422: "The request is not valid",
    429: "The model's provider asks for patience",
    500: "An error of the agent, or of this server",
    502: "The model's provider failed",
    503: "The server was told to have no background runs",
    504: "The model's provider took too long",
}


# of each message; `data` is one line of JSON, or [DONE]
_TEXT = {"type": "string"}
_SSE = {"type": "object", "properties": {"event": _TEXT, "data": _TEXT}, "required": ["data"]}


class Problem(BaseModel):
    """A refusal: `detail` in most cases, `error` for what the model's provider said."""

    detail: JsonValue = None
    error: JsonValue = None
    run_id: str | None = None


class Invalid(BaseModel):
    """A request that is not valid: the errors as the text of a Python list."""

    detail: JsonValue
    trace_id: str | None = None
    examples: list[str] | None = None


def problems(*statuses: int) -> Answers:
    """The answers with these statuses."""
    return {s: {"model": Invalid if s == 422 else Problem, "description": _MEANINGS[s]} for s in statuses}


def streams(*statuses: int, whole: bool = False) -> Answers:
    """An event stream, or with `whole` also one JSON answer; and these problems."""
    content: dict[str, Any] = {EVENT_STREAM: {"schema": _SSE}}
    if whole:
        content["application/json"] = {"schema": {"type": "object"}}
    return {200: {"description": "Server-sent events", "content": content}} | problems(*statuses)


# the door itself, whatever is behind it
ALWAYS = problems(401, 403, 422)
# of a route that reads one
BODY = (400, 415)
# of a route that waits for an agent
MODEL = (404, 409, 429, 500, 502, 503, 504)
