"""Plays the faults to both clients over real sockets, and judges what came of each by rules of its own."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Self

from faults import BASES, FAULTS, Base, Fault, Script, Want
from scripted import AGENT, ScriptedServer

import letta_nb
from letta_nb.run import Run

Kind = Literal["Client", "AsyncClient"]
# the requests that deliver a message, by any door
_SENDS = re.compile(r"POST /v1/(agents|conversations)/[^/]+/messages(/stream|/async)?(\?|$)")
# what a terminal would obey
_OBEYED = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")
KINDS: tuple[Kind, ...] = ("Client", "AsyncClient")


class Sent(NamedTuple):
    """What a body says: (event name, data) of each whole message up to [DONE], and the data of a torn one."""

    whole: list[tuple[str, str]]
    torn: tuple[str, str] | None


def read(body: bytes) -> Sent:
    """A body read line by line, as the standard has it: slow, and sharing nothing with the package."""
    *lines, last = re.split(rb"\r\n|\n|\r", body.removeprefix(b"\xef\xbb\xbf"))
    whole: list[tuple[str, str]] = []
    event, data = "", list[str]()
    for line in lines:
        if line:
            event, data = _line(line, event, data)
            continue
        if text := "\n".join(data):
            whole.append((event, text))
            if text == "[DONE]":
                return Sent(whole, None)
        event, data = "", []
    event, data = _line(last, event, data)
    text = "\n".join(data)
    return Sent(whole, (event, text) if text else None)


def _line(line: bytes, event: str, data: list[str]) -> tuple[str, list[str]]:
    name, _, value = line.partition(b":")
    text = value.removeprefix(b" ").decode("utf-8", "replace")
    if name == b"data":
        return event, [*data, text]
    return (text if text != "message" else "") if name == b"event" else event, data


def words(whole: list[tuple[str, str]]) -> str:
    """What the agent says in these messages: its blocks, one blank line between two."""
    blocks: dict[str, str] = {}
    for _, data in whole:
        try:
            event = json.loads(data, parse_constant=float)
            json.dumps(event, ensure_ascii=False).encode()
        except (ValueError, RecursionError):
            continue
        if isinstance(event, dict) and event.get("message_type") == "assistant_message":
            key = event.get("otid") or event["id"]
            blocks[key] = blocks.get(key, "") + event["content"]
    return "\n\n".join(text for text in blocks.values() if text)


@dataclass
class Outcome:
    """What came of one cell. `raw`: an exception that is none of the package's."""

    run: Run | None = None
    raised: str | None = None
    message: str = ""
    raw: str | None = None
    posts: int = 0

    @property
    def status(self) -> str:
        return self.run.status if self.run is not None else "nothing"

    @property
    def kept(self) -> list[tuple[str, str]]:
        """The whole messages in the log."""
        log = self.run.log if self.run is not None else None
        return [(item.event, item.data) for item in log or () if not item.torn]

    @property
    def torn(self) -> list[tuple[str, str]]:
        log = self.run.log if self.run is not None else None
        return [(item.event, item.data) for item in log or () if item.torn]

    @property
    def said(self) -> tuple[str | None, str]:
        """The type and the words of what a person is told."""
        if self.raised is not None:
            return self.raised, self.message
        error = self.run.error if self.run is not None else None
        return (error.type, error.message) if error is not None else (None, "")

    def unlike(self, want: Want) -> Iterator[str]:
        """What is not as it was wanted."""
        run = self.run
        if self.status != want.status:
            yield f"status {self.status}, not {want.status}"
        said, message = self.said
        if said != want.said or not re.search(want.words, message):
            yield f"said {said}: {message!r}, not {want.said}: {want.words!r}"
        if run is not None and run.stop_reason != want.stop_reason:
            yield f"stop_reason {run.stop_reason}, not {want.stop_reason}"
        unknown = [entry for entry in run.entries if entry.kind == "unknown"] if run is not None else []
        if len(unknown) != want.unknown:
            yield f"{len(unknown)} unknown entries, not {want.unknown}"


@dataclass
class Cell:
    """One fault met by one client, on the stream of one era and mode."""

    fault: Fault
    base: Base
    kind: Kind
    outcome: Outcome = field(default_factory=Outcome)
    sent: Sent = field(default_factory=lambda: Sent([], None))

    @property
    def lost(self) -> int:
        """Whole messages that were sent and are not in the log as they were sent."""
        kept = self.outcome.kept
        return sum(message not in kept[place : place + 1] for place, message in enumerate(self.sent.whole))

    @property
    def repeated(self) -> int:
        """Requests that deliver the message, more or fewer than there may be."""
        want = self.fault.want(self.base)
        return self.outcome.posts - (want.posts if want is not None else 1)

    def wrongs(self) -> list[str]:
        """What is not as it must be, in every cell and in this one."""
        outcome, want = self.outcome, self.fault.want(self.base)
        assert want is not None
        found = [*_always(self), *outcome.unlike(want)]
        return [f"{self.fault.name}, {self.base.era}, {self.base.mode}, {self.kind}: {wrong}" for wrong in found]


