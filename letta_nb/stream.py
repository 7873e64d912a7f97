"""The two streams: thin shells, one blocking and one asynchronous, over one Exchange."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Self

from letta_nb import events, sse
from letta_nb.errors import LettaNbError
from letta_nb.exchange import Attach, Exchange, Message, Reply
from letta_nb.run import Run

if TYPE_CHECKING:
    from letta_nb.async_client import AsyncClient
    from letta_nb.client import Client


class Stream(Exchange):
    """A blocking stream of typed events: `with client.stream(...) as stream: for event in stream: ...`.

    Entering sends the request and raises a letta_nb error if it is refused. A stream that breaks later raises nothing:
    a background run's is taken up again, any other ends, and `stream.run.status` says how. `stream.changes` is what the
    last event changed in `stream.run`.
    """

    def __init__(self, client: Client, sent: Message | Reply | Attach, run: Run, start: int | None = None) -> None:
        super().__init__(client.flows, sent, run, start)
        self._client = client
        self._events = self._read()

    def __enter__(self) -> Self:
        try:
            if not self._client.drive(self.enter(), streaming=True):
                raise self.verdict()
        except (*sse.BROKEN, LettaNbError) as problem:
            self.close()
            raise self.refused(problem) from None
        except BaseException:
            self.close()
            self.withdraw()
            raise
        return self

    def __iter__(self) -> Iterator[events.AnyEvent]:
        return self._events

    def _read(self) -> Iterator[events.AnyEvent]:
        response = self.unread()
        while response is not None:
            body = sse.body_of(response)
            for message in sse.decode(body):
                event = self.took(message)
                yield event
                if isinstance(event, events.Done):
                    return
            self.close()
            response = self._client.drive(self.after(body.problem), streaming=True)

    def close(self) -> None:
        """Close the connection. The run may go on at the server."""
        self.closed = True
        if self.response is not None:
            self.response.close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
        self.left()


class AsyncStream(Exchange):
    """`Stream` for asyncio: `async with client.stream(...) as stream: async for event in stream: ...`."""

    def __init__(self, client: AsyncClient, sent: Message | Reply | Attach, run: Run, start: int | None = None) -> None:
        super().__init__(client.flows, sent, run, start)
        self._client = client
        self._events = self._read()

    async def __aenter__(self) -> Self:
        try:
            if not await self._client.drive(self.enter(), streaming=True):
                raise self.verdict()
        except (*sse.BROKEN, LettaNbError) as problem:
            await self.aclose()
            raise self.refused(problem) from None
        except BaseException:
            await self.aclose()
            self.withdraw()
            raise
        return self

    def __aiter__(self) -> AsyncIterator[events.AnyEvent]:
        return self._events

    async def _read(self) -> AsyncIterator[events.AnyEvent]:
        response = self.unread()
        while response is not None:
            body = sse.body_of(response)
            async for message in sse.adecode(body):
                event = self.took(message)
                yield event
                if isinstance(event, events.Done):
                    return
            await self.aclose()
            response = await self._client.drive(self.after(body.problem), streaming=True)

    async def aclose(self) -> None:
        """Close the connection. The run may go on at the server."""
        self.closed = True
        if self.response is not None:
            await self.response.aclose()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()
        self.left()
