"""Routes of conversations: threads of one agent, each with its own history, each with one request at a time."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, HTTPException, Query
from fastapi.responses import Response, StreamingResponse

from letta_nb.server import doors, wire
from letta_nb.server.answers import BODY, MODEL, problems, streams
from letta_nb.server.events import MessageTool
from letta_nb.server.routing import ConversationId, NotFound, Paging, Served, ThreadId, find, paging
from letta_nb.server.schemas import ConversationCreate, ConversationRequest, ConversationResumeRequest, MessageType
from letta_nb.server.service import Service
from letta_nb.server.store import Row, Thread
from letta_nb.server.views import conversation_view
from letta_nb.server.wire import Event

router = APIRouter(prefix="/v1/conversations", tags=["conversations"])


@router.post("", responses=problems(404, *BODY))
async def create_conversation(service: Served, agent_id: str, request: ConversationCreate | None = None) -> Row:
    """A new conversation of an agent."""
    agent = find(service.store, "agents", agent_id)
    at = wire.utc_text()
    row: Row = {"id": wire.new_id("conv"), "agent_id": agent_id, "created_at": at, "updated_at": at}
    row |= {"summary": request.summary if request else None, "last_message_at": None}
    service.store.add("conversations", row)
    service.roster.open(agent, Thread(agent_id, row["id"]))
    return _view(service, row)


@router.get("", responses=problems(404))
async def list_conversations(
    service: Served,
    page: Annotated[Paging, paging(order="desc", limit=50)],
    agent_id: str | None = None,
    summary_search: str | None = None,
) -> list[Row]:
    """The conversations, newest first."""
    limit, page.limit = page.limit, -1
    rows = page.rows(service.store, "conversations", agent_id=agent_id)
    if summary_search:
        rows = [row for row in rows if summary_search.lower() in (row["summary"] or "").lower()]
    return [_view(service, row) for row in rows[:limit]]


@router.get("/{conversation_id}", responses=problems(404))
async def retrieve_conversation(service: Served, conversation_id: ConversationId) -> Row:
    """One conversation."""
    return _view(service, find(service.store, "conversations", conversation_id))


@router.get("/{conversation_id}/messages", responses=problems(404))
async def list_conversation_messages(
    service: Served,
    conversation_id: ThreadId,
    page: Annotated[Paging, paging(order="desc")],
    agent_id: str | None = None,
    include_return_message_types: Annotated[list[MessageType] | None, Query()] = None,
) -> list[Event]:
    """What was said in a conversation."""
    _, thread = _resolve(service, conversation_id, agent_id)
    rows = page.rows(service.store, "messages", **thread.columns)
    wanted = include_return_message_types
    events = service.transcript.events(rows, MessageTool())
    return [event for event in events if wanted is None or event["message_type"] in wanted]


@router.post(
    "/{conversation_id}/messages", response_class=StreamingResponse, responses=streams(*MODEL, *BODY, whole=True)
)
async def send_conversation_message(
    service: Served, conversation_id: ThreadId, request: ConversationRequest
) -> Response:
    """Send messages to a conversation: a stream, or one answer if `streaming` is false."""
    if not request.messages:
        raise HTTPException(422, "Messages must not be empty")
    agent, thread = _resolve(service, conversation_id, request.agent_id)
    service.store.update("conversations", thread.conversation_id, last_message_at=wire.utc_text())
    run_type = "send_conversation_message" if thread.conversation_id else "send_message"
    if request.streaming:
        return doors.stream(service, agent, thread, request, run_type=run_type, lock=True)
    return await doors.whole(service, agent, thread, request, run_type=run_type, lock=True)


@router.post("/{conversation_id}/cancel", responses=problems(404, 409))
async def cancel_conversation(
    service: Served, conversation_id: ThreadId, agent_id: str | None = None
) -> dict[str, str]:
    """Cancel what goes on in a conversation."""
    return service.cancel_thread(_resolve(service, conversation_id, agent_id)[1])


@router.post("/{conversation_id}/stream", response_class=StreamingResponse, responses=streams(404, 410, 503, *BODY))
async def stream_conversation(
    service: Served, conversation_id: ThreadId, request: ConversationResumeRequest | None = None
) -> Response:
    """The stream of the background run that goes on in a conversation, or of the one that is named."""
    asked = request or ConversationResumeRequest()
    run = _find_run(service, conversation_id, asked)
    feed = service.background.resume(run)
    pings = asked.include_pings is not False
    return doors.follow(service, run["id"], feed, pings=pings, after=asked.starting_after, batch=asked.batch_size)


def _find_run(service: Service, conversation_id: str, asked: ConversationResumeRequest) -> Row:
    if asked.run_id:
        return find(service.store, "runs", asked.run_id)
    if asked.otid:
        if run_id := service.background.named(asked.otid):
            return find(service.store, "runs", run_id)
        raise NotFound(f"No run found for otid={asked.otid}. The run may have expired or never existed.")
    _, thread = _resolve(service, conversation_id, asked.agent_id)
    if rows := service.store.page("runs", **thread.columns, status="running", order="desc", limit=1):
        return rows[0]
    raise HTTPException(400, "INVALID_ARGUMENT: No active runs found for this conversation.")


def _resolve(service: Service, conversation_id: str, agent_id: str | None) -> tuple[Row, Thread]:
    """The agent and the thread that are meant: `default` with an agent's id, or that id alone, is the agent's own."""
    if conversation_id == "default" and agent_id:
        conversation_id = agent_id
    if conversation_id.startswith("conv-"):
        row = find(service.store, "conversations", conversation_id)
        return find(service.store, "agents", row["agent_id"]), Thread(row["agent_id"], conversation_id)
    if conversation_id == "default":
        raise NotFound("The conversation 'default' needs an agent_id")
    return find(service.store, "agents", conversation_id), Thread(conversation_id)


def _view(service: Service, row: Row) -> Row:
    said = service.store.page("messages", agent_id=row["agent_id"], conversation_id=row["id"])
    return conversation_view(row, [message["id"] for message in said])
