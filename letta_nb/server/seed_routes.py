"""Routes of the seed era where they differ from today's, and which of today's it did not have."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import Response, StreamingResponse

from letta_nb.server import doors
from letta_nb.server.answers import BODY, MODEL, problems, streams
from letta_nb.server.eras import Seed
from letta_nb.server.events import MessageTool
from letta_nb.server.routing import AgentId, NotFound, Served
from letta_nb.server.schemas import SeedRequest
from letta_nb.server.service import Service
from letta_nb.server.store import Row, Thread
from letta_nb.server.wire import Event

router = APIRouter(prefix="/v1/agents", tags=["agents"])

# came with later versions
LATER = {
    ("POST", "/v1/agents/{agent_id}/messages/cancel"),
    ("POST", "/v1/runs/{run_id}/stream"),
    ("GET", "/v1/runs/{run_id}/metrics"),
    ("GET", "/v1/steps/{step_id}/metrics"),
    ("GET", "/v1/steps/{step_id}/messages"),
}


@router.post("/{agent_id}/messages/stream", response_class=StreamingResponse, responses=streams(404, *BODY))
async def stream_message(service: Served, agent_id: AgentId, request: SeedRequest) -> Response:
    """Send messages to the agent and stream what it does about them."""
    agent = _agent(service, agent_id)
    sent = request.modern().model_copy(update={"include_pings": False})
    return doors.stream(service, agent, Thread(agent_id), sent, run_type="send_message_streaming", lock=False)


@router.post("/{agent_id}/messages", responses=problems(*MODEL, *BODY))
async def send_message(service: Served, agent_id: AgentId, request: SeedRequest) -> Response:
    """Send messages to the agent: one answer with all that it does about them."""
    agent = _agent(service, agent_id)
    return await doors.whole(service, agent, Thread(agent_id), request.modern(), run_type="send_message", lock=False)


@router.get("/{agent_id}/messages", responses=problems(404))
async def list_messages(
    service: Served,
    agent_id: AgentId,
    after: str | None = None,
    before: str | None = None,
    limit: Annotated[int, Query(ge=1)] = 10,
    use_assistant_message: bool = True,
    assistant_message_tool_name: str = "send_message",
    assistant_message_tool_kwarg: str = "message",
) -> list[Event]:
    """The agent's messages, oldest first; without a cursor the last ones."""
    agent = _agent(service, agent_id)
    store = service.store
    if after or before:
        rows = store.page("messages", order="asc", after=after, before=before, limit=limit, agent_id=agent_id)
    else:
        rows = store.page("messages", order="desc", limit=limit, agent_id=agent_id)[::-1]
    tool = MessageTool(use_assistant_message, assistant_message_tool_name, assistant_message_tool_kwarg)
    return Seed(agent["name"]).listed(service.transcript.events(rows, tool))


def _agent(service: Service, agent_id: str) -> Row:
    row = service.store.get("agents", agent_id)
    if row is None:
        raise NotFound(f"Agent not found with id={agent_id}, access level in ['read'] for id='default_user'")
    return row
