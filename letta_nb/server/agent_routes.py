"""Routes of agents and their messages."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, HTTPException, Query
from fastapi.responses import StreamingResponse

from letta_nb.server import wire
from letta_nb.server.events import MessageTool
from letta_nb.server.feed import frame
from letta_nb.server.routing import AgentId, Paging, Served, find, paging
from letta_nb.server.schemas import AgentCreate, CancelRequest, StreamRequest
from letta_nb.server.store import Row
from letta_nb.server.wire import Event

router = APIRouter(prefix="/v1/agents", tags=["agents"])


@router.get("")
async def list_agents(
    service: Served,
    page: Annotated[Paging, paging(order="desc", limit=50)],
    name: str | None = None,
    query_text: str | None = None,
    tags: Annotated[list[str] | None, Query()] = None,
    match_all_tags: bool = False,
) -> list[Row]:
    """The agents, newest first."""
    limit, page.limit = page.limit, -1
    rows = page.rows(service.store, "agents", name=name)
    if query_text:
        rows = [row for row in rows if query_text.lower() in row["name"].lower()]
    if tags:
        enough = all if match_all_tags else any
        rows = [row for row in rows if enough(tag in row["tags"] for tag in tags)]
    return [service.roster.state(row) for row in rows[:limit]]


@router.post("")
async def create_agent(service: Served, request: AgentCreate) -> Row:
    """Add an agent that runs on one of the served programs."""
    return service.roster.state(service.roster.create(request))


@router.get("/{agent_id}")
async def retrieve_agent(service: Served, agent_id: AgentId) -> Row:
    """One agent."""
    return service.roster.state(find(service.store, "agents", agent_id))


@router.delete("/{agent_id}")
async def delete_agent(service: Served, agent_id: AgentId) -> Row:
    """Delete an agent with its messages and runs."""
    find(service.store, "agents", agent_id)
    await service.forget(agent_id)
    return {"message": f"Agent id={agent_id} successfully deleted"}


@router.get("/{agent_id}/messages")
async def list_messages(
    service: Served,
    agent_id: AgentId,
    page: Annotated[Paging, paging(order="desc")],
    use_assistant_message: bool = True,
    assistant_message_tool_name: str = "send_message",
    assistant_message_tool_kwarg: str = "message",
    include_return_message_types: Annotated[list[str] | None, Query()] = None,
) -> list[Event]:
    """The agent's messages. `limit` counts messages, and a message may be several events."""
    find(service.store, "agents", agent_id)
    rows = page.rows(service.store, "messages", agent_id=agent_id)
    tool = MessageTool(use_assistant_message, assistant_message_tool_name, assistant_message_tool_kwarg)
    events = service.transcript.events(rows, tool)
    wanted = include_return_message_types
    return [event for event in events if wanted is None or event["message_type"] in wanted]


@router.post("/{agent_id}/messages/stream", response_class=StreamingResponse)
async def stream_message(service: Served, agent_id: AgentId, request: StreamRequest) -> StreamingResponse:
    """Send messages to the agent and stream what it does about them."""
    agent = find(service.store, "agents", agent_id)
    if unsupported := request.unsupported():
        names = ", ".join(unsupported)
        raise HTTPException(400, f"INVALID_ARGUMENT: the embedded server of letta_nb does not support: {names}")
    program = service.roster.program(agent)
    if program is None:
        raise HTTPException(400, f"The program {agent['program']!r} of this agent is not being served")
    run = service.start(agent, program, request)
    keepalive = (lambda: frame(wire.ping(run.id))) if request.include_pings else None
    frames = run.feed.follow(service.settings.ping_interval, keepalive)
    return StreamingResponse(frames, media_type="text/event-stream; charset=utf-8")


@router.post("/{agent_id}/messages/cancel")
async def cancel_message(service: Served, agent_id: AgentId, request: CancelRequest | None = None) -> dict[str, str]:
    """Cancel runs of the agent that are going on."""
    find(service.store, "agents", agent_id)
    return service.cancel(agent_id, request.run_ids if request else None)
