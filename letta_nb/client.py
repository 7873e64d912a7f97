"""Client and AsyncClient: two thin shells, one blocking and one asynchronous, over the same flows and the same Run.

A POST is sent once, whatever happens: a message that may have been delivered is never delivered again.
"""

from __future__ import annotations

import socket
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, Self, Unpack, cast

import httpx

from letta_nb import events, protocol, sse
from letta_nb.entries import Change, RunChanged, RunError
from letta_nb.errors import LettaNbError
from letta_nb.log import Received
from letta_nb.protocol import Agent, Flow, Messages, Parameters
from letta_nb.run import Run

# Modern servers ping every 20 to 50 s and old ones give up after 10 min: longer silence means that nobody is there.
SILENCE = 660.0


class _Stream:
    """What both streams share: the request, the Run, the clock, and what the end of the connection means."""

    def __init__(self, flows: protocol.Flows, agent: str, body: dict[str, Any], *, record: bool) -> None:
        self.run = Run(body, server=protocol.shown(flows.base_url), record=record)
        self.changes: list[Change] = []
        self._flows = flows
        self._agent = agent
        self._start = time.monotonic_ns()
        self._response: httpx.Response | None = None
        # set by whoever asked the server to stop: an end without the server's word is then no accident
        self.cancelled = False

    def elapsed(self) -> int:
        """ns since the request was sent."""
        return time.monotonic_ns() - self._start

    def shutdown(self) -> None:
        """End the connection from another thread: a read that blocks returns at once. This alone is no cancel."""
        stream = self._response.extensions.get("network_stream") if self._response is not None else None
        connection = stream.get_extra_info("socket") if stream is not None else None
        if connection is not None:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _opening(self) -> Flow:
        """Find the agent, send the message; the response is checked but not read."""
        run, flows = self.run, self._flows
        run.agent_id = yield from flows.agent_id(self._agent)
        known = flows.known.get(run.agent_id or "")
        if known is not None:
            run.agent_name, run.model = known.name, known.model_name
        run.started, self._start = protocol.now(), time.monotonic_ns()
        self.changes = [RunChanged(0, ("agent", "model", "started"))]
        response = self._response = yield flows.stream(cast(str, run.agent_id), cast("dict[str, Any]", run.request))
        return response.is_success and _is_stream(response)

    def _take(self, message: sse.Message) -> events.AnyEvent:
        event, self.changes = self.run.receive(Received(time.monotonic_ns() - self._start, *message))
        return event

    def _over(self, problem: Exception | None) -> None:
        at = self.elapsed()
        after = f"after {at / 1e9:.2f} s, before the run ended."
        if problem is None:
            error = RunError("connection_closed", f"The connection closed {after}")
        elif isinstance(problem, httpx.ReadTimeout):
            error = RunError("silence", "Nothing arrived for too long, not even a ping.")
        else:
            error = RunError("connection_lost", f"The connection broke {after}", str(problem) or type(problem).__name__)
        self.changes = self.run.end(at, error, cancelled=self.cancelled)

    def _left(self) -> None:
        error = RunError("closed", "The stream was closed here before the run ended.")
        self.changes = self.run.end(self.elapsed(), error, cancelled=self.cancelled)

    def _refused(self, problem: Exception) -> LettaNbError:
        error = problem if isinstance(problem, LettaNbError) else protocol.unreachable(self._flows.base_url, problem)
        error.run = self.run
        self.changes = self.run.fail(self.elapsed(), RunError(type(error).__name__, str(error)))
        return error

    def _verdict(self) -> LettaNbError:
        response = cast(httpx.Response, self._response)
        return protocol.not_a_stream(response) if response.is_success else protocol.refusal(response)


class Stream(_Stream):
    """A blocking stream of typed events: `with client.stream(...) as stream: for event in stream: ...`.

    Entering sends the request and raises a letta_nb error if it is refused. A stream that breaks later raises nothing:
    it ends, and `stream.run.status` says how. `stream.changes` is what the last event changed in `stream.run`.
    """

    def __init__(self, client: Client, agent: str, body: dict[str, Any], *, record: bool = True) -> None:
        super().__init__(client.flows, agent, body, record=record)
        self._client = client
        self._events = self._read()

    def __enter__(self) -> Self:
        try:
            if not self._client.drive(self._opening(), stream_last=True):
                cast(httpx.Response, self._response).read()
                raise self._verdict()
        except (*sse.BROKEN, LettaNbError) as problem:
            self.close()
            raise self._refused(problem) from None
        return self

    def __iter__(self) -> Iterator[events.AnyEvent]:
        return self._events

    def _read(self) -> Iterator[events.AnyEvent]:
        assert self._response is not None, "a stream is entered first: with client.stream(...) as stream"
        body = sse.body_of(self._response)
        for message in sse.decode(body):
            event = self._take(message)
            yield event
            if isinstance(event, events.Done):
                return
        self._over(body.problem)

    def close(self) -> None:
        """Close the connection. The run may go on at the server."""
        if self._response is not None:
            self._response.close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
        self._left()


