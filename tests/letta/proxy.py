"""A wire that breaks: a TCP proxy that cuts the first event streams after so many events, as a bad network does."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from urllib.parse import urlsplit


class Proxy:
    """Between a client and `upstream`. `cuts`: after how many events each of the next streams breaks."""

    def __init__(self, upstream: str, *cuts: int) -> None:
        there = urlsplit(upstream)
        self._there = (str(there.hostname), int(there.port or 80))
        self._cuts = list(cuts)
        self._connections: list[socket.socket] = []
        self.posted: list[str] = []

    def __enter__(self) -> Proxy:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._listening.close()
        for connection in self._connections:
            _end(connection)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listening.accept()
                far = socket.create_connection(self._there)
                self._connections += [near, far]
                threading.Thread(target=self._up, args=(near, far), daemon=True).start()
                threading.Thread(target=self._down, args=(far, near), daemon=True).start()

    def _up(self, near: socket.socket, far: socket.socket) -> None:
        with suppress(OSError):
            while data := near.recv(65536):
                if data.startswith(b"POST "):
                    self.posted.append(data.split(b" ", 2)[1].decode())
                far.sendall(data)
        _end(far)

    def _down(self, far: socket.socket, near: socket.socket) -> None:
        seen, cut = 0, None
        with suppress(OSError):
            while data := far.recv(65536):
                if b"text/event-stream" in data:
                    seen, cut = 0, self._cuts.pop(0) if self._cuts else None
                seen += data.count(b"data: {")
                near.sendall(data)
                if cut is not None and seen >= cut:
                    break
        _end(near)
        _end(far)


def _end(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
