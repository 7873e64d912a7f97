"""AsyncClient: the asynchronous shell over the flows and the Run that both clients share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Self, Unpack

import httpx

from letta_nb import events, history, sse
from letta_nb.answers import Given
from letta_nb.capabilities import ServerInfo
from letta_nb.connection import Connection, deadline_of, hurry, late, left_of
from letta_nb.entries import Change
from letta_nb.exchange import is_stream
from letta_nb.flows import Flow, Pause
from letta_nb.history import Pages, Since
from letta_nb.progress import acounted
from letta_nb.protocol import Agent, Messages, Parameters
from letta_nb.refusals import READ_MAX, read_so_far, unreachable
from letta_nb.run import Run
from letta_nb.stream import AsyncStream


class AsyncClient(Connection):
    """`Client` for asyncio, for scripts and servers: the same calls, awaited; lists are asynchronous iterators."""

    def __init__(self, base_url: str | None = None, api_key: str | None = None, **options: Any) -> None:
        super().__init__(base_url, api_key, **options)
        self._http = httpx.AsyncClient(**self._options)

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
    ) -> AsyncStream:
        """`Client.stream` for `async with` and `async for`."""
        return AsyncStream(self, *self._message(agent, messages, conversation, parameters, extra_body, record, make_do))

    def answer(self, run: Run, answers: Given, start: int | None = None) -> AsyncStream:
        """`Client.answer` for `async with` and `async for`."""
        return AsyncStream(self, *self._answers(run, answers, start))

    def attach(self, run_id: str, *, record: bool = True) -> AsyncStream:
        """The stream of a background run, from its beginning and on; of any other run, its messages so far."""
        return AsyncStream(self, *self._attach(run_id, record))

    async def cancel(self, agent: str, run_id: str | None = None, timeout: float | None = None) -> dict[str, Any]:
        """Ask the server to stop a run of the agent, its latest without `run_id`; returns its word on each."""
        agent_id = await self._call(self.flows.agent_id(agent))
        return await self._call(self.flows.cancel(agent_id, run_id), deadline_of(timeout))

    async def complete(self, run: Run, timeout: float | None = None) -> list[Change]:
        """Join what the stream left out and the server can tell (returns of calls made together, tokens and times of
        each step, how a broken run ended), within `timeout` s."""
        return run.join_server(
            await self._call(history.completion(self.flows, run), deadline_of(timeout)), run.ended_at
        )

    # -- the past ------------------------------------------------------------------------------------------------------

    async def runs(
        self,
        agent: str | None = None,
        *,
        since: Since | None = None,
        statuses: Sequence[str] | None = None,
        conversation: str | None = None,
        limit: int | None = None,
        progress: bool | None = None,
    ) -> AsyncIterator[Run]:
        """The server's runs as Runs, the latest first, fetched as they are asked for: all of them without `limit`.

        `since`: a time, a timedelta, or text such as "7d". `statuses`: the server's ("completed", "failed", ...).
        `progress`: a bar; by default where a pull takes long.
        """
        agent_id = None if agent is None else (await self._call(self.flows.agent(agent))).id
        pages = self._run_pages(agent_id, conversation, statuses, since, limit)
        async for row in acounted(self._rows(pages), "runs", limit, progress):
            yield await self._call(history.past_run(self.flows, row))

    async def run(self, run_id: str) -> Run:
        """One run of the server's, by its id, as far as it has come."""
        row = await self._call(history.run_row(self.flows, run_id))
        return await self._call(history.past_run(self.flows, row))

    async def messages(
        self,
        agent: str,
        *,
        conversation: str | None = None,
        limit: int | None = None,
        progress: bool | None = None,
    ) -> AsyncIterator[events.AnyEvent]:
        """All messages of an agent, or of one of its conversations, oldest first, typed, fetched as asked for."""
        agent_id = await self._call(self.flows.agent_id(agent))
        rows = self._rows(self._message_pages(agent_id, conversation, limit))
        async for row in acounted(rows, "messages", limit, progress):
            yield history.event_of(row)

    async def steps(self, run: str | Run) -> list[dict[str, Any]]:
        """The server's rows of a run's steps, in order, each with its metrics (`llm_request_ns`, ...) merged in."""
        return await self._call(history.steps_asked_for(self.flows, history.run_id_of(run)))

    async def _rows(self, pages: Pages) -> AsyncIterator[dict[str, Any]]:
        while (flow := pages.next()) is not None:
            for row in await self._call(flow):
                yield row

    # -- the server ----------------------------------------------------------------------------------------------------

    @property
    async def server(self) -> ServerInfo:
        """What the server is, as `Client.server`: `await client.server`."""
        return await self._call(self.flows.info())

    async def health(self) -> dict[str, Any]:
        """The server's version and status."""
        return await self._call(self.flows.health())

    async def agents(
        self, name: str | None = None, limit: int | None = None, timeout: float | None = None
    ) -> list[Agent]:
        """All agents, or those of one name."""
        return await self._call(self.flows.agents(name, limit), deadline_of(timeout))

    async def agent(self, agent: str) -> Agent:
        """One agent by id or name; AgentNotFound lists the names there are."""
        return await self._call(self.flows.agent(agent))

    # -- how it is carried ---------------------------------------------------------------------------------------------

    async def drive(self, flow: Flow, *, streaming: bool = False, deadline: float | None = None) -> Any:
        """Send a flow's requests one after the other; its value. `streaming`: leave event streams unread."""
        try:
            asked = next(flow)
            while True:
                if isinstance(asked, Pause):
                    await asyncio.sleep(asked.seconds)
                    asked = next(flow)
                    continue
                try:
                    response = await self._send(asked, streaming, deadline)
                except sse.BROKEN as problem:
                    asked = flow.throw(problem)  # a flow may make do with what it has
                    continue
                asked = flow.send(response)
        except StopIteration as result:
            return result.value

    async def _send(self, request: httpx.Request, streaming: bool, deadline: float | None) -> httpx.Response:
        hurry(request, deadline)
        try:
            async with asyncio.timeout(left_of(deadline)):
                response = await self._http.send(request, stream=streaming)
                return await _read(response) if streaming and not is_stream(response) else response
        except TimeoutError:
            raise late(request) from None

    async def _call(self, flow: Flow, deadline: float | None = None) -> Any:
        try:
            return await self.drive(flow, deadline=deadline)
        except sse.BROKEN as problem:
            raise unreachable(self.flows.base_url, problem) from None

    async def aclose(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()


async def _read(response: httpx.Response) -> httpx.Response:
    """An answer that is no event stream, read as far as it goes."""
    body = bytearray()
    try:
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > READ_MAX:
                break
    except sse.BROKEN:
        if response.is_success:
            raise
    finally:
        await response.aclose()
    return read_so_far(response, bytes(body))