class AsyncStream(_Stream):
    """`Stream` for asyncio: `async with client.stream(...) as stream: async for event in stream: ...`."""

    def __init__(self, client: AsyncClient, agent: str, body: dict[str, Any], *, record: bool = True) -> None:
        super().__init__(client.flows, agent, body, record=record)
        self._client = client
        self._events = self._read()

    async def __aenter__(self) -> Self:
        try:
            if not await self._client.drive(self._opening(), stream_last=True):
                await cast(httpx.Response, self._response).aread()
                raise self._verdict()
        except (*sse.BROKEN, LettaNbError) as problem:
            await self.aclose()
            raise self._refused(problem) from None
        return self

    def __aiter__(self) -> AsyncIterator[events.AnyEvent]:
        return self._events

    async def _read(self) -> AsyncIterator[events.AnyEvent]:
        assert self._response is not None, "a stream is entered first: async with client.stream(...) as stream"
        body = sse.body_of(self._response)
        async for message in sse.adecode(body):
            event = self._take(message)
            yield event
            if isinstance(event, events.Done):
                return
        self._over(body.problem)

    async def aclose(self) -> None:
        """Close the connection. The run may go on at the server."""
        if self._response is not None:
            await self._response.aclose()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()
        self._left()


class _Settings:
    """Address, headers and the options of httpx that both clients share."""

    def __init__(
        self,
        base_url: str | None = None,
        api_key: str | None = None,
        *,
        password: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = 30.0,
        silence: float | None = SILENCE,
    ) -> None:
        url, own = protocol.resolve(base_url, api_key, password)
        self.flows = protocol.Flows(url, {**own, **(headers or {})})
        self._options: dict[str, Any] = {
            # `read` bounds silence, not the run: pings reset it
            "timeout": httpx.Timeout(timeout, read=silence),
            # a server that closes idle connections must not meet a message on its way
            "limits": httpx.Limits(keepalive_expiry=2.0),
            # a proxy has no business between a notebook and its own machine
            "trust_env": not protocol.is_loopback(url),
            # a redirected POST would be a second POST, and headers would follow it
            "follow_redirects": False,
        }

    @property
    def base_url(self) -> str:
        """The server's address."""
        return protocol.shown(self.flows.base_url)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.base_url}>"


