"""A server for measuring: sends recorded events as fast as they are read, one HTTP chunk each, from its own process.

`python loopback.py` prints its address. The agent's id says what to send: see `AGENTS` and `body`.
"""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

RECORDING = Path(__file__).parents[1] / "fixtures/0.16.8/v1_long_tok.sse"
HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
    b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
)
BLOCK = 500
BIG = 10_000_000


def agent(events: int, *, big: bool = False) -> str:
    """The agent that answers with so many events, or with one event of `events` bytes in chunks of 4 kB."""
    return f"agent-{events:08x}-0000-4000-8000-{int(big):012x}"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def recorded() -> tuple[list[bytes], list[bytes]]:
    """A recorded run's tokens, and how it ends; each with its blank line."""
    events = [event + b"\n\n" for event in RECORDING.read_bytes().split(b"\n\n") if event]
    tokens = [event for event in events if b'"assistant_message"' in event]
    return tokens, events[-3:]


def body(events: int) -> Iterator[bytes]:
    """Chunks of `events` events in all, a block at a time."""
    tokens, ends = recorded()
    left = events - len(ends)
    while left > 0:
        for start in range(0, min(left, len(tokens)), BLOCK):
            some = tokens[start : min(start + BLOCK, left)]
            yield b"".join(map(chunk, some))
        left -= min(left, len(tokens))
    yield b"".join(map(chunk, ends))
    yield b"0\r\n\r\n"


def big(size: int) -> Iterator[bytes]:
    """One tool return of `size` bytes, 4 kB a chunk, and the end of the run."""
    event = {
        "id": "message-1",
        "date": "2026-01-02T03:04:05+00:00",
        "message_type": "tool_return_message",
        "tool_return": "x" * size,
        "status": "success",
        "tool_call_id": "call-1",
    }
    data = b"data: " + json.dumps(event).encode() + b"\n\n"
    for start in range(0, len(data), 4096):
        yield chunk(data[start : start + 4096])
    yield b"".join(map(chunk, recorded()[1]))
    yield b"0\r\n\r\n"


def serve() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    while True:
        connection, _ = listener.accept()
        try:
            with connection, connection.makefile("rb") as reader:
                path, length = reader.readline().split()[1].decode(), 0
                while (line := reader.readline()) not in (b"\r\n", b""):
                    if line.lower().startswith(b"content-length:"):
                        length = int(line.split(b":")[1])
                reader.read(length)
                name = path.split("/")[3].split("-")
                count, is_big = int(name[1], 16), int(name[5], 16)
                connection.sendall(HEAD)
                for block in big(count) if is_big else body(count):
                    connection.sendall(block)
        except (OSError, IndexError, ValueError) as problem:
            print(problem, file=sys.stderr)


if __name__ == "__main__":
    serve()
