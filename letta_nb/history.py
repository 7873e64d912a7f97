"""The past, as a server keeps it: lists page by page, past runs as Runs, and what completes a run after its stream.

Cursors are ids: the next page begins after the last id of the one before. A page of messages counts database rows, and
a row may be several events with one id, so that only a page with nothing new is the last.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from letta_nb import errors, events, memory, prices, sse
from letta_nb.addresses import shown
from letta_nb.entries import RunError
from letta_nb.errors import PendingApproval
from letta_nb.fetched import ENDED
from letta_nb.flows import Flow, Flows, answer_of, segment
from letta_nb.log import Received
from letta_nb.protocol import Agent, now
from letta_nb.run import Run

Since = str | timedelta | datetime
_SINCE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([smhdw])\s*")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_PAGE = 100
PENDING = "waiting for approval"
RUN_STATUSES = ("created", "running", *ENDED)


class Pages:
    """A list of the server's: `next()` is the flow of a page's new rows, None when all have come.

    Servers do not agree on which cursor leads on: 0.16.8 has `after` and `before` of its runs the wrong way round. So
    the documented one is tried first, and the other where it brings nothing new, or what is newer.
    """

    def __init__(
        self,
        flows: Flows,
        path: str,
        parameters: Mapping[str, Any],
        *,
        limit: int | None = None,
        since: datetime | None = None,
        rows_are_items: bool = True,
    ) -> None:
        if limit is not None and (not isinstance(limit, int) or limit < 0):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise errors.InputError(f"limit must be 0 or more, a whole number, not {limit!r:.80}")
        self._flows = flows
        self._path = path
        self._parameters = {name: value for name, value in parameters.items() if value is not None}
        self._left = limit
        self._since = since
        self._rows_are_items = rows_are_items
        self._seen: set[str] = set()
        self._last: dict[str, Any] | None = None
        self._cursors = ["after", "before"] if parameters.get("order") == "desc" else ["after"]
        self._over = limit == 0

    def next(self) -> Flow | None:
        """The next page, or None after the last."""
        return None if self._over else self._page()

    def _page(self) -> Flow:
        size = min(self._left or _PAGE, _PAGE) if self._rows_are_items else _PAGE
        page, fresh = yield from self._ask(size, {})
        if self._last is not None:
            while len(self._cursors) > 1 and not self._leads_on(fresh):
                self._cursors.pop(0)
                page, fresh = yield from self._ask(size, {})
            if fresh:
                self._cursors = self._cursors[:1]
        named = [row for row in fresh if _id(row)]
        self._over = not named or (self._rows_are_items and len(page) < size)
        self._seen.update(_id(row) for row in named)
        self._last = named[-1] if named else None
        return self._wanted(fresh)

    def _ask(self, size: int, parameters: dict[str, Any]) -> Flow:
        if self._last is not None:
            parameters[self._cursors[0]] = _id(self._last)
        found = yield from self._flows.json("GET", self._path, params={**self._parameters, **parameters, "limit": size})
        page = rows_of(found)
        ids = {_id(row) for row in page} - {""}
        if ids and ids <= self._seen:
            return page, []  # a server that does not know the cursor sends the same page again
        return page, [row for row in page if _id(row) not in self._seen]

    def _leads_on(self, fresh: list[dict[str, Any]]) -> bool:
        """Whether these follow the last row: there are some, and none was made after it."""
        last = _time((self._last or {}).get("created_at"))
        times = [_time(row.get("created_at")) for row in fresh]
        return bool(fresh) and not (last and any(time is not None and time > last for time in times))

    def _wanted(self, fresh: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if self._since is not None:
            recent = [row for row in fresh if (_time(row.get("created_at")) or self._since) >= self._since]
            self._over = self._over or len(recent) < len(fresh)
            fresh = recent
        if self._left is not None:
            fresh = fresh[: self._left]
            self._left -= len(fresh)
            self._over = self._over or self._left == 0
        return fresh


def _id(row: Mapping[str, Any]) -> str:
    """The id of a row, "" where it has none: such a row leads nowhere, but it is there."""
    return _text(row.get("id")) or ""


def rows_of(value: Any) -> list[dict[str, Any]]:
    """The objects in a list of the server's."""
    return [row for row in cast("list[Any]", value) if isinstance(row, dict)] if isinstance(value, list) else []


def everything(pages: Pages) -> Flow:
    """All rows of a list, at once."""
    rows: list[dict[str, Any]] = []
    while (page := pages.next()) is not None:
        rows += yield from page
    return rows


