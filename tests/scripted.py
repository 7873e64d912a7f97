"""A server that says exactly what a test tells it to, byte for byte, over a real socket, and keeps what it gets."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

AGENT = "agent-00000000-0000-4000-8000-000000000001"

Step = bytes | threading.Event | Callable[[socket.socket], None]
"""Bytes are sent, an Event is waited for, a function is called with the connection."""


def response(body: bytes, status: str = "200 OK", content_type: str = "application/json", **headers: str) -> bytes:
    """A whole HTTP response."""
    more = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    head = f"HTTP/1.1 {status}\r\ncontent-type: {content_type}\r\ncontent-length: {len(body)}\r\n{more}\r\n"
    return head.encode() + body


def answer(value: Any, status: str = "200 OK") -> bytes:
    """A JSON response."""
    return response(json.dumps(value).encode(), status)


# ends with the connection, so that a test may cut it anywhere
STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\nconnection: close\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def chunk(data: bytes) -> bytes:
    """One HTTP chunk."""
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


def reset(connection: socket.socket) -> None:
    """Close with RST, as a crashed proxy does."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


@dataclass
class Request:
    """What the server received."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any


@dataclass
class ScriptedServer:
    """Plays `routes[(method, path)]`, or `stream` for the message endpoint; `requests` is what came, in order.

    `plays`: what a route plays, one after the other, each for one request; the last is played again.
    """

    stream: Sequence[Step] = ()
    routes: dict[tuple[str, str], bytes] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    plays: dict[tuple[str, str], list[Sequence[Step]]] = field(default_factory=dict)

    def __enter__(self) -> ScriptedServer:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._connections: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._socket.close()
        for connection in self._connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()

    @property
    def posts(self) -> list[Request]:
        """The message requests: how often was the message delivered?"""
        return [request for request in self.requests if request.path.endswith("/messages/stream")]

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                self._connections.append(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError), connection, connection.makefile("rb") as reader:
            while request := _read(reader):
                self.requests.append(request)
                path = request.path.partition("?")[0]
                if plays := self.plays.get((request.method, path)):
                    self._play(connection, plays.pop(0) if len(plays) > 1 else plays[0])
                    return
                if request.path.endswith("/messages/stream"):
                    self._play(connection, self.stream)
                    return
                found = self.routes.get((request.method, path), answer({"detail": "Not Found"}, "404 Not Found"))
                connection.sendall(found)

    def _play(self, connection: socket.socket, steps: Sequence[Step]) -> None:
        for step in steps:
            if isinstance(step, bytes):
                connection.sendall(step)
            elif isinstance(step, threading.Event):
                step.wait(30)
            else:
                step(connection)


def _read(reader: Any) -> Request | None:
    first = reader.readline().decode().split()
    if len(first) < 2:
        return None
    headers: dict[str, str] = {}
    while (line := reader.readline().decode().strip()) != "":
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    raw = reader.read(int(headers.get("content-length", 0)))
    return Request(first[0], first[1], headers, json.loads(raw) if raw else None)