class Client(_Settings):
    """A connection to one server: a Letta server (0.6 to 0.16.8), Letta Cloud, or the embedded one.

    `base_url` and `api_key` default to LETTA_BASE_URL and LETTA_API_KEY; `password` is a self-hosted server's.
    `timeout` (s) bounds connecting and sending, `silence` (s) how long nothing at all may arrive. Raises only letta_nb
    errors.
    """

    def __init__(self, base_url: str | None = None, api_key: str | None = None, **options: Any) -> None:
        super().__init__(base_url, api_key, **options)
        self._http = httpx.Client(**self._options)

    def stream(
        self,
        agent: str,
        messages: Messages,
        *,
        extra_body: Mapping[str, Any] | None = None,
        record: bool = True,
        **parameters: Unpack[Parameters],
    ) -> Stream:
        """Send `messages` (a string, or a list as the endpoint takes it) to an agent, by id or name.

        Parameters are the endpoint's own (see `Parameters`); `stream_tokens` is true unless said otherwise.
        `record=False` keeps no events.
        """
        return Stream(self, agent, protocol.body_of(messages, parameters, extra_body), record=record)

    def drive(self, flow: Flow, *, stream_last: bool = False, deadline: float | None = None) -> Any:
        """Send a flow's requests one after the other; its value. `stream_last`: leave event streams unread."""
        try:
            request = next(flow)
            while True:
                _hurry(request, deadline)
                response = self._http.send(request, stream=stream_last)
                if stream_last and "text/event-stream" not in request.headers.get("accept", ""):
                    response.read()
                request = flow.send(response)
        except StopIteration as result:
            return result.value

    def _call(self, flow: Flow, deadline: float | None = None) -> Any:
        try:
            return self.drive(flow, deadline=deadline)
        except sse.BROKEN as problem:
            raise protocol.unreachable(self.flows.base_url, problem) from None

    def health(self) -> dict[str, Any]:
        """The server's version and status."""
        return self._call(self.flows.health())

    def agents(self, name: str | None = None, limit: int | None = None) -> list[Agent]:
        """All agents, or those of one name."""
        return self._call(self.flows.agents(name, limit))

    def agent(self, agent: str) -> Agent:
        """One agent by id or name; AgentNotFound lists the names there are."""
        return self._call(self.flows.agent(agent))

    def cancel(self, agent: str, run_id: str | None = None) -> dict[str, Any]:
        """Ask the server to stop a run of the agent (all its runs without `run_id`); returns its word on each."""
        return self._call(self.flows.cancel(self._call(self.flows.agent_id(agent)), run_id))

    def complete(self, run: Run, timeout: float | None = None) -> list[Change]:
        """Join what the stream leaves out and the server can tell (tokens, times of each step), within `timeout` s."""
        if run.run_id is None or not run.steps:
            return []
        return run.join_server_steps(self._call(self.flows.step_rows(run.run_id), _deadline(timeout)), run.ended_at)

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class AsyncClient(_Settings):
    """`Client` for asyncio, for scripts and servers: the same calls, awaited."""

    def __init__(self, base_url: str | None = None, api_key: str | None = None, **options: Any) -> None:
        super().__init__(base_url, api_key, **options)
        self._http = httpx.AsyncClient(**self._options)

    def stream(
        self,
        agent: str,
        messages: Messages,
        *,
        extra_body: Mapping[str, Any] | None = None,
        record: bool = True,
        **parameters: Unpack[Parameters],
    ) -> AsyncStream:
        """`Client.stream` for `async with` and `async for`."""
        return AsyncStream(self, agent, protocol.body_of(messages, parameters, extra_body), record=record)

    async def drive(self, flow: Flow, *, stream_last: bool = False, deadline: float | None = None) -> Any:
        """`Client.drive`, awaited."""
        try:
            request = next(flow)
            while True:
                _hurry(request, deadline)
                response = await self._http.send(request, stream=stream_last)
                if stream_last and "text/event-stream" not in request.headers.get("accept", ""):
                    await response.aread()
                request = flow.send(response)
        except StopIteration as result:
            return result.value

    async def _call(self, flow: Flow, deadline: float | None = None) -> Any:
        try:
            return await self.drive(flow, deadline=deadline)
        except sse.BROKEN as problem:
            raise protocol.unreachable(self.flows.base_url, problem) from None

    async def health(self) -> dict[str, Any]:
        """The server's version and status."""
        return await self._call(self.flows.health())

    async def agents(self, name: str | None = None, limit: int | None = None) -> list[Agent]:
        """All agents, or those of one name."""
        return await self._call(self.flows.agents(name, limit))

    async def agent(self, agent: str) -> Agent:
        """One agent by id or name; AgentNotFound lists the names there are."""
        return await self._call(self.flows.agent(agent))

    async def cancel(self, agent: str, run_id: str | None = None) -> dict[str, Any]:
        """Ask the server to stop a run of the agent (all its runs without `run_id`); returns its word on each."""
        return await self._call(self.flows.cancel(await self._call(self.flows.agent_id(agent)), run_id))

    async def complete(self, run: Run, timeout: float | None = None) -> list[Change]:
        """Join what the stream leaves out and the server can tell (tokens, times of each step), within `timeout` s."""
        if run.run_id is None or not run.steps:
            return []
        rows = await self._call(self.flows.step_rows(run.run_id), _deadline(timeout))
        return run.join_server_steps(rows, run.ended_at)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()


def _deadline(timeout: float | None) -> float | None:
    return None if timeout is None else time.monotonic() + timeout


def _hurry(request: httpx.Request, deadline: float | None) -> None:
    """Bound a request by what is left until the deadline."""
    if deadline is None:
        return
    left = deadline - time.monotonic()
    if left <= 0:
        raise httpx.ReadTimeout("the time allowed for all requests is over")
    request.extensions["timeout"] = httpx.Timeout(left).as_dict()


def _is_stream(response: httpx.Response) -> bool:
    return response.headers.get("content-type", "").partition(";")[0].strip().lower() == "text/event-stream"
