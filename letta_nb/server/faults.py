"""Misbehaviour to order, for tests: every way in which a message stream is known to go wrong, by name.

`serve(fault="cut")` or `serve(fault=("cut", 7))`: the number says after how many events it happens (for "cut_byte":
after how many bytes). Only requests that send messages are met by it; all else of the server stays well, so that what
a client does next can be tried. The agent runs on behind a spoilt stream, and not at all behind an HTTP error.
"""

from __future__ import annotations

import re
import socket
import struct
import zlib
from asyncio import BaseTransport, Transport
from collections.abc import Callable, Iterable
from enum import Enum, auto
from typing import Literal, NamedTuple, cast, get_args

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from letta_nb.errors import ConfigurationError
from letta_nb.server import wire
from letta_nb.server.refusals import REFUSALS, Refusal
from letta_nb.server.wire import Event
from letta_nb.sse import encode

End = Literal[
    "cut",  # the body ends after an event
    "cut_mid_line",  # in the middle of one
    "cut_byte",  # after a number of bytes
    "reset",  # the connection is reset (RST)
    "silence",  # nothing more is sent, for ever
    "pings_only",  # twenty pings, then the end of the body
    "no_done",
    "done_twice",
    "no_stop_reason",
    "stop_reason_twice",  # "error", then "llm_api_error", an error event, and no [DONE]
    "error_message",  # a stop_reason and `event: error`, then the end of the body
    "error_code",  # `event: error` with {"error", "code"}
    "error_seed",  # {"error"} without an event name, then [DONE]
    "cancelled",  # a stop_reason, one stale event, `event: cancelled`, then the end of the body
]
Defect = Literal[
    "crlf",
    "comments",
    "one_byte",  # each byte is written by itself
    "line_separators",  # raw U+2028 and U+0085 in the agent's words
    "gzip",  # as a proxy does
    "bad_json",  # one more event, which is none
    "unknown_type",
    "no_type",
    "no_parallel_return",  # what several tools returned together is left out
    "compaction",  # no fault of the stream's: the context was full, and is summarised
]
FaultName = End | Defect | Refusal
Fault = FaultName | tuple[FaultName, int]
NAMES: tuple[FaultName, ...] = (*get_args(End), *get_args(Defect), *get_args(Refusal))

_MESSAGES = re.compile(r"/v1/(agents|conversations)/[^/]+/messages(/stream)?")
_DONE = encode("[DONE]")
_AFTER = 3


def check(fault: Fault | str | None) -> tuple[FaultName, int] | None:
    """The fault with its number; ConfigurationError for a name that is none."""
    if fault is None:
        return None
    name, at = fault if isinstance(fault, tuple) else (fault, 200 * _AFTER if fault == "cut_byte" else _AFTER)
    if name not in NAMES:
        raise ConfigurationError(f"serve(fault={name!r}): there is no such fault. There are {', '.join(NAMES)}")
    return name, at


class Faulty:
    """ASGI middleware: answers to messages go wrong."""

    def __init__(self, app: ASGIApp, name: FaultName, at: int) -> None:
        self._app = app
        self._name: FaultName = name
        self._at = at

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse the request, or pass it on and spoil the answer."""
        if scope["type"] != "http" or scope["method"] != "POST" or not _MESSAGES.fullmatch(scope["path"]):
            await self._app(scope, receive, send)
        elif self._name in REFUSALS:
            while (await receive()).get("more_body"):
                pass
            status, body, headers = REFUSALS[self._name]
            await Response(body, status, headers)(scope, receive, send)
        else:
            await self._app(scope, receive, _Spoiler(self._name, self._at, scope, receive, send).send)


class Connection(H11Protocol):
    """uvicorn's, which shows the application its transport: there is no other way to reset a connection."""

    def connection_made(self, transport: BaseTransport) -> None:
        super().connection_made(cast(Transport, transport))
        self.app_state = {**self.app_state, "transport": transport}


# -- spoilt streams ---------------------------------------------------------------------------------------------------


