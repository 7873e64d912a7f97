"""Conversations with a server, without a socket: generators that ask for requests and are given the responses.

Both clients drive them, each with its own kind of I/O. A flow may also ask for a pause, in seconds. What a person does
not see here cannot be sent: a message goes out once, and again only through another door if the first said it is none.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from typing import Any, Literal, NamedTuple, cast
from urllib.parse import quote

import httpx
import pydantic
import pydantic_core

from letta_nb import errors
from letta_nb.addresses import shown
from letta_nb.capabilities import Capability, ServerInfo, server_info
from letta_nb.protocol import AGENT_ID, Agent
from letta_nb.refusals import body_of_response, not_a_stream, refusal, words_of


class Pause(NamedTuple):
    """A flow waits so long before it goes on."""

    seconds: float


Flow = Generator[httpx.Request | Pause, httpx.Response, Any]
Door = Literal["messages/stream", "messages"]

_PAGE = 50
_LONGEST_ID = 1000


class Flows:
    """The calls to one server."""

    def __init__(self, base_url: httpx.URL, headers: dict[str, str], streaming: httpx.Timeout) -> None:
        self.base_url = base_url
        self.streaming = streaming
        self.headers = headers
        self.known: dict[str, Agent] = {}
        self.door: Door = "messages/stream"
        self._info: ServerInfo | None = None

    def request(self, method: str, path: str, **kwargs: Any) -> httpx.Request:
        """A request to this server."""
        try:
            return httpx.Request(method, f"{shown(self.base_url)}{path}", headers=self.headers, **kwargs)
        except (httpx.InvalidURL, UnicodeEncodeError) as problem:
            raise errors.InputError(f"No server can be asked for {method} {path:.80}: {problem}") from None

    def json(self, method: str, path: str, **kwargs: Any) -> Flow:
        """A request and its JSON answer."""
        response = yield self.request(method, path, **kwargs)
        if not response.is_success:
            raise refusal(response)
        try:
            return pydantic_core.from_json(response.content)
        except ValueError:
            raise not_a_stream(response) from None

    def optional(self, path: str, **kwargs: Any) -> Flow:
        """The JSON at `path`, None where there is none to have."""
        response = yield self.request("GET", path, **kwargs)
        return body_of_response(response) if response.is_success else None

    # -- the server ----------------------------------------------------------------------------------------------------

    def health(self) -> Flow:
        """`/v1/health/`: version and status."""
        return (yield from self.json("GET", "/v1/health/"))

    def info(self) -> Flow:
        """What the server is and can do; asked until it has answered once."""
        if self._info is not None:
            return self._info
        health = yield from self.optional("/v1/health/")
        info = server_info(self.base_url, health)
        if isinstance(health, dict):  # no answer is no fact: it is asked again
            self._info = info
        return info

    def need(self, capability: Capability, what: str) -> Flow:
        """Raise ConfigurationError unless the server has it: it would ignore what it does not know."""
        info: ServerInfo = yield from self.info()
        if not info.can(capability):
            raise errors.ConfigurationError(info.lacks(capability, what))

    # -- the message ---------------------------------------------------------------------------------------------------

    def streaming_request(self, path: str, body: dict[str, Any]) -> httpx.Request:
        """A POST that is answered by a stream."""
        request = self.request("POST", path, json=body)
        request.headers["Accept"] = "text/event-stream"
        request.headers["Cache-Control"] = "no-store"
        request.extensions["timeout"] = self.streaming.as_dict()
        return request

    def send(self, agent_id: str | None, conversation_id: str | None, body: dict[str, Any]) -> Flow:
        """POST a message; the response, its stream unread. Where a door says that it is none, the next is tried."""
        if conversation_id is not None:
            yield from self.need("conversations", "conversations")
            own = {"agent_id": agent_id} if conversation_id == "default" else {}
            path = f"/v1/conversations/{segment(conversation_id)}/messages"
            return (yield self.streaming_request(path, {**body, **own, "streaming": True}))
        refused: httpx.Response | None = None
        agent = f"/v1/agents/{segment(str(agent_id))}"
        for door in self._doors():
            # before 0.14 the route is there, runs the message and answers without a stream
            if door == "messages" and not (yield from self.info()).can("message_door"):
                continue
            more = {"streaming": True} if door == "messages" else {}
            response: httpx.Response = yield self.streaming_request(f"{agent}/{door}", {**body, **more})
            if not _no_door(response):
                self.door = door
                return response
            refused = refused or response
        return refused

    def _doors(self) -> Iterator[Door]:
        yield self.door
        yield "messages" if self.door == "messages/stream" else "messages/stream"

    def resume(self, run_id: str, starting_after: int) -> httpx.Request:
        """Take up the stored stream of a background run behind the event of that number."""
        return self.streaming_request(f"/v1/runs/{segment(run_id)}/stream", {"starting_after": starting_after})

    def cancel(self, agent_id: str, run_id: str | None) -> Flow:
        """Ask the server to stop; returns what it says of each run."""
        body = {"run_ids": [run_id]} if run_id else {}
        return (yield from self.json("POST", f"/v1/agents/{segment(agent_id)}/messages/cancel", json=body))

    def new_conversation(self, agent_id: str) -> Flow:
        """Make a conversation of an agent; its id."""
        yield from self.need("conversations", "conversations")
        made = answer_of((yield from self.json("POST", "/v1/conversations/", params={"agent_id": agent_id}, json={})))
        if not isinstance(made.get("id"), str):
            raise errors.ProtocolError("The server has made a conversation without an id.")
        return made["id"]

    # -- agents --------------------------------------------------------------------------------------------------------

    def agents(self, name: str | None = None, limit: int | None = None) -> Flow:
        """All agents, page by page, or those of one name."""
        found: list[Agent] = []
        parameters: dict[str, Any] = {"limit": min(limit or _PAGE, _PAGE)}
        if name is not None:
            parameters["name"] = name
        while True:
            found_here = yield from self.json("GET", "/v1/agents/", params=parameters)
            page = cast("list[Any]", found_here if isinstance(found_here, list) else [found_here])
            fresh = [_agent(item) for item in page]
            # a server that does not know `after` would send the same page for ever
            fresh = [agent for agent in fresh if all(agent.id != old.id for old in found)]
            found += fresh
            self.known.update((agent.id, agent) for agent in fresh)
            if len(page) < parameters["limit"] or not fresh or (limit and len(found) >= limit):
                return found[:limit] if limit else found
            parameters["after"] = found[-1].id

    def agent(self, agent: str) -> Flow:
        """One agent by id or by name."""
        if AGENT_ID.match(_named(agent)):
            if agent not in self.known:
                self.known[agent] = _agent((yield from self.json("GET", f"/v1/agents/{segment(agent)}")))
            return self.known[agent]
        for known in list(self.known.values()):  # other threads add to it
            if known.name == agent:
                return known
        named = [found for found in (yield from self.agents(name=agent)) if found.name == agent]
        if len(named) == 1:
            return named[0]
        if named:
            raise errors.AgentNotFound(
                f"{len(named)} agents are named {agent!r}; use an id: {', '.join(found.id for found in named)}"
            )
        names = [found.name or found.id for found in (yield from self.agents(limit=20))]
        there = f"Its agents: {', '.join(names)}." if names else "The server has no agents yet."
        raise errors.AgentNotFound(f"There is no agent named {agent!r} at {shown(self.base_url)}. {there}")

    def agent_id(self, agent: str) -> Flow:
        """The id for an id or a name; an id costs no request."""
        if AGENT_ID.match(_named(agent)):
            return agent
        return (yield from self.agent(agent)).id


def _named(agent: Any) -> str:
    """What names an agent. Raises InputError."""
    if isinstance(agent, Agent):
        raise errors.InputError(f"An agent is named by its id or its name, not by itself: pass agent.id, {agent.id!r}.")
    if not isinstance(agent, str):
        raise errors.InputError(f"An agent is named by its id or its name, a text, not by {agent!r:.80}.")
    return agent


def _no_door(response: httpx.Response) -> bool:
    """Whether there is no such route here, or only for others: then nothing has been delivered."""
    if response.status_code == 405:
        return True
    if response.status_code not in (404, 422):
        return False
    words = words_of(body_of_response(response))
    # a route that is not there, in the framework's words; an agent that is not there is named in Letta's
    return words == "Not Found" if response.status_code == 404 else "only supported for SDK" in words


def _agent(facts: Any) -> Agent:
    try:
        return Agent.model_validate(facts)
    except pydantic.ValidationError:
        raise errors.ProtocolError(f"This is no agent of a Letta server: {facts!r:.200}") from None


def segment(name: str) -> str:
    """An id as one segment of a path, whatever it holds; cut where it is longer than any server's."""
    quoted = quote(name[:_LONGEST_ID], safe="", errors="replace")
    return quoted if quoted.strip(".") else quoted.replace(".", "%2E")


def answer_of(value: Any) -> Mapping[str, Any]:
    """A JSON object of the server's, {} for anything else."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}
