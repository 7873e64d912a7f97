"""The server as an object: uvicorn on a thread of its own, on a socket that is bound before it starts."""

from __future__ import annotations

import asyncio
import atexit
import logging
import socket
from collections.abc import Mapping
from contextlib import AsyncExitStack, suppress
from threading import Event, Thread
from types import TracebackType
from typing import Self

import uvicorn

from letta_nb.errors import ConfigurationError
from letta_nb.server.app import create_app
from letta_nb.server.faults import Connection, Fault, Faulty, check
from letta_nb.server.programs import Program
from letta_nb.server.security import Guard, is_loopback
from letta_nb.server.service import Service, Settings

_START_SECONDS = 20


class Server:
    """An agent server at `url`. It runs from `start()`, or `with`, to `stop()`."""

    def __init__(
        self,
        programs: Mapping[str, Program],
        settings: Settings,
        *,
        host: str,
        port: int,
        fault: Fault | None = None,
    ) -> None:
        if not is_loopback(host) and not settings.password:
            raise ConfigurationError(
                f"serve(host={host!r}) would let others run code on this machine: pass password=... with it"
            )
        self.host = host
        self._port = port
        self._programs = programs
        self._settings = settings
        self._fault = check(fault)
        self._thread: Thread | None = None
        self._uvicorn: _Uvicorn | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ready = Event()
        self._failure: BaseException | None = None

    def __repr__(self) -> str:
        return f"<letta_nb.Server {self.url} {'running' if self.running else 'stopped'}>"

    @property
    def port(self) -> int:
        """The port; 0 until the first start, if any port would do."""
        return self._port

    @property
    def url(self) -> str:
        """Where the server answers."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self._port}"

    @property
    def running(self) -> bool:
        """Whether it answers now."""
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> Self:
        """Listen and answer; returns when it does. A server that runs is left as it is."""
        if self.running:
            return self
        listener = _bind(self.host, self._port)
        self._port = listener.getsockname()[1]
        self._ready.clear()
        self._failure = None
        self._thread = Thread(target=self._run, args=(listener,), name="letta-nb-server", daemon=True)
        self._thread.start()
        if not self._ready.wait(_START_SECONDS) or self._failure is not None:
            self.stop()
            raise ConfigurationError(f"The server did not start: {self._failure}") from self._failure
        atexit.register(self.stop)
        return self

    def stop(self) -> None:
        """End all streams and runs, and stop answering."""
        thread, loop = self._thread, self._loop
        if thread is None:
            return
        if loop is not None and thread.is_alive():
            loop.call_soon_threadsafe(self._end)
        thread.join(_START_SECONDS)
        self._thread = None
        atexit.unregister(self.stop)

    close = stop

    def wait(self) -> None:
        """Block until the server is stopped; an interrupt stops it."""
        try:
            while self.running:
                assert self._thread is not None
                self._thread.join(0.2)
        except KeyboardInterrupt:
            self.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _end(self) -> None:
        if self._uvicorn is not None:
            self._uvicorn.end()

    def _run(self, listener: socket.socket) -> None:
        try:
            asyncio.run(self._serve(listener))
        except BaseException as error:
            self._failure = error
        finally:
            listener.close()
            self._loop = None
            self._ready.set()

    async def _serve(self, listener: socket.socket) -> None:
        service = Service(self._programs, self._settings)
        app = create_app(service)
        answering = app if self._fault is None else Faulty(app, *self._fault)
        guarded = Guard(answering, host=self.host, port=self._port, password=self._settings.password)
        config = uvicorn.Config(
            guarded,
            loop="asyncio",
            http="h11" if self._fault is None else Connection,
            ws="none",
            lifespan="off",
            log_config=None,
            log_level=logging.ERROR,
            access_log=False,
            timeout_graceful_shutdown=2,
        )
        self._uvicorn = _Uvicorn(config, service, self._ready)
        self._loop = asyncio.get_running_loop()
        async with AsyncExitStack() as models:
            # their HTTP clients belong to this loop: they must be closed before it is
            for program in self._programs.values():
                await models.enter_async_context(program.model)
            await self._uvicorn.serve(sockets=[listener])


class _Uvicorn(uvicorn.Server):
    """uvicorn that says when it is up, and ends the streams before it waits for them."""

    def __init__(self, config: uvicorn.Config, service: Service, ready: Event) -> None:
        super().__init__(config)
        self._service = service
        self._ready = ready
        self._ended = asyncio.Event()

    def end(self) -> None:
        """Leave the main loop now."""
        self.should_exit = True
        self._ended.set()

    async def main_loop(self) -> None:
        # the base class looks ten times a second whether it should end; this waits to be told
        while not await self.on_tick(0):
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ended.wait(), 1)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self._service.close()
        await super().shutdown(sockets)


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio turns Nagle's delay off only where the protocol is named: without it each event would wait 40 ms
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        # connections made before the thread is up wait in the backlog
        listener.listen(2048)
    except OSError as error:
        listener.close()
        raise ConfigurationError(f"Cannot listen on {host}:{port}: {error.strerror or error}") from error
    listener.setblocking(False)
    return listener