class _Then(Enum):
    """What follows the last bytes."""

    CLOSE = auto()
    RESET = auto()
    SILENCE = auto()


class _Piece(NamedTuple):
    """One event as the server wrote it: how many and how many bytes came before it, and the fault's number."""

    frame: bytes
    number: int
    offset: int
    at: int

    def says(self, message_type: str) -> bool:
        return f'"message_type":"{message_type}"'.encode() in self.frame


_Spoilt = Iterable[bytes | _Then]


class _Spoiler:
    """Stands between the application and the socket for one response."""

    def __init__(self, name: FaultName, at: int, scope: Scope, receive: Receive, send: Send) -> None:
        self._spoil = _SPOILS.get(name, lambda piece: (piece.frame,))
        self._at, self._scope, self._receive, self._send = at, scope, receive, send
        self._pack = zlib.compressobj(wbits=31) if name == "gzip" else None
        self._held = b""
        self._index = self._offset = 0
        self._streams = self._over = False

    async def send(self, message: Message) -> None:
        """One ASGI message of the application's."""
        if message["type"] == "http.response.start":
            # the agent's refusals and whole answers are told as they are
            self._streams = Headers(raw=message["headers"]).get("content-type", "").startswith("text/event-stream")
            if self._streams and self._pack is not None:
                message = {**message, "headers": [*message["headers"], (b"content-encoding", b"gzip")]}
        if message["type"] != "http.response.body" or not self._streams:
            await self._send(message)
        elif not self._over:
            *frames, self._held = (self._held + message.get("body", b"")).split(b"\n\n")
            for frame in frames:
                await self._event(frame + b"\n\n")
            if not message.get("more_body") and not self._over:
                await self._close()

    async def _event(self, frame: bytes) -> None:
        if self._over:
            return
        piece = _Piece(frame, self._index, self._offset, self._at)
        self._index, self._offset = self._index + 1, self._offset + len(frame)
        for part in self._spoil(piece):
            if isinstance(part, bytes):
                await self._write(part)
                continue
            self._over = True
            match part:
                case _Then.CLOSE:
                    await self._close()
                case _Then.RESET:
                    await self._reset()
                case _Then.SILENCE:
                    await self._gone()
            return

    async def _write(self, data: bytes) -> None:
        if self._pack is not None:
            data = self._pack.compress(data) + self._pack.flush(zlib.Z_SYNC_FLUSH)
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def _close(self) -> None:
        rest = self._pack.flush() if self._pack is not None else b""
        await self._send({"type": "http.response.body", "body": rest, "more_body": False})

    async def _reset(self) -> None:
        transport: Transport = self._scope["state"]["transport"]
        linger = struct.pack("ii", 1, 0)
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        transport.abort()
        await self._gone()

    async def _gone(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass


def _at(*instead: bytes | _Then) -> Callable[[_Piece], _Spoilt]:
    """Everything until `at`, then this."""
    return lambda piece: (piece.frame,) if piece.number < piece.at else instead


def _extra(frame: bytes) -> Callable[[_Piece], _Spoilt]:
    """Everything, and at `at` this too."""
    return lambda piece: (frame, piece.frame) if piece.number == piece.at else (piece.frame,)


def _cut_mid_line(piece: _Piece) -> _Spoilt:
    return (piece.frame,) if piece.number < piece.at else (piece.frame[: len(piece.frame) // 2], _Then.CLOSE)


def _cut_byte(piece: _Piece) -> _Spoilt:
    left = piece.at - piece.offset
    return (piece.frame,) if left > len(piece.frame) else (piece.frame[:left], _Then.CLOSE)


def _pings_only(piece: _Piece) -> _Spoilt:
    if piece.number < piece.at:
        return (piece.frame,)
    found = re.search(rb'"run_id":"([^"]+)"', piece.frame)
    run_id = found[1].decode() if found else wire.new_id("run")
    return *(encode(wire.ping(run_id)) for _ in range(20)), _Then.CLOSE


def _without(matches: Callable[[_Piece], bool]) -> Callable[[_Piece], _Spoilt]:
    return lambda piece: () if matches(piece) else (piece.frame,)


def _stop_reason_twice(piece: _Piece) -> _Spoilt:
    if not piece.says("stop_reason"):
        return (piece.frame,)
    return encode(wire.stop_reason("error")), encode(wire.stop_reason("llm_api_error")), _ERROR, _Then.CLOSE


def _cancelled(piece: _Piece) -> _Spoilt:
    if piece.number < piece.at:
        return (piece.frame,)
    # with spaces after the colons, as only this one is written
    stop = encode('{"message_type": "stop_reason", "stop_reason": "cancelled"}')
    return stop, piece.frame, encode({"message": "Run was cancelled"}, "cancelled"), _Then.CLOSE


def _line_separators(piece: _Piece) -> _Spoilt:
    return (re.sub(rb'"(content|reasoning)":"', rb"\g<0>" + "\u2028\x85".encode(), piece.frame),)


def _returns_several(piece: _Piece) -> bool:
    return piece.says("tool_return_message") and piece.frame.count(b'"type":"tool"') > 1


_ERROR = encode(
    wire.error_message(
        "run-00000000-0000-4000-8000-000000000000",
        "internal_error",
        "An error occurred during agent execution.",
        "INTERNAL_SERVER_ERROR: ordered by a test",
    ),
    "error",
)
_WINDOW = 128_000
_COMPACTION: tuple[Event, ...] = (
    {
        "message_type": "event_message",
        "event_type": "compaction",
        "event_data": {
            "trigger": "post_step_context_check",
            "context_token_estimate": 118_400,
            "context_window": _WINDOW,
        },
    },
    {
        "message_type": "summary_message",
        "summary": "The conversation so far, in short.",
        "compaction_stats": {
            "trigger": "post_step_context_check",
            "context_tokens_before": 118_400,
            "context_tokens_after": 31_200,
            "context_window": _WINDOW,
            "messages_count_before": 84,
            "messages_count_after": 12,
        },
    },
)
_SPOILS: dict[FaultName, Callable[[_Piece], _Spoilt]] = {
    "cut": _at(_Then.CLOSE),
    "cut_mid_line": _cut_mid_line,
    "cut_byte": _cut_byte,
    "reset": _at(_Then.RESET),
    "silence": _at(_Then.SILENCE),
    "pings_only": _pings_only,
    "no_done": _without(lambda piece: piece.frame == _DONE),
    "done_twice": lambda piece: (piece.frame,) * (2 if piece.frame == _DONE else 1),
    "no_stop_reason": _without(lambda piece: piece.says("stop_reason")),
    "stop_reason_twice": _stop_reason_twice,
    "error_message": _at(encode(wire.stop_reason("error")), _ERROR, _Then.CLOSE),
    "error_code": _at(encode({"error": "The stream broke", "code": "INTERNAL_SERVER_ERROR"}, "error"), _Then.CLOSE),
    "error_seed": _at(encode({"error": "Stream failed (internal error occurred)"}), _DONE, _Then.CLOSE),
    "cancelled": _cancelled,
    "crlf": lambda piece: (piece.frame.replace(b"\n", b"\r\n"),),
    "comments": lambda piece: (b": keepalive\n\n:\n" + piece.frame[:-1] + b": of a proxy\n\n",),
    "one_byte": lambda piece: (bytes([byte]) for byte in piece.frame),
    "line_separators": _line_separators,
    "bad_json": _extra(b'data: {"message_type":"assistant_message","content":"half\n\n'),
    "unknown_type": _extra(encode({"message_type": "thought_message", "id": "message-1", "thought": "new"})),
    "no_type": _extra(encode({"id": "message-1", "content": "whose?"})),
    "no_parallel_return": _without(_returns_several),
    "compaction": _extra(b"".join(encode({"id": wire.new_id("message"), **event}) for event in _COMPACTION)),
}
