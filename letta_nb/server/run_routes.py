"""Routes for analysis: runs, steps, their messages, tokens and times."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import Response, StreamingResponse

from letta_nb.server import doors
from letta_nb.server.answers import BODY, problems, streams
from letta_nb.server.events import MessageTool
from letta_nb.server.routing import NotFound, Paging, RunId, Served, StepId, find, paging
from letta_nb.server.schemas import ResumeRequest
from letta_nb.server.service import Service
from letta_nb.server.store import Row, Wanted
from letta_nb.server.views import run_metrics_view, run_view, step_metrics_view, step_view, usage_view
from letta_nb.server.wire import Event

router = APIRouter(prefix="/v1", tags=["runs"])


@router.get("/runs", responses=problems(404))
async def list_runs(
    service: Served,
    page: Annotated[Paging, paging(order="desc")],
    agent_id: str | None = None,
    agent_ids: Annotated[list[str] | None, Query()] = None,
    statuses: Annotated[list[str] | None, Query()] = None,
    stop_reason: str | None = None,
    background: bool | None = None,
    conversation_id: str | None = None,
    active: bool = False,
) -> list[Row]:
    """The runs, newest first."""
    agents = [agent_id] if agent_id else agent_ids
    wanted = ["running"] if active else statuses
    equal: dict[str, Wanted] = {"agent_id": agents, "status": wanted, "stop_reason": stop_reason}
    equal["background"] = None if background is None else int(background)
    rows = page.rows(service.store, "runs", **equal, conversation_id=conversation_id)
    return [run_view(row) for row in rows]


@router.get("/runs/{run_id}", responses=problems(404))
async def retrieve_run(service: Served, run_id: RunId) -> Row:
    """One run."""
    return run_view(find(service.store, "runs", run_id))


@router.post("/runs/{run_id}/stream", response_class=StreamingResponse, responses=streams(404, 410, 503, *BODY))
async def stream_run(service: Served, run_id: RunId, request: ResumeRequest | None = None) -> Response:
    """A background run's stream, from where the reader left it on."""
    asked = request or ResumeRequest()
    feed = service.background.resume(_find_run(service, run_id))
    pings = asked.include_pings is not False
    return doors.follow(service, run_id, feed, pings=pings, after=asked.starting_after, batch=asked.batch_size)


def _find_run(service: Service, run_id: str) -> Row:
    row = service.store.get("runs", run_id)
    if row is None:
        raise NotFound(f"Run not found with id='['{run_id}']', access level in ['read'] for actor='default_user'")
    return row


@router.get("/runs/{run_id}/messages", responses=problems(404))
async def list_run_messages(
    service: Served, run_id: RunId, page: Annotated[Paging, paging(order="asc")]
) -> list[Event]:
    """What was said in a run, the user's words too."""
    find(service.store, "runs", run_id)
    return list(service.transcript.events(page.rows(service.store, "messages", run_id=run_id), MessageTool()))


@router.get("/runs/{run_id}/steps", responses=problems(404))
async def list_run_steps(service: Served, run_id: RunId, page: Annotated[Paging, paging(order="desc")]) -> list[Row]:
    """A run's steps, the last first."""
    find(service.store, "runs", run_id)
    return [step_view(row) for row in page.rows(service.store, "steps", run_id=run_id)]


@router.get("/runs/{run_id}/usage", responses=problems(404))
async def retrieve_run_usage(service: Served, run_id: RunId) -> Row:
    """A run's tokens."""
    find(service.store, "runs", run_id)
    return usage_view(service.store.page("steps", run_id=run_id))


@router.get("/runs/{run_id}/metrics", responses=problems(404))
async def retrieve_run_metrics(service: Served, run_id: RunId) -> Row:
    """A run's times."""
    row = find(service.store, "runs", run_id)
    return run_metrics_view(row, len(service.store.page("steps", run_id=run_id)))


@router.get("/steps/{step_id}", responses=problems(404))
async def retrieve_step(service: Served, step_id: StepId) -> Row:
    """One step."""
    return step_view(find(service.store, "steps", step_id))


@router.get("/steps/{step_id}/metrics", responses=problems(404))
async def retrieve_step_metrics(service: Served, step_id: StepId) -> Row:
    """A step's times."""
    return step_metrics_view(find(service.store, "steps", step_id))


@router.get("/steps/{step_id}/messages", responses=problems(404))
async def list_step_messages(
    service: Served, step_id: StepId, page: Annotated[Paging, paging(order="asc")]
) -> list[Event]:
    """What was said in a step."""
    find(service.store, "steps", step_id)
    return list(service.transcript.events(page.rows(service.store, "messages", step_id=step_id), MessageTool()))
