"""Routes of agents and their messages."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response, StreamingResponse

from letta_nb.server import doors
from letta_nb.server.answers import BODY, MODEL, problems, streams
from letta_nb.server.events import MessageTool
from letta_nb.server.memory import block_view, part_of
from letta_nb.server.routing import AgentId, NotFound, Paging, Served, find, paging
from letta_nb.server.schemas import AgentCreate, CancelRequest, MessagesRequest, MessageType, StreamRequest
from letta_nb.server.service import Service
from letta_nb.server.store import Order, Row, Thread
from letta_nb.server.wire import Event

router = APIRouter(prefix="/v1/agents", tags=["agents"])


@router.get("", responses=problems(404))
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
    return [_state(service, row) for row in rows[:limit]]


@router.post("", responses=problems(404, *BODY))
async def create_agent(service: Served, request: AgentCreate) -> Row:
    """Add an agent that runs on one of the served programs."""
    return service.roster.state(service.roster.create(request))


@router.get("/{agent_id}", responses=problems(404))
async def retrieve_agent(service: Served, agent_id: AgentId) -> Row:
    """One agent."""
    return _state(service, find(service.store, "agents", agent_id))


def _state(service: Service, agent: Row) -> Row:
    return service.roster.state(agent, service.approvals.pending(Thread(agent["id"])))


@router.delete("/{agent_id}", responses=problems(404))
async def delete_agent(service: Served, agent_id: AgentId) -> Row:
    """Delete an agent with its messages and runs."""
    find(service.store, "agents", agent_id)
    await service.forget(agent_id)
    return {"message": f"Agent id={agent_id} successfully deleted"}


@router.get("/{agent_id}/core-memory/blocks", responses=problems(404))
async def list_blocks(
    service: Served,
    agent_id: AgentId,
    before: str | None = None,
    after: str | None = None,
    limit: Annotated[int, Query(ge=1)] = 100,
    order: Order = "desc",
) -> list[Row]:
    """The agent's memory blocks, as they are now; the last made first."""
    find(service.store, "agents", agent_id)
    blocks = part_of(service.memory.blocks(agent_id), before=before, after=after, limit=limit, order=order)
    return [block_view(block) for block in blocks]


@router.get("/{agent_id}/core-memory/blocks/{block_label}", responses=problems(404))
async def retrieve_block(service: Served, agent_id: AgentId, block_label: str) -> Row:
    """One of the agent's memory blocks."""
    find(service.store, "agents", agent_id)
    for block in service.memory.blocks(agent_id):
        if block["label"] == block_label:
            return block_view(block)
    raise NotFound(f"No memory block of agent {agent_id} is labelled {block_label}")


@router.get("/{agent_id}/messages", responses=problems(404))
async def list_messages(
    service: Served,
    agent_id: AgentId,
    page: Annotated[Paging, paging(order="desc")],
    use_assistant_message: bool = True,
    assistant_message_tool_name: str = "send_message",
    assistant_message_tool_kwarg: str = "message",
    include_return_message_types: Annotated[list[MessageType] | None, Query()] = None,
    conversation_id: str | None = None,
) -> list[Event]:
    """The agent's messages, of all conversations or of one. `limit` counts messages; one may be several events."""
    find(service.store, "agents", agent_id)
    thread = "" if conversation_id == "default" else conversation_id
    rows = page.rows(service.store, "messages", agent_id=agent_id, conversation_id=thread)
    tool = MessageTool(use_assistant_message, assistant_message_tool_name, assistant_message_tool_kwarg)
    events = service.transcript.events(rows, tool)
    wanted = include_return_message_types
    return [event for event in events if wanted is None or event["message_type"] in wanted]


@router.post("/{agent_id}/messages/stream", response_class=StreamingResponse, responses=streams(404, 409, 503, *BODY))
async def stream_message(service: Served, agent_id: AgentId, request: StreamRequest) -> Response:
    """Send messages to the agent and stream what it does about them."""
    agent = find(service.store, "agents", agent_id)
    return doors.stream(service, agent, Thread(agent_id), request, run_type="send_message_streaming", lock=False)


@router.post("/{agent_id}/messages", response_class=StreamingResponse, responses=streams(*MODEL, *BODY, whole=True))
async def send_message(service: Served, agent_id: AgentId, request: MessagesRequest, raw: Request) -> Response:
    """Send messages to the agent: one answer with all that it does about them, or a stream if `streaming`."""
    doors.check_streaming(request, raw.headers)
    agent = find(service.store, "agents", agent_id)
    if request.streaming:
        return doors.stream(service, agent, Thread(agent_id), request, run_type="send_message", lock=False)
    return await doors.whole(service, agent, Thread(agent_id), request, run_type="send_message", lock=False)


@router.post("/{agent_id}/messages/cancel", responses=problems(404, 409, *BODY))
async def cancel_message(service: Served, agent_id: AgentId, request: CancelRequest | None = None) -> dict[str, str]:
    """Cancel runs of the agent that are going on."""
    find(service.store, "agents", agent_id)
    return service.cancel(agent_id, request.run_ids if request else None)
