"""The embedded server told to misbehave, met by both clients in both modes, beside a bare reader of the same stream."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, get_args

import httpx
from fault_play import KINDS, Kind, Outcome, Sent, read, send, words
from faults import CLOSED, LOST, OK, SILENCE, SILENT, WORDS, Want, raised, refused
from server_play import Play, Wire

import letta_nb
from letta_nb.server import serve
from letta_nb.server.faults import Defect, End, FaultName
from letta_nb.server.refusals import REFUSALS

_REPLIES = [
    [("think", "Two at once."), ("call", "one", "{}"), ("call", "two", "{}")],
    [("think", "Hm."), ("say", "Both are back.")],
]
_FAILED = Want("failed", "internal_error", "An error occurred during agent execution", "error")
_WANTS: dict[FaultName, Want] = {
    "cut": CLOSED,
    "cut_mid_line": CLOSED,
    "cut_byte": CLOSED,
    "reset": LOST,
    "silence": SILENT,
    "pings_only": CLOSED,
    "no_stop_reason": Want("interrupted", "stream_ended", "before the run did"),
    "stop_reason_twice": _FAILED._replace(stop_reason="llm_api_error"),
    "error_message": _FAILED,
    "error_code": Want("failed", "INTERNAL_SERVER_ERROR", "The stream broke"),
    "error_seed": Want("failed", "stream_error", "Stream failed"),
    "cancelled": Want("cancelled", stop_reason="cancelled"),
    "bad_json": OK._replace(unknown=1),
    "unknown_type": OK._replace(unknown=1),
    "no_type": OK._replace(unknown=1),
    "empty": CLOSED,
}


# what ends a connection and not the run: a background run's stream is taken up again
_TAKEN_UP: tuple[FaultName, ...] = ("cut", "cut_mid_line", "cut_byte", "reset", "silence", "pings_only")


def one() -> str:
    """The first tool."""
    return "1"


def two() -> str:
    """The second tool."""
    return "2"


@dataclass
class Meeting:
    """One client before one fault."""

    tokens: bool
    kind: Kind
    outcome: Outcome
    sent: Sent
    background: bool = False

    @property
    def lost(self) -> int:
        """How many of the events that were sent are not in the log."""
        # of a background run the server keeps each event as it was sent; others are compared with another run's
        told = _types if not self.background else list[tuple[str, str]]
        missing = Counter(told(self.sent.whole)) - Counter(told(self.outcome.kept))
        return missing.total()

    def wrongs(self, want: Want) -> Iterator[str]:
        where = f"{'token' if self.tokens else 'step'}, {self.kind}:"
        outcome, run = self.outcome, self.outcome.run
        kept, sent = _types(outcome.kept), _types(self.sent.whole)
        if self.background:
            # pings are not kept by the server
            kept, sent = [kind for kind in kept if kind != " ping"], [kind for kind in sent if kind != " ping"]
        if outcome.raw is not None:
            yield f"{where} a raw exception: {outcome.raw}"
        if self.lost or kept != sent or (not self.background and len(outcome.torn) != (self.sent.torn is not None)):
            yield f"{where} kept {kept} and {len(outcome.torn)} torn of {sent}"
        if run is None or run.text != words(self.sent.whole):
            yield f"{where} not the text that was sent"
        yield from (f"{where} {wrong}" for wrong in outcome.unlike(want))


def _types(messages: list[tuple[str, str]]) -> list[str]:
    found: list[str] = []
    for event, data in messages:
        try:
            found.append(f"{event} {json.loads(data).get('message_type')}")
        except ValueError:
            found.append(data)
    return found


@dataclass(frozen=True)
class Trial:
    """One fault of the server's vocabulary, and what must come of it."""

    name: FaultName
    want: Want
    background: bool = False

    def __str__(self) -> str:
        return f"{self.name}, in background" if self.background else self.name

    def meetings(self) -> list[Meeting]:
        """The fault met by both clients, in both modes where there is a stream that goes on.

        `outcome.posts`: how often the agent was set to work, as its server counts.
        """
        silence = SILENCE if self.name == "silence" else None
        options = {} if silence is None else {"silence": silence}
        modes = (False,) if self.name in REFUSALS or silence is not None else (True, False)
        met: list[Meeting] = []
        with serve({"player": Play(_REPLIES, piece=8).agent(one, two)}, fault=self.name) as server:
            wire = Wire(server.url)
            with asyncio.Runner() as runner:
                for kind in KINDS:
                    client = getattr(letta_nb, kind)(server.url, **options)
                    met += [self._meet(wire, client, tokens, kind, runner, silence) for tokens in modes]
                    if kind == "Client":
                        client.close()
                    else:
                        runner.run(client.aclose())
            wire.http.close()
        return met

    def _meet(
        self, wire: Wire, client: Any, tokens: bool, kind: Kind, runner: asyncio.Runner, silence: float | None
    ) -> Meeting:
        agent_id, sent = wire.agent_id, Sent([], None)
        if self.name not in REFUSALS and not self.background:
            sent = read(_raw(wire, agent_id, tokens, silence))
        before = len(wire.get("/v1/runs/"))
        own = {"background": True} if self.background else {}
        outcome = send(client, agent_id, tokens, runner.run, **own)
        outcome.posts = len(wire.get("/v1/runs/")) - before
        if self.background and outcome.run is not None:
            stored = wire.http.post(f"/v1/runs/{outcome.run.run_id}/stream", json={"include_pings": False})
            sent = read(stored.content)
        return Meeting(tokens, kind, outcome, sent, self.background)

    def wrongs(self) -> list[str]:
        """What is not as it must be."""
        met = self.meetings()
        runs = 0 if self.name in REFUSALS else 1
        found = [f"{meeting.outcome.posts} runs" for meeting in met if meeting.outcome.posts != runs]
        return found + [wrong for meeting in met for wrong in meeting.wrongs(self.want)]


def _raw(wire: Wire, agent_id: str, tokens: bool, silence: float | None) -> bytes:
    """The bytes of the same stream, as far as they come."""
    body = {"messages": [{"role": "user", "content": "hi"}], "stream_tokens": tokens}
    arrived: list[bytes] = []
    path = f"/v1/agents/{agent_id}/messages/stream"
    with suppress(httpx.TransportError), wire.http.stream("POST", path, json=body) as answer:
        for piece in answer.iter_bytes():
            arrived.append(piece)
            # a stream that falls silent does so after three events; nobody need wait for more
            if silence is not None and b"".join(arrived).count(b"\n\n") == 3:
                break
    return b"".join(arrived)


def _trials() -> Iterator[Trial]:
    names: tuple[FaultName, ...] = (*get_args(End), *get_args(Defect))
    for name in names:
        yield Trial(name, _WANTS.get(name, OK))
    for name in _TAKEN_UP:
        yield Trial(name, OK, background=True)
    for name, (status, *_) in REFUSALS.items():
        told = WORDS.get(name, "") if name != "409_lock" else ""
        yield Trial(name, _WANTS.get(name) or refused(raised(name, status), told))  # pyright: ignore[reportArgumentType]


TRIALS = tuple(_trials())
