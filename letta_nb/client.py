"""Client and AsyncClient: two thin shells, one blocking and one asynchronous, over the same flows and the same Run.

A POST is sent once, whatever happens: a message that may have been delivered is never delivered again.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Self, Unpack

import httpx

from letta_nb import addresses, protocol, sse
from letta_nb.entries import Change
from letta_nb.protocol import Agent, Flow, Messages, Parameters
from letta_nb.run import Run
from letta_nb.stream import AsyncStream, Stream

# Modern servers ping every 20 to 50 s and old ones give up after 10 min: longer silence means that nobody is there.
SILENCE = 660.0


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
        url, own = addresses.resolve(base_url, api_key, password)
        # `read` bounds silence in a stream, not the run: pings reset it
        streaming = httpx.Timeout(timeout, read=silence)
        self.flows = protocol.Flows(url, {**own, **addresses.checked(headers or {})}, streaming)
        self._options: dict[str, Any] = {
            "timeout": httpx.Timeout(timeout),
            # a server that closes idle connections must not meet a message on its way
            "limits": httpx.Limits(keepalive_expiry=2.0),
            # a proxy has no business between a notebook and its own machine
            "trust_env": not addresses.is_loopback(url),
            # a redirected POST would be a second POST, and headers would follow it
            "follow_redirects": False,
        }

    @property
    def base_url(self) -> str:
        """The server's address."""
        return addresses.shown(self.flows.base_url)

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
                try:
                    response = self._http.send(request, stream=stream_last)
                except sse.BROKEN as problem:
                    request = flow.throw(problem)  # a flow may make do with what it has
                    continue
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

    def agents(self, name: str | None = None, limit: int | None = None, timeout: float | None = None) -> list[Agent]:
        """All agents, or those of one name."""
        return self._call(self.flows.agents(name, limit), _deadline(timeout))

    def agent(self, agent: str) -> Agent:
        """One agent by id or name; AgentNotFound lists the names there are."""
        return self._call(self.flows.agent(agent))

    def cancel(self, agent: str, run_id: str | None = None, timeout: float | None = None) -> dict[str, Any]:
        """Ask the server to stop a run of the agent (all its runs without `run_id`); returns its word on each."""
        agent_id = self._call(self.flows.agent_id(agent))
        return self._call(self.flows.cancel(agent_id, run_id), _deadline(timeout))

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
                try:
                    response = await self._http.send(request, stream=stream_last)
                except sse.BROKEN as problem:
                    request = flow.throw(problem)
                    continue
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

    async def agents(
        self, name: str | None = None, limit: int | None = None, timeout: float | None = None
    ) -> list[Agent]:
        """All agents, or those of one name."""
        return await self._call(self.flows.agents(name, limit), _deadline(timeout))

    async def agent(self, agent: str) -> Agent:
        """One agent by id or name; AgentNotFound lists the names there are."""
        return await self._call(self.flows.agent(agent))

    async def cancel(self, agent: str, run_id: str | None = None, timeout: float | None = None) -> dict[str, Any]:
        """Ask the server to stop a run of the agent (all its runs without `run_id`); returns its word on each."""
        agent_id = await self._call(self.flows.agent_id(agent))
        return await self._call(self.flows.cancel(agent_id, run_id), _deadline(timeout))

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
    request.extensions["timeout"] = httpx.Timeout(max(left, 0.001)).as_dict()