def _always(cell: Cell) -> Iterator[str]:
    outcome, run = cell.outcome, cell.outcome.run
    if outcome.raw is not None:
        yield f"a raw exception: {outcome.raw}"
    if cell.repeated:
        yield f"{outcome.posts} POSTs"
    if run is None:
        yield "no Run"
        return
    if outcome.kept != cell.sent.whole:
        yield f"kept {len(outcome.kept)} of {len(cell.sent.whole)} messages, {cell.lost} of them lost"
    if outcome.torn != [cell.sent.torn][: cell.sent.torn is not None]:
        yield f"of the torn message {str(cell.sent.torn)[:80]} this was kept: {str(outcome.torn)[:80]}"
    if run.text != words(cell.sent.whole):
        yield f"text {run.text[-40:]!r} of {words(cell.sent.whole)[-40:]!r}"
    if run.status == "running" or run.ended_at is None:
        yield "the run did not end"
    if outcome.raised is not None and _OBEYED.search(outcome.message):
        yield f"control characters in what is raised: {outcome.message!r}"
    if outcome.raised is not None and run.status != "failed":
        yield f"raised {outcome.raised}, and the run is {run.status}"
    if run.status in ("failed", "interrupted") and not (run.error or run.stop_reason):
        yield f"{run.status}, and nobody says why"


class Players:
    """Both clients, each the same for all cells, so that one cell's trouble would show in the next."""

    def __enter__(self) -> Self:
        self._stack = ExitStack()
        self.server = self._stack.enter_context(ScriptedServer())
        self._runner = self._stack.enter_context(asyncio.Runner())
        self._clients: dict[tuple[str, float | None], Any] = {}
        return self

    def __exit__(self, *exc: object) -> None:
        for (kind, _), client in self._clients.items():
            if kind == "Client":
                client.close()
            else:
                self._runner.run(client.aclose())
        self._stack.close()

    def play(self, fault: Fault, base: Base, kind: Kind) -> Cell:
        """One cell."""
        script = fault.script(base)
        return Cell(fault, base, kind, self.outcome(script, base, kind, fault.silence), read(script.body))

    def outcome(self, script: Script, base: Base, kind: Kind, silence: float | None = None) -> Outcome:
        """What one client makes of a script."""
        self.server.stream = script.steps
        # the other door plays the same, so that a second delivery there would be seen
        self.server.plays["POST", f"/v1/agents/{AGENT}/messages"] = [script.steps]
        self.server.requests.clear()
        options = {} if silence is None else {"silence": silence}
        client = self._clients.get((kind, silence))
        if client is None:
            client = self._clients[kind, silence] = getattr(letta_nb, kind)(self.server.url, **options)
        outcome = send(client, AGENT, base.mode == "token", self._runner.run)
        outcome.posts = sum(
            _SENDS.match(f"{request.method} {request.path}") is not None for request in self.server.requests
        )
        return outcome


def send(client: Any, agent: str, tokens: bool, run_async: Callable[[Any], Any], **parameters: Any) -> Outcome:
    """Send a message and read the stream to its end, whatever happens."""
    stream = client.stream(agent, "hi", stream_tokens=tokens, **parameters)
    outcome = Outcome(stream.run)

    async def drain() -> None:
        async with stream:
            async for _ in stream:
                pass

    try:
        if isinstance(client, letta_nb.AsyncClient):
            run_async(drain())
        else:
            with stream:
                list(stream)
    except letta_nb.LettaNbError as error:
        outcome.raised, outcome.message = type(error).__name__, str(error)
        if error.run is not stream.run:
            outcome.raw = f"{type(error).__name__} without its run"
    except Exception as error:
        outcome.raw = f"{type(error).__name__}: {error}"
    return outcome


def cells(fault: Fault) -> Iterator[tuple[Base, Kind]]:
    """The cells of a row."""
    return ((base, kind) for base in BASES for kind in KINDS if fault.want(base) is not None)


def all_cells(players: Players) -> Iterator[Cell]:
    """The whole matrix, row by row."""
    return (players.play(fault, base, kind) for fault in FAULTS for base, kind in cells(fault))
