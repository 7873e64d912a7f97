"""What both clients say in the same way: the address, the headers, the options of httpx, and what goes into a request.

A POST is sent once, whatever happens: a message that may have been delivered is never delivered again.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

import httpx

from letta_nb import addresses, history, protocol
from letta_nb.answers import Given
from letta_nb.errors import InputError
from letta_nb.exchange import Attach, Message, Reply
from letta_nb.flows import Door, Flows, segment
from letta_nb.history import Pages, Since
from letta_nb.protocol import Messages, Parameters
from letta_nb.run import Run

# Modern servers ping every 20 to 50 s and old ones give up after 10 min: longer silence means that nobody is there.
SILENCE = 660.0


class Connection:
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
        door: Door = "messages/stream",
    ) -> None:
        url, own = addresses.resolve(base_url, api_key, password)
        for name, bound in (("timeout", timeout), ("silence", silence)):
            if bound is not None and (not isinstance(bound, Real) or not bound > 0):
                raise InputError(f"{name} takes seconds, more than 0, not {bound!r:.80}.")
        # `read` bounds silence in a stream, not the run: pings reset it
        streaming = httpx.Timeout(timeout, read=silence)
        self.flows = Flows(url, {**own, **addresses.checked(headers or {})}, streaming)
        self.flows.door = door
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

    def _message(
        self,
        agent: str,
        messages: Messages,
        conversation: str | None,
        parameters: Parameters,
        extra_body: Mapping[str, Any] | None,
        record: bool,
        make_do: bool,
    ) -> tuple[Message, Run]:
        if conversation is not None and (not isinstance(conversation, str) or not conversation.strip()):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InputError(f'conversation takes the id of one, "default" or "new", not {conversation!r:.80}.')
        body = protocol.body_of(messages, parameters, extra_body)
        there = None if conversation == protocol.NEW else conversation
        run = Run(body, server=self.base_url, conversation_id=there, record=record)
        return Message(agent, body, conversation, make_do), run

    def clock_of(self, run: Run) -> int:
        """A run's zero on this process's monotonic clock, ns; a past run's clock goes on by the calendar."""
        gone = round((protocol.now() - run.started).total_seconds() * 1e9)
        return time.monotonic_ns() - max(gone, run.ended_at or 0)

    def _answers(self, run: Run, answers: Given, start: int | None) -> tuple[Reply, Run, int]:
        return Reply(answers), run, self.clock_of(run) if start is None else start

    def _attach(self, run_id: str, record: bool) -> tuple[Attach, Run]:
        history.checked_id(run_id)
        run = Run({"starting_after": 0}, server=self.base_url, record=record)
        run.run_id = run.legs[0].run_id = run_id
        return Attach(run_id), run

    def _run_pages(
        self,
        agent_id: str | None,
        conversation: str | None,
        statuses: Sequence[str] | None,
        since: Since | None,
        limit: int | None,
    ) -> Pages:
        parameters: dict[str, Any] = {"agent_id": agent_id, "conversation_id": conversation, "order": "desc"}
        parameters["statuses"] = history.statuses_of(statuses)
        return Pages(self.flows, "/v1/runs/", parameters, limit=limit, since=history.since_of(since))

    def _message_pages(self, agent_id: str, conversation: str | None, limit: int | None) -> Pages:
        path = f"/v1/agents/{segment(agent_id)}/messages"
        if conversation is not None and conversation != "default":
            path = f"/v1/conversations/{segment(conversation)}/messages"
        return Pages(self.flows, path, {"order": "asc"}, limit=limit, rows_are_items=False)


def deadline_of(timeout: float | None) -> float | None:
    return None if timeout is None else time.monotonic() + timeout


def hurry(request: httpx.Request, deadline: float | None) -> None:
    """Bound each wait of a request by what is left until the deadline."""
    if (left := left_of(deadline)) is not None:
        request.extensions["timeout"] = httpx.Timeout(left).as_dict()


def left_of(deadline: float | None) -> float | None:
    """s until the deadline, never nothing: an answer that is there already may still be read."""
    return None if deadline is None else max(deadline - time.monotonic(), 0.001)


def late(request: httpx.Request) -> httpx.ReadTimeout:
    """The error for an answer that was still coming when the time was over."""
    return httpx.ReadTimeout("The answer was not complete in time.", request=request)
