"""A message on its way, without its I/O: what is sent, the Run it opens or goes on with, and what each end means.

The two shells in `stream` drive it. A POST is sent once. Only the stored stream of a background run is asked for again,
from behind the last event that came: that repeats nothing to the agent.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

import httpx

from letta_nb import events, history, prices, protocol, sse
from letta_nb.answers import Answers, Given, given
from letta_nb.entries import Change, RunChanged, RunError
from letta_nb.errors import HTTPError, LettaNbError, ProtocolError
from letta_nb.flows import Flow, Flows, Pause
from letta_nb.log import Received
from letta_nb.refusals import body_of_response, not_a_stream, refusal, unreachable, words_of
from letta_nb.run import Run

# How long to wait before each try to take up a broken stream again, s.
RETRIES = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
# refusals that another try may not meet: a proxy's, of a server that is just coming back
_PASSING = (429, 500, 502, 503, 504)
_STEP = 0.25
_ASKED = ("user_message", "system_message")


@dataclass(frozen=True)
class Message:
    """A message to an agent, in one of its conversations if it is named, or in a "new" one. Opens a run.

    `make_do`: a background run may become a foreground one where the server keeps no streams.
    """

    agent: str
    body: dict[str, Any]
    conversation_id: str | None = None
    make_do: bool = False


@dataclass(frozen=True)
class Reply:
    """The answers to the approval requests of a run, which goes on with them."""

    given: Given


@dataclass(frozen=True)
class Attach:
    """The stored stream of a background run, from its beginning."""

    run_id: str


class Exchange:
    """What both streams share: the request, the Run, the clock, and what the end of the connection means."""

    def __init__(self, flows: Flows, sent: Message | Reply | Attach, run: Run, start: int | None = None) -> None:
        self.run = run
        self.changes: list[Change] = []
        # told when changes come without an event, while the stream is being taken up again
        self.on_change: Callable[[], None] = lambda: None
        # called when the agent of a message is known, and nothing has been sent to it yet
        self.before_sent: Callable[[], None] = lambda: None
        self._flows = flows
        self.sent = sent
        self._start = time.monotonic_ns() if start is None else start
        self.response: httpx.Response | None = None
        # set by whoever wants the run stopped: nothing is sent any more
        self.stopping = False
        self._answers: Answers | None = None  # on their way, and not taken yet
        self._shut = False
        self._retries: Iterator[float] = iter(RETRIES)
        self._resumed_from: int | None = -1
        self.closed = False
        self._entered = False

    def take(self) -> list[Change]:
        """The changes since this was last called."""
        changes, self.changes = self.changes, []
        return changes

    @property
    def start(self) -> int:
        """The run's zero on this process's monotonic clock, ns."""
        return self._start

    def elapsed(self) -> int:
        """ns since the run's first request was sent."""
        return time.monotonic_ns() - self._start

    def shutdown(self) -> None:
        """End the connection from another thread: a read that blocks returns at once. This alone is no cancel."""
        self._shut = True  # if it is too early, `_opening` sees to it
        # a closed response's connection may carry another request by now
        response = None if self.closed else self.response
        stream = response.extensions.get("network_stream") if response is not None else None
        connection = stream.get_extra_info("socket") if stream is not None else None
        if connection is not None:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    # -- the request ---------------------------------------------------------------------------------------------------

    def _opening(self) -> Flow:
        """Send what is to be sent; whether a stream came back. The response is checked but not read."""
        match self.sent:
            case Message() as message:
                response = yield from self._send(message)
            case Reply() as reply:
                response = yield from self._reply(reply)
            case Attach(run_id):
                response = yield from self._attach(run_id)
        self.response = response
        if self._shut:
            self.shutdown()
        return response is None or is_stream(response)

    def _send(self, message: Message) -> Flow:
        run, flows = self.run, self._flows
        if message.body.get("client_tools"):
            yield from flows.need(
                "client_tools", "client tools: functions of this notebook cannot be offered to its agents"
            )
        run.agent_id = yield from flows.agent_id(message.agent)
        known = flows.known.get(run.agent_id or "")
        if known is not None:
            run.agent_name, run.model = known.name, known.model_name
            run.provider = prices.provider_of(known.llm_config, known.model)
        if isinstance(instead := message.body.get("override_model"), str):
            run.model, run.provider = protocol.model_name(instead), prices.provider_of(None, instead)
        if message.conversation_id == protocol.NEW:
            run.conversation_id = yield from flows.new_conversation(str(run.agent_id))
        self.before_sent()
        if self.stopping:  # before anything was sent: then nothing is
            self.changes = run.end(self.elapsed(), cancelled=True)
            return None
        run.started, self._start = protocol.now(), time.monotonic_ns()
        self.changes += [RunChanged(0, ("agent", "model", "started"))]
        response = yield from flows.send(run.agent_id, run.conversation_id, message.body)
        if not (message.make_do and _keeps_no_streams(response)):
            return response
        # refused before anything was done with it: sending it in another way repeats nothing
        body = {key: value for key, value in message.body.items() if key != "background"}
        run.request = run.legs[0].request = body
        run.note = "This server keeps no streams (it has no Redis): a broken connection cannot be taken up again."
        self.changes.append(RunChanged(0, ("note",)))
        return (yield from flows.send(run.agent_id, run.conversation_id, body))

    def _reply(self, reply: Reply) -> Flow:
        run, at = self.run, self.elapsed()
        self._answers = answers = given(run, reply.given)
        if self.stopping:  # before they were sent: then nothing is
            self.changes = answers.withdraw(at)
            return None
        body = answers.body()
        response = yield from self._flows.send(run.agent_id, run.conversation_id, body)
        if is_stream(response):
            self.changes += run.begin("answer", body, at, calls=answers.times())
            self._answers = None
        return response

    def _attach(self, run_id: str) -> Flow:
        run, flows = self.run, self._flows
        row = yield from history.run_row(flows, run_id)
        if not isinstance(row.get("agent_id"), str):
            raise ProtocolError(f"The server does not say which agent the run {run_id} is of.")
        agent = yield from flows.agent(str(row["agent_id"]))
        run.agent_id, run.agent_name, run.model = agent.id, agent.name, agent.model_name
        run.provider = prices.provider_of(agent.llm_config, agent.model)
        run.conversation_id = row.get("conversation_id")
        self.changes = [RunChanged(0, ("agent", "model"))]
        messages = yield from history.messages_of_run(flows, run_id)
        response = yield flows.resume(run_id, 0)
        if is_stream(response):
            run.request = run.legs[0].request = {"starting_after": 0, "background": True}
            # what was asked is not in the stream
            self._fold([message for message in messages if message.get("message_type") in _ASKED], 0)
            return response
        reason = self.verdict(response)
        if not isinstance(reason, HTTPError):
            raise reason
        # no stream is kept of this run, or not any more: what it said is still there
        run.timed = False
        self._fold(messages, -1)
        run.note = f"Its stream cannot be read again ({reason.message}); the messages were fetched instead."
        steps = yield from history.step_rows(flows, run_id)
        self.changes += run.end(None, RunError("not_kept", "The run is not over, and its stream cannot be joined."))
        self.changes += run.join_server({"steps": steps, "run": row})
        self.changes.append(RunChanged(None, ("note", "timed")))
        return None

    def _fold(self, messages: list[dict[str, Any]], at: int) -> None:
        for message in messages:
            words = json.dumps(message, ensure_ascii=False, separators=(",", ":"))
            self.changes += self.run.receive(Received(at, "", words))[1]

    def enter(self) -> Flow:
        if self._entered:
            raise RuntimeError("a stream is entered once: a second time would send the message again")
        self._entered = True
        return self._opening()

    def unread(self) -> httpx.Response | None:
        """The response to read, None if the run was stopped before one was asked for."""
        if not self._entered:
            raise RuntimeError("a stream is entered first: with client.stream(...) as stream")
        return self.response

    def took(self, message: sse.Message) -> events.AnyEvent:
        event, self.changes = self.run.receive(Received(time.monotonic_ns() - self._start, *message))
        return event

    # -- the end -------------------------------------------------------------------------------------------------------

    def after(self, problem: Exception | None) -> Flow:
        """The connection ended: the response to read on from if the stream can be taken up again, else None."""
        run = self.run
        if not self._can_resume():
            self.over(problem)
            return None
        lost, reason = self.elapsed(), None
        self._tell(run.lose(lost))
        if run.seq_id != self._resumed_from:  # it said something new: a fresh start
            self._retries, self._resumed_from = iter(RETRIES), run.seq_id
        for pause in self._retries:
            yield from self._pause(pause)
            if self.stopping or self._shut:
                break
            at = self.elapsed()
            request = self._flows.resume(cast(str, run.legs[-1].run_id), run.seq_id or 0)
            try:
                response: httpx.Response = yield request
            except sse.BROKEN as again:
                reason = again
                continue
            if is_stream(response):
                self._tell(run.begin("resume", {"starting_after": run.seq_id or 0}, at, lost_at=lost))
                self.response, self.closed = response, False
                return response
            reason = self.verdict(response)
            if response.status_code not in _PASSING or _keeps_no_streams(response):
                break
        self.over(problem, reason)
        return None

    def _pause(self, seconds: float) -> Flow:
        """Wait, in steps: whoever stops the run must not wait with us."""
        yield Pause(min(seconds, _STEP))
        while (seconds := seconds - _STEP) > 0 and not (self.stopping or self._shut):
            yield Pause(min(seconds, _STEP))

    def _can_resume(self) -> bool:
        """Whether the run goes on without us, and the server keeps what it says meanwhile."""
        run = self.run
        kept = bool((run.request or {}).get("background")) or isinstance(self.sent, Attach)
        goes_on = run.status == "running" and run.stop_reason is None and run.error is None
        return kept and goes_on and run.legs[-1].run_id is not None and not self._shut

    def _tell(self, changes: list[Change]) -> None:
        self.changes = changes
        self.on_change()

    def over(self, problem: Exception | None, reason: Exception | None = None) -> None:
        at = self.elapsed() if self.run.lost_at is None else self.run.lost_at
        after = f"after {at / 1e9:.2f} s"
        if reason is not None:
            words = f"The connection broke {after}, and the stream could not be taken up again."
            error = RunError("connection_lost", words, str(reason) or type(reason).__name__)
        elif problem is None:
            error = RunError("connection_closed", f"The connection closed {after}, before the run ended.")
        elif isinstance(problem, httpx.ReadTimeout):
            error = RunError("silence", "Nothing arrived for too long, not even a ping.")
        else:
            words = f"The connection broke {after}, before the run ended."
            error = RunError("connection_lost", words, str(problem) or type(problem).__name__)
        self._end(error)

    def left(self) -> None:
        self._end(RunError("closed", "The stream was closed here before the run ended."))

    def _end(self, error: RunError) -> None:
        # closing a socket is no cancel: only the server's word makes a run "cancelled"
        cancel = self.run.cancellation
        stopped = cancel is not None and cancel.outcome == "cancelled"
        self.changes = self.changes + self.run.end(self.elapsed(), error, cancelled=stopped)

    def refused(self, problem: Exception) -> LettaNbError:
        error = problem if isinstance(problem, LettaNbError) else unreachable(self._flows.base_url, problem)
        error.run = self.run
        if self.run.status == "running":
            self.changes += self.run.fail(self.elapsed(), RunError(type(error).__name__, str(error)))
        self.withdraw()
        return error

    def withdraw(self) -> None:
        """Answers that no server has taken are open again."""
        if self._answers is not None:
            self.changes += self._answers.withdraw(self.elapsed())

    def verdict(self, response: httpx.Response | None = None) -> LettaNbError:
        response = response or cast(httpx.Response, self.response)
        return not_a_stream(response) if response.is_success else refusal(response)


def is_stream(response: httpx.Response) -> bool:
    """Whether the response is a stream of server-sent events."""
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    return response.is_success and kind == "text/event-stream"


def _keeps_no_streams(response: httpx.Response) -> bool:
    return response.status_code == 503 and "redis" in words_of(body_of_response(response)).lower()
