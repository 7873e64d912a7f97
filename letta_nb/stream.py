"""A message on its way: what both streams share, and the two shells, one blocking and one asynchronous."""

from __future__ import annotations

import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

import httpx

from letta_nb import addresses, events, protocol, sse
from letta_nb.entries import Change, RunChanged, RunError
from letta_nb.errors import LettaNbError
from letta_nb.log import Received
from letta_nb.protocol import Flow
from letta_nb.run import Run

if TYPE_CHECKING:
    from letta_nb.client import AsyncClient, Client


class _Stream:
    """What both streams share: the request, the Run, the clock, and what the end of the connection means."""

    def __init__(self, flows: protocol.Flows, agent: str, body: dict[str, Any], *, record: bool) -> None:
        self.run = Run(body, server=addresses.shown(flows.base_url), record=record)
        self.changes: list[Change] = []
        self._flows = flows
        self._agent = agent
        self._start = time.monotonic_ns()
        self._response: httpx.Response | None = None
        # set by whoever asked the server to stop: an end without the server's word is then no accident
        self.cancelled = False
        self._shut = False
        self._entered = False

    def take(self) -> list[Change]:
        """The changes since this was last called."""
        changes, self.changes = self.changes, []
        return changes

    def elapsed(self) -> int:
        """ns since the request was sent."""
        return time.monotonic_ns() - self._start

    def shutdown(self) -> None:
        """End the connection from another thread: a read that blocks returns at once. This alone is no cancel."""
        self._shut = True  # if it is too early, `_opening` sees to it
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
        if self.cancelled:  # stopped before anything was sent: then nothing is
            self.changes = run.end(self.elapsed(), cancelled=True)
            return True
        run.started, self._start = protocol.now(), time.monotonic_ns()
        self.changes = [RunChanged(0, ("agent", "model", "started"))]
        response = self._response = yield flows.stream(cast(str, run.agent_id), cast("dict[str, Any]", run.request))
        if self._shut:
            self.shutdown()
        return response.is_success and _is_stream(response)

    def _enter(self) -> Flow:
        if self._entered:
            raise RuntimeError("a stream is entered once: a second time would send the message again")
        self._entered = True
        return self._opening()

    def _unread(self) -> httpx.Response | None:
        """The response to read, None if the run was stopped before one was asked for."""
        if self._response is None and self.run.status == "running":
            raise RuntimeError("a stream is entered first: with client.stream(...) as stream")
        return self._response

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
        self.changes += self.run.end(self.elapsed(), error, cancelled=self.cancelled)

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
            if not self._client.drive(self._enter(), stream_last=True):
                cast(httpx.Response, self._response).read()
                raise self._verdict()
        except (*sse.BROKEN, LettaNbError) as problem:
            self.close()
            raise self._refused(problem) from None
        return self

    def __iter__(self) -> Iterator[events.AnyEvent]:
        return self._events

    def _read(self) -> Iterator[events.AnyEvent]:
        response = self._unread()
        if response is None:
            return
        body = sse.body_of(response)
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
            if not await self._client.drive(self._enter(), stream_last=True):
                await cast(httpx.Response, self._response).aread()
                raise self._verdict()
        except (*sse.BROKEN, LettaNbError) as problem:
            await self.aclose()
            raise self._refused(problem) from None
        return self

    def __aiter__(self) -> AsyncIterator[events.AnyEvent]:
        return self._events

    async def _read(self) -> AsyncIterator[events.AnyEvent]:
        response = self._unread()
        if response is None:
            return
        body = sse.body_of(response)
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


def _is_stream(response: httpx.Response) -> bool:
    return response.headers.get("content-type", "").partition(";")[0].strip().lower() == "text/event-stream"
