"""Answers that are no message stream, as Letta servers of both eras and proxies give them, each under a name."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from letta_nb.sse import encode

Refusal = Literal[
    "html",  # 200, as of a proxy's welcome page
    "json",
    "empty",
    "redirect",
    "400",
    "401",
    "401_provider",
    "402",
    "404",
    "405",
    "408",
    "409_busy",
    "409_approval",
    "409_lock",
    "410",
    "415",
    "422",
    "422_seed",
    "429",
    "499",
    "500",
    "500_provider",
    "501",
    "502",
    "503",
    "504",
]


class Answer(NamedTuple):
    """A whole HTTP response."""

    status: int
    body: bytes
    headers: dict[str, str]


def _json(status: int, body: dict[str, Any], **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, encode(body)[6:-2], {"content-type": "application/json", **named})


def _detail(status: int, detail: Any, **headers: str) -> Answer:
    return _json(status, {"detail": detail}, **headers)


def _provider(status: int, kind: str, message: str) -> Answer:
    return _json(status, {"error": {"type": kind, "message": message, "detail": "as the provider said"}})


_PENDING = {
    "code": "PENDING_APPROVAL",
    "message": "The agent is waiting for approval",
    "pending_request_id": "message-1",
}
_INVALID = {"type": "list_type", "loc": ["body", "messages"], "msg": "Input should be a valid list", "input": "x"}
_INVALID_TEXT = str([{**_INVALID, "loc": ("body", "messages")}])
REFUSALS: dict[str, Answer] = {
    "html": Answer(200, b"<!doctype html><title>Welcome to nginx!</title>", {"content-type": "text/html"}),
    "json": _json(200, {"status": "ok"}),
    "empty": Answer(200, b"", {"content-type": "text/event-stream; charset=utf-8"}),
    "redirect": Answer(307, b"", {"location": "http://127.0.0.1:9/v1/elsewhere"}),
    "400": _detail(400, "INVALID_ARGUMENT: a bad argument"),
    "401": _detail(401, "Unauthorized"),
    "401_provider": _provider(401, "llm_authentication", "The provider refused the key"),
    "402": _provider(402, "llm_insufficient_credits", "No credits"),
    "404": _detail(404, "Agent not found"),
    "405": _detail(405, "Method Not Allowed"),
    "408": _detail(408, "The request took too long"),
    "409_busy": _json(409, {"detail": "The agent is busy", "run_id": "run-00000000-0000-4000-8000-000000000000"}),
    "409_approval": _detail(409, _PENDING),
    "409_lock": _detail(409, "Another request of this conversation is being processed", retry_after="1"),
    "410": _detail(410, "The run's stream has expired"),
    "415": _detail(415, "Unsupported media type"),
    "422": _json(422, {"trace_id": "", "detail": _INVALID_TEXT, "examples": ["agent-123"]}),
    "422_seed": _detail(422, [_INVALID]),
    "429": _provider(429, "llm_rate_limit", "Too many requests"),
    "499": _detail(499, "Client disconnected"),
    "500": _detail(500, "An unknown error occurred"),
    "500_provider": _provider(500, "llm_error", "The model failed"),
    "501": _detail(501, "Not implemented here"),
    "502": _provider(502, "mcp_connection_error", "The tool server is away"),
    "503": _detail(503, "Background mode needs Redis"),
    "504": _provider(504, "llm_timeout", "The model took too long"),
}
