"""What every door for messages does with a request: start or find its run, and answer with a stream or with JSON."""

from __future__ import annotations

import json
import re
from typing import Any

from fastapi import HTTPException
from fastapi.responses import JSONResponse, Response, StreamingResponse
from starlette.datastructures import Headers

from letta_nb.server import wire
from letta_nb.server.background import NO_REDIS
from letta_nb.server.failures import PendingApproval, RefusedInput, describe
from letta_nb.server.feed import Feed
from letta_nb.server.programs import Program
from letta_nb.server.runner import Run
from letta_nb.server.schemas import StreamRequest
from letta_nb.server.service import Service
from letta_nb.server.steps import Turn
from letta_nb.server.store import Row, Thread

EVENT_STREAM = "text/event-stream; charset=utf-8"
_SDK = re.compile(r"(@letta-ai/)?letta-client/1\.")


def stream(
    service: Service, agent: Row, thread: Thread, request: StreamRequest, *, run_type: str, lock: bool
) -> Response:
    """Answer with the events of the request's run."""
    program = _program(service, agent, request)
    if request.background:
        if not service.settings.background:
            raise HTTPException(503, NO_REDIS)
        otids = [item.otid for item in request.messages or ()]
        if (run_id := service.background.same_request(otids)) and (row := service.store.get("runs", run_id)):
            return follow(service, run_id, service.background.resume(row), pings=request.include_pings)
    turn = Turn(agent, thread, program, request, seed=service.settings.seed)
    run = service.start(turn, run_type=run_type, lock=lock)
    return follow(service, run.id, run.feed, pings=request.include_pings)


def follow(
    service: Service, run_id: str, feed: Feed, *, pings: bool, after: int = 0, batch: int | None = None
) -> StreamingResponse:
    """Answer with a feed's frames, those to come too."""

    def keepalive(seq_id: int) -> bytes:
        ping = wire.ping(run_id, seq_id if seq_id and feed.numbered else None)
        return b"".join(feed.speech.frames(ping, None))

    frames = feed.follow(service.settings.ping_interval, keepalive if pings else None, after=after, batch=batch or 100)
    return StreamingResponse(frames, media_type=EVENT_STREAM)


async def whole(
    service: Service, agent: Row, thread: Thread, request: StreamRequest, *, run_type: str, lock: bool
) -> Response:
    """Answer with all that the request's run said, when it is over."""
    program = _program(service, agent, request)
    quiet = request.model_copy(update={"include_pings": False, "stream_tokens": False, "background": False})
    turn = Turn(agent, thread, program, quiet, seed=service.settings.seed)
    run = service.start(turn, run_type=run_type, lock=lock)
    events = [_event(data) async for data in run.feed.follow(service.settings.ping_interval, None)]
    if run.error is not None:
        return _failure(run.error)
    return JSONResponse(_response([event for event in events if event], run, seed=turn.seed))


def check_streaming(request: StreamRequest, headers: Headers) -> None:
    """Raise the 422 that 0.16.8 gives on the door which can do both, unless the request and its sender fit."""
    if not request.messages:
        raise HTTPException(422, "Messages must not be empty")
    if request.streaming:
        if not _may_stream(headers):
            raise HTTPException(422, "streaming=true is only supported for SDK v1.0+ clients.")
        return
    wrong = {
        "stream_tokens can only be true when streaming=true": request.stream_tokens,
        "include_pings can only be set to false when streaming=true": not request.include_pings,
        "background can only be true when streaming=true": request.background,
    }
    if any(wrong.values()):
        raise HTTPException(
            422,
            f"Streaming options set without streaming enabled. {'; '.join(key for key in wrong if wrong[key])}. "
            "Either set streaming=true or use default values for streaming options.",
        )


def _may_stream(headers: Headers) -> bool:
    agent = headers.get("user-agent")
    return "x-stainless-package-version" in headers or not agent or _SDK.match(agent) is not None


def _program(service: Service, agent: Row, request: StreamRequest) -> Program:
    if unsupported := request.unsupported():
        names = ", ".join(unsupported)
        raise HTTPException(400, f"INVALID_ARGUMENT: the embedded server of letta_nb does not support: {names}")
    program = service.roster.program(agent, request.override_model)
    if program is None:
        raise HTTPException(400, f"The program {agent['program']!r} of this agent is not being served")
    return program


def _event(data: bytes) -> dict[str, Any] | None:
    text = data.decode().partition("data: ")[2].strip()
    return None if text == "[DONE]" else json.loads(text)


def _response(events: list[dict[str, Any]], run: Run, *, seed: bool) -> dict[str, Any]:
    said = [event for event in events if "id" in event]
    if seed:
        return {"messages": said, "usage": events[-1]}
    stop = next(event for event in events if event["message_type"] == "stop_reason")
    usage = run.record.usage_statistics()
    return {"messages": said, "stop_reason": stop, "usage": usage, "logprobs": None, "turns": None}


def _failure(error: Exception) -> JSONResponse:
    if isinstance(error, PendingApproval):
        detail = {"code": "PENDING_APPROVAL", "message": str(error), "pending_request_id": error.request_id}
        return JSONResponse({"detail": detail}, 409)
    if isinstance(error, RefusedInput):
        return JSONResponse({"detail": str(error)}, 400)
    failure = describe(error, after_events=False)
    if failure.error_type == "internal_error":
        return JSONResponse({"detail": "An unknown error occurred"}, 500)
    status = {"llm_rate_limit": 429, "llm_authentication": 401, "llm_timeout": 504}.get(failure.error_type, 502)
    told = {"type": failure.error_type, "message": failure.message, "detail": failure.detail}
    return JSONResponse({"error": told}, status)