def since_of(since: Since | None) -> datetime | None:
    """A time, from a time, a timedelta before now, or text such as "7d", "12h", "2026-11-01"."""
    if since is None or isinstance(since, datetime):
        return since if since is None or since.tzinfo else since.replace(tzinfo=UTC)
    try:
        if isinstance(since, timedelta):
            return now() - since
        if match := isinstance(since, str) and _SINCE.fullmatch(since):  # pyright: ignore[reportUnnecessaryIsInstance]
            return now() - timedelta(**{_UNITS[match[2]]: float(match[1])})
    except OverflowError:
        raise errors.InputError(f"since={since!r:.80} is before any calendar. Leave it out for all runs.") from None
    if (time := _time(since)) is not None:
        return time
    raise errors.InputError(
        f'since={since!r} is no time. Say "7d", "12h", "30m", a date such as "2026-11-01", or a datetime.'
    )


def _time(text: Any) -> datetime | None:
    """A server's time; some have no offset, and mean UTC."""
    try:
        time = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def statuses_of(statuses: str | Sequence[str] | None) -> list[str] | None:
    """The statuses of runs that a server is asked for. Raises InputError for one that it would find none of."""
    wanted = [statuses] if isinstance(statuses, str) else list(statuses or ())
    for status in wanted:
        if status not in RUN_STATUSES:
            raise errors.InputError(
                f"A server has no runs of status {status!r:.80}. Its statuses are {', '.join(RUN_STATUSES)}."
            )
    return wanted or None


def event_of(row: Mapping[str, Any]) -> events.AnyEvent:
    """A message of a list as the typed event that it is."""
    return events.parse(json.dumps(row, ensure_ascii=False, separators=(",", ":")))


def run_id_of(run: str | Run) -> str:
    """The server's id of a run. Raises InputError."""
    if not isinstance(run, Run):
        return checked_id(run)
    if run.run_id is None:
        raise errors.InputError("This run has no run_id: its server gave it none, or nothing was sent.")
    return run.run_id


def checked_id(run_id: str) -> str:
    """The id of a run, if it can be one. Raises InputError."""
    if isinstance(run_id, Run):
        raise errors.InputError(f"The id of a run is asked for, not the run itself: pass {run_id_of(run_id)!r}.")
    if not isinstance(run_id, str) or not run_id.strip():  # pyright: ignore[reportUnnecessaryIsInstance]
        raise errors.InputError(f'A run is named by its id, such as "run-...", not by {run_id!r:.80}.')
    return run_id


# -- one run -----------------------------------------------------------------------------------------------------------


def run_row(flows: Flows, run_id: str) -> Flow:
    """`/v1/runs/{id}`."""
    return answer_of((yield from flows.json("GET", f"/v1/runs/{segment(checked_id(run_id))}")))


def messages_of_run(flows: Flows, run_id: str) -> Flow:
    """All messages of a run, the user's too, oldest first."""
    pages = Pages(flows, f"/v1/runs/{segment(run_id)}/messages", {"order": "asc"}, rows_are_items=False)
    return (yield from everything(pages))


def step_rows(flows: Flows, run_id: str) -> Flow:
    """The rows of a run's steps, oldest first, each with its metrics merged in; [] where the server has none."""
    found = yield from flows.optional(f"/v1/runs/{segment(run_id)}/steps", params={"limit": 1000, "order": "asc"})
    rows = [row for row in rows_of(found) if isinstance(row.get("id"), str)]
    joined: list[dict[str, Any]] = []
    try:
        for row in rows:
            metrics = yield from flows.optional(f"/v1/steps/{segment(row['id'])}/metrics")
            joined.append({**row, **answer_of(metrics)})
    except sse.BROKEN:  # the time is over: what has come is worth having
        joined += rows[len(joined) :]
    return joined


def steps_asked_for(flows: Flows, run_id: str) -> Flow:
    """The steps of a run that somebody named: one that the server does not know is an error, not a run without."""
    rows = yield from step_rows(flows, run_id)
    if not rows:
        yield from run_row(flows, run_id)
    return rows


def past_run(flows: Flows, row: Mapping[str, Any]) -> Flow:
    """A run of the server's as a Run: its messages as events without times, its steps and its end by the server."""
    run_id = str(row.get("id"))
    messages = yield from messages_of_run(flows, run_id)
    steps = yield from step_rows(flows, run_id)
    agent = flows.known.get(str(row.get("agent_id")))
    run = as_run(row, messages, steps, agent, shown(flows.base_url))
    if run.pending:
        run.join_server({"pending": (yield from pending_requests(flows, str(run.agent_id)))}, run.ended_at)
    return run


