"""Client: the blocking shell over the flows and the Run that both clients share."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Self, Unpack

import httpx

from letta_nb import events, history, sse
from letta_nb.answers import Given
from letta_nb.capabilities import ServerInfo
from letta_nb.connection import Connection, deadline_of, hurry, late
from letta_nb.entries import Change
from letta_nb.errors import ConfigurationError, LettaNbError
from letta_nb.exchange import is_stream
from letta_nb.flows import Flow, Pause
from letta_nb.history import Pages, Since
from letta_nb.progress import counted
from letta_nb.protocol import Agent, Messages, Parameters
from letta_nb.refusals import READ_MAX, read_so_far, unreachable
from letta_nb.run import Run
from letta_nb.stream import Stream


class Client(Connection):
    """A connection to one server: a Letta server (0.6 to 0.16.8), Letta Cloud, or the embedded one.

    `base_url` and `api_key` default to LETTA_BASE_URL and LETTA_API_KEY; `password` is a self-hosted server's.
    `timeout` (s) bounds connecting and sending, `silence` (s) how long nothing at all may arrive. `door`: which of
    Letta's two message routes to try first. Raises only letta_nb errors.
    """

    def __init__(self, base_url: str | None = None, api_key: str | None = None, **options: Any) -> None:
        super().__init__(base_url, api_key, **options)
        self._http = httpx.Client(**self._options)

    # -- runs ----------------------------------------------------------------------------------------------------------

    def stream(
        self,
        agent: str,
        messages: Messages,
        *,
        conversation: str | None = None,
        extra_body: Mapping[str, Any] | None = None,
        record: bool = True,
        make_do: bool = False,
        **parameters: Unpack[Parameters],
    ) -> Stream:
        """Send `messages` (a string, or a list as the endpoint takes it) to an agent, by id or name.

        `conversation`: the id of one of the agent's conversations, "default", or "new" for one that is made for it.
        Parameters are the endpoint's own (see `Parameters`); `stream_tokens` is true unless said otherwise.
        `record=False` keeps no events. `make_do`: where the server keeps no streams of background runs, send it in the
        foreground; `stream.run.note` says so.
        """
        return Stream(self, *self._message(agent, messages, conversation, parameters, extra_body, record, make_do))

    def answer(self, run: Run, answers: Given, start: int | None = None) -> Stream:
        """Answer a run's approval requests; `stream.run` is `run`, which goes on with the answers.

        `answers`: True approves all pending calls, False denies them; else one for each by tool_call_id: True, False, a
        reason to deny, or the return of a tool that ran on this side (see `answers.given`). `start`: the run's zero on
        the monotonic clock (ns), if this process made it.
        """
        return Stream(self, *self._answers(run, answers, start))

    def attach(self, run_id: str, *, record: bool = True) -> Stream:
        """The stream of a background run, from its beginning and on; of any other run, its messages so far."""
        return Stream(self, *self._attach(run_id, record))

    def cancel(self, agent: str, run_id: str | None = None, timeout: float | None = None) -> dict[str, Any]:
        """Ask the server to stop a run of the agent, its latest without `run_id`; returns its word on each."""
        agent_id = self._call(self.flows.agent_id(agent))
        return self._call(self.flows.cancel(agent_id, run_id), deadline_of(timeout))

    def complete(self, run: Run, timeout: float | None = None) -> list[Change]:
        """Join what the stream left out and the server can tell (returns of calls made together, tokens and times of
        each step, how a broken run ended), within `timeout` s."""
        return run.join_server(self._call(history.completion(self.flows, run), deadline_of(timeout)), run.ended_at)

    def remember(self, run: Run, timeout: float = 0.5) -> None:
        """Keep the agent's memory blocks as they are before the run is sent, if the server tells them in `timeout` s.

        `complete` asks for them once more: `run.memory` has what changed.
        """
        with suppress(LettaNbError):
            before = self._call(history.memory_blocks(self.flows, str(run.agent_id)), deadline_of(timeout))
            if before:
                run.join_server({"memory": {"before": before}})

    # -- the past ------------------------------------------------------------------------------------------------------

    def runs(
        self,
        agent: str | None = None,
        *,
        since: Since | None = None,
        statuses: Sequence[str] | None = None,
        conversation: str | None = None,
        limit: int | None = None,
        progress: bool | None = None,
    ) -> Iterator[Run]:
        """The server's runs as Runs, the latest first, fetched as they are asked for: all of them without `limit`.

        `since`: a time, a timedelta, or text such as "7d". `statuses`: the server's ("completed", "failed", ...).
        `progress`: a bar; by default where a pull takes long.
        """
        agent_id = None if agent is None else self._call(self.flows.agent(agent)).id
        pages = self._run_pages(agent_id, conversation, statuses, since, limit)
        for row in counted(self._rows(pages), "runs", limit, progress):
            yield self._call(history.past_run(self.flows, row))

    def run(self, run_id: str) -> Run:
        """One run of the server's, by its id, as far as it has come."""
        row = self._call(history.run_row(self.flows, run_id))
        return self._call(history.past_run(self.flows, row))

    def messages(
        self,
        agent: str,
        *,
        conversation: str | None = None,
        limit: int | None = None,
        progress: bool | None = None,
    ) -> Iterator[events.AnyEvent]:
        """All messages of an agent, or of one of its conversations, oldest first, typed, fetched as asked for."""
        agent_id = self._call(self.flows.agent_id(agent))
        rows = self._rows(self._message_pages(agent_id, conversation, limit))
        return map(history.event_of, counted(rows, "messages", limit, progress))

    def steps(self, run: str | Run) -> list[dict[str, Any]]:
        """The server's rows of a run's steps, in order, each with its metrics (`llm_request_ns`, ...) merged in."""
        return self._call(history.steps_asked_for(self.flows, history.run_id_of(run)))

    def _rows(self, pages: Pages) -> Iterator[dict[str, Any]]:
        while (flow := pages.next()) is not None:
            yield from self._call(flow)

    # -- the server ----------------------------------------------------------------------------------------------------

    @property
    def server(self) -> ServerInfo:
        """What the server is: its version and what it can do, as it says itself. Asked once."""
        return self._call(self.flows.info())

    def health(self) -> dict[str, Any]:
        """The server's version and status."""
        return self._call(self.flows.health())

    def agents(self, name: str | None = None, limit: int | None = None, timeout: float | None = None) -> list[Agent]:
        """All agents, or those of one name."""
        return self._call(self.flows.agents(name, limit), deadline_of(timeout))

    def agent(self, agent: str) -> Agent:
        """One agent by id or name; AgentNotFound lists the names there are."""
        return self._call(self.flows.agent(agent))

    # -- how it is carried ---------------------------------------------------------------------------------------------

    def drive(self, flow: Flow, *, streaming: bool = False, deadline: float | None = None) -> Any:
        """Send a flow's requests one after the other; its value. `streaming`: leave event streams unread."""
        try:
            asked = next(flow)
            while True:
                if isinstance(asked, Pause):
                    time.sleep(asked.seconds)
                    asked = next(flow)
                    continue
                try:
                    response = self._send(asked, streaming, deadline)
                except sse.BROKEN as problem:
                    asked = flow.throw(problem)  # a flow may make do with what it has
                    continue
                asked = flow.send(response)
        except StopIteration as result:
            return result.value

    def _send(self, request: httpx.Request, streaming: bool, deadline: float | None) -> httpx.Response:
        if self._http.is_closed:
            raise ConfigurationError("This client was closed. letta_nb.connect(...) makes another.")
        hurry(request, deadline)
        if not streaming and deadline is None:
            return self._http.send(request)
        response = self._http.send(request, stream=True)
        if streaming and is_stream(response):
            return response
        hurry(request, deadline)
        return _read(response, READ_MAX if streaming else None, deadline)

    def _call(self, flow: Flow, deadline: float | None = None) -> Any:
        try:
            return self.drive(flow, deadline=deadline)
        except sse.BROKEN as problem:
            raise unreachable(self.flows.base_url, problem) from None

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _read(response: httpx.Response, most: int | None, deadline: float | None) -> httpx.Response:
    """An answer that is no event stream, read as far as it goes; a timeout bounds each read, the deadline all."""
    body = bytearray()
    try:
        for chunk in response.iter_bytes():
            body += chunk
            if most is not None and len(body) > most:
                break
            if deadline is not None and time.monotonic() > deadline:
                raise late(response.request)
    except sse.BROKEN:
        if response.is_success:
            raise
        # a refusal that is cut short is still that refusal
    finally:
        response.close()
    return read_so_far(response, bytes(body))