def as_run(
    row: Mapping[str, Any],
    messages: list[dict[str, Any]],
    steps: list[dict[str, Any]],
    agent: Agent | None,
    server: str,
) -> Run:
    """The Run of what a server keeps. It has no arrival times; how long it took is the server's word."""
    began, ended = _time(row.get("created_at")), _time(row.get("completed_at"))
    run = Run(
        None,
        started=began,
        agent_id=_text(row.get("agent_id")),
        agent_name=agent.name if agent else None,
        model=agent.model_name if agent else None,
        provider=prices.provider_of(agent.llm_config, agent.model) if agent else None,
        conversation_id=_text(row.get("conversation_id")),
        server=server,
        timed=False,
        # the same run of the server is the same run here, whenever it is asked for
        uid=_text(row.get("id")),
    )
    run.run_id = run.legs[0].run_id = _text(row.get("id"))
    for message in messages:
        run.receive(Received(-1, "", json.dumps(message, ensure_ascii=False, separators=(",", ":"))))
    if row.get("status") in ENDED:
        took = round((ended - began).total_seconds() * 1e9) if began and ended else None
        run.end(took, RunError("unknown", "The server does not say how it ended."))
    run.join_server({"steps": steps, "run": dict(row)}, run.ended_at)
    return run


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


# -- after the stream --------------------------------------------------------------------------------------------------


def completion(flows: Flows, run: Run) -> Flow:
    """What the stream left out and the server can tell, as `Run.join_server` takes it. What fails is left out."""
    facts: dict[str, Any] = {}
    run_id = run.legs[-1].run_id
    try:
        if _met_pending(run) and run.agent_id is not None:
            facts["pending"] = yield from pending_requests(flows, run.agent_id)
            return facts
        if run.pending and run.legs[0].kind == "resume" and run.agent_id is not None:
            # an old run, shown once more, may have been answered long ago
            facts["pending"] = yield from pending_requests(flows, run.agent_id)
        if run_id is not None:
            if _end_is_unknown(run):
                facts["run"] = answer_of((yield from flows.optional(f"/v1/runs/{segment(run_id)}")))
            if _lacks_messages(run):
                facts["messages"] = yield from messages_of_run(flows, run_id)
            if run.steps or "messages" in facts:
                facts["steps"] = []
                # a call that was answered belongs to the step of the run that asked
                for asked in dict.fromkeys(leg.run_id for leg in run.legs if leg.run_id is not None):
                    facts["steps"] += yield from step_rows(flows, asked)
        if "memory" in run.fetched and run.agent_id is not None:
            after = yield from memory_blocks(flows, run.agent_id)
            facts["memory"] = after and {**run.fetched["memory"], "after": after}
    except (*sse.BROKEN, errors.LettaNbError):
        pass  # never fatal: the run is what was streamed, and what came until now
    return {name: answer for name, answer in facts.items() if answer or name == "pending"}


def memory_blocks(flows: Flows, agent_id: str) -> Flow:
    """The memory blocks of an agent as they are now; [] where there are none to have."""
    path = f"/v1/agents/{segment(agent_id)}/core-memory/blocks"
    return memory.kept((yield from flows.optional(path, params={"order": "asc"})))


def _end_is_unknown(run: Run) -> bool:
    """The stream did not say how the run ended; that a server agreed to cancel it does not say that it was in time."""
    return run.status == "interrupted" or (run.status == "cancelled" and run.stop_reason is None)


def _met_pending(run: Run) -> bool:
    error = run.error
    return error is not None and (
        error.type == PendingApproval.__name__ or PENDING in f"{error.message} {error.detail}"
    )


def _lacks_messages(run: Run) -> bool:
    """Whether something was not streamed: returns of calls made together, an answer, the end of a broken stream."""
    if run.status == "interrupted":
        return True
    waiting = [call for call in run.tool_calls if not call.has_returned and call.approval in (None, "approved")]
    return run.status == "completed" and bool(run.steps) and (bool(waiting) or not run.text)


def pending_requests(flows: Flows, agent_id: str) -> Flow:
    """The approval requests that an agent waits for an answer to."""
    # left out of the agent unless it is asked for
    parameters = {"include": "agent.pending_approval"}
    agent = answer_of((yield from flows.optional(f"/v1/agents/{segment(agent_id)}", params=parameters)))
    return rows_of([agent.get("pending_approval")])
