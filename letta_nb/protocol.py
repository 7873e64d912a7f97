"""What is said over HTTP, without a socket: addresses, bodies, refusals, and the flows that both clients drive."""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypedDict, cast, get_type_hints

import httpx
import pydantic
import pydantic_core
from pydantic import BaseModel, ConfigDict

from letta_nb import errors
from letta_nb.addresses import shown

# M validates exactly this; anything else is taken for a name
AGENT_ID = re.compile(r"agent-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\Z")
_PAGE = 50

Messages = str | Sequence[Mapping[str, Any]]
Flow = Generator[httpx.Request, httpx.Response, Any]


class SendParameters(TypedDict, total=False):
    """The endpoint's own parameters, under their own names; what is left out is left to the server.

    All servers: use_assistant_message, assistant_message_tool_name, assistant_message_tool_kwarg, stream_tokens.
    Later: max_steps (0.8.4), include_return_message_types (0.8.3), include_pings (0.10), enable_thinking ("true" or
    "false", 0.10), client_tools (0.16.2), override_model (0.16.4), include_compaction_messages,
    return_logprobs, top_logprobs, return_token_ids (0.16.5), client_skills, override_system (0.16.7).
    """

    use_assistant_message: bool
    assistant_message_tool_name: str
    assistant_message_tool_kwarg: str
    stream_tokens: bool
    max_steps: int
    include_return_message_types: Sequence[str]
    include_pings: bool
    enable_thinking: str
    client_tools: Sequence[Mapping[str, Any]]
    client_skills: Sequence[Mapping[str, Any]]
    override_model: str
    override_system: str
    include_compaction_messages: bool
    return_logprobs: bool
    top_logprobs: int
    return_token_ids: bool


class Parameters(SendParameters, total=False):
    """`SendParameters` and `background` (0.11.5): the server keeps the run's stream for later readers."""

    background: bool


_PARAMETERS = get_type_hints(Parameters)


class Agent(BaseModel):
    """An agent as its server lists it; all other fields of the server are kept as attributes."""

    model_config = ConfigDict(extra="allow", protected_namespaces=())

    id: str
    name: str | None = None
    agent_type: str | None = None
    model: str | None = None
    description: str | None = None
    tags: list[str] | None = None
    llm_config: dict[str, Any] | None = None

    @property
    def model_name(self) -> str | None:
        """The model's name without its provider, from whichever field this server has."""
        name = (self.llm_config or {}).get("model") or self.model
        return None if name is None else str(name).rpartition("/")[2]

    def __repr__(self) -> str:
        return f"<Agent {self.name!r} {self.id}>"


def messages_of(messages: Messages) -> list[dict[str, Any]]:
    """The request's `messages`: a string is one user message."""
    if isinstance(messages, str):
        if not messages.strip():
            raise errors.InputError("The prompt is empty. Say something to the agent.")
        return [{"role": "user", "content": messages}]
    # what a caller without a type checker may pass
    if not isinstance(messages, Sequence) or not all(isinstance(message, Mapping) for message in messages):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise errors.InputError(f"A prompt is text, or a list of messages as dicts; this is {messages!r:.80}.")
    items = [dict(message) for message in messages]
    if not items:
        raise errors.InputError("There is no message to send: messages is an empty list.")
    return items


def body_of(messages: Messages, parameters: Parameters, extra_body: Mapping[str, Any] | None) -> dict[str, Any]:
    """The JSON body of a message request."""
    unknown = parameters.keys() - _PARAMETERS.keys()
    if unknown:
        raise TypeError(
            f"unknown parameter {', '.join(sorted(unknown))}. The endpoint has "
            f"{', '.join(_PARAMETERS)}; send anything newer in extra_body={{...}}."
        )
    body: dict[str, Any] = {"messages": messages_of(messages), "stream_tokens": True}
    body.update((name, value) for name, value in parameters.items() if value is not None)
    body |= dict(extra_body or {})
    try:
        json.dumps(body, ensure_ascii=False).encode()
    except (TypeError, ValueError) as problem:
        raise errors.InputError(f"The request cannot be written as JSON: {problem}") from None
    return body


def now() -> datetime:
    """Wall clock, UTC."""
    return datetime.now(UTC)


# -- refusals ---------------------------------------------------------------------------------------------------------

_BY_STATUS: dict[int, type[errors.HTTPError]] = {
    400: errors.BadRequest,
    401: errors.AuthenticationError,
    402: errors.PaymentRequired,
    403: errors.AuthenticationError,
    404: errors.NotFound,
    405: errors.BadRequest,
    409: errors.Conflict,
    410: errors.Gone,
    415: errors.BadRequest,
    422: errors.ValidationError,
    429: errors.RateLimited,
}
_NEXT_MOVE = {
    401: "Check the key: letta_nb.connect(url, api_key=...) or LETTA_API_KEY; a server's password goes in password=.",
    403: "Check the key: letta_nb.connect(url, api_key=...) or LETTA_API_KEY; a server's password goes in password=.",
    404: "letta_nb.agents() lists the agents there are.",
    429: "Wait before the next message; nothing was sent again.",
}


def refusal(response: httpx.Response) -> errors.LettaNbError:
    """The typed error for a response that is no success; its body must have been read."""
    status, body = response.status_code, _body(response)
    where = f"{response.request.method} {shown(response.request.url)}"
    if response.is_redirect:
        return errors.ProtocolError(
            f"{where} was redirected to {response.headers.get('location')}; connect there instead."
        )
    words = words_of(body)
    kind = _BY_STATUS.get(status, errors.ServerError if status >= 500 else errors.BadRequest)
    text = f"HTTP {status} from {where}: {words}"
    if status in _NEXT_MOVE:
        text += f"\n{_NEXT_MOVE[status]}"
    return kind(text, status_code=status, message=words, body=body)


def _body(response: httpx.Response) -> Any:
    try:
        return pydantic_core.from_json(response.content)
    except ValueError:
        return response.text


def words_of(body: Any) -> str:
    """The server's own words in an error body: `detail` or `error`, each a string, an object or a list."""
    if isinstance(body, str):
        return _one_line(body) or "(no message)"
    if not isinstance(body, dict):
        return _one_line(str(body))
    facts = cast("dict[str, Any]", body)
    words: Any = facts.get("detail", facts.get("error", facts))
    if isinstance(words, dict):
        inner = cast("dict[str, Any]", words)
        parts = [inner.get(key) for key in ("code", "type", "message", "detail")]
        words = ": ".join(str(part) for part in parts if part) or str(inner)
    if isinstance(words, list):
        words = "; ".join(_validation_words(item) for item in cast("list[Any]", words))
    return _one_line(str(words))


def _validation_words(item: Any) -> str:
    if not isinstance(item, dict):
        return str(item)
    facts = cast("dict[str, Any]", item)
    return f"{'.'.join(map(str, facts.get('loc') or ()))}: {facts.get('msg', facts)}"


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 600 else line[:600] + " …"


def not_a_stream(response: httpx.Response) -> errors.ProtocolError:
    """The error for a 200 whose body is no event stream; its body must have been read."""
    kind = response.headers.get("content-type", "no content type").partition(";")[0]
    return errors.ProtocolError(
        f"{shown(response.request.url)} answered with {kind}, not as a Letta server does. Is this one?\n"
        f"It said: {_one_line(response.text)[:200]}"
    )


def unreachable(url: httpx.URL, problem: Exception) -> errors.LettaNbError:
    """The error for a request that got no answer at all."""
    if isinstance(problem, (httpx.ConnectError, httpx.ConnectTimeout)):
        return errors.ConnectionFailed(
            f"No server answered at {shown(url)} ({problem}). Is it running? letta_nb.connect(url) names another; "
            "without a server, letta_nb.connect() starts the embedded one."
        )
    return errors.ConnectionFailed(
        f"{shown(url)} closed the connection before it answered ({_reason(problem)}). "
        "The request may have reached it; it was not sent again."
    )


def _reason(problem: Exception) -> str:
    # h11's own complaints quote headers, and headers hold keys
    quotes = isinstance(problem, httpx.LocalProtocolError)
    return type(problem).__name__ if quotes else str(problem) or type(problem).__name__


# -- flows: requests out, responses in, a value at the end ------------------------------------------------------------


class Flows:
    """The calls around the stream, as generators of requests: each client drives them with its own kind of I/O."""

    def __init__(self, base_url: httpx.URL, headers: dict[str, str], streaming: httpx.Timeout) -> None:
        self.base_url = base_url
        self.streaming = streaming
        self.headers = headers
        self.known: dict[str, Agent] = {}

    def request(self, method: str, path: str, **kwargs: Any) -> httpx.Request:
        """A request to this server."""
        return httpx.Request(method, f"{shown(self.base_url)}{path}", headers=self.headers, **kwargs)

    def stream(self, agent_id: str, body: dict[str, Any]) -> httpx.Request:
        """The message request."""
        request = self.request("POST", f"/v1/agents/{agent_id}/messages/stream", json=body)
        request.headers["Accept"] = "text/event-stream"
        request.headers["Cache-Control"] = "no-store"
        request.extensions["timeout"] = self.streaming.as_dict()
        return request

    def _json(self, request: httpx.Request) -> Flow:
        response = yield request
        if not response.is_success:
            raise refusal(response)
        try:
            return pydantic_core.from_json(response.content)
        except ValueError:
            raise not_a_stream(response) from None

    def health(self) -> Flow:
        """`/v1/health/`: version and status."""
        return (yield from self._json(self.request("GET", "/v1/health/")))

    def agents(self, name: str | None = None, limit: int | None = None) -> Flow:
        """All agents, page by page, or those of one name."""
        found: list[Agent] = []
        parameters: dict[str, Any] = {"limit": min(limit or _PAGE, _PAGE)}
        if name is not None:
            parameters["name"] = name
        while True:
            found_here = yield from self._json(self.request("GET", "/v1/agents/", params=parameters))
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
        if AGENT_ID.match(agent):
            if agent not in self.known:
                self.known[agent] = Agent.model_validate(
                    (yield from self._json(self.request("GET", f"/v1/agents/{agent}")))
                )
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
        there = f"There are {', '.join(names)}." if names else "The server has no agents yet."
        raise errors.AgentNotFound(f"There is no agent named {agent!r} at {shown(self.base_url)}. {there}")

    def agent_id(self, agent: str) -> Flow:
        """The id for an id or a name; an id costs no request."""
        if AGENT_ID.match(agent):
            return agent
        return (yield from self.agent(agent)).id

    def cancel(self, agent_id: str, run_id: str | None) -> Flow:
        """Ask the server to stop; returns what it says of each run."""
        body = {"run_ids": [run_id]} if run_id else {}
        return (yield from self._json(self.request("POST", f"/v1/agents/{agent_id}/messages/cancel", json=body)))

    def step_rows(self, run_id: str) -> Flow:
        """The server's rows of a run's steps, each with its metrics merged in; [] where the server has none."""
        found = yield from self._optional(self.request("GET", f"/v1/runs/{run_id}/steps", params={"limit": 1000}))
        rows = [row for row in cast("list[Any]", found) if _has_id(row)] if isinstance(found, list) else []
        joined: list[dict[str, Any]] = []
        try:
            for row in rows:
                metrics = yield from self._optional(self.request("GET", f"/v1/steps/{row['id']}/metrics"))
                joined.append({**row, **(metrics if isinstance(metrics, dict) else {})})
        except httpx.TransportError:  # the time is over: what has come is worth having
            joined += rows[len(joined) :]
        return joined

    def _optional(self, request: httpx.Request) -> Flow:
        response = yield request
        return _body(response) if response.is_success else None


def _agent(facts: Any) -> Agent:
    try:
        return Agent.model_validate(facts)
    except pydantic.ValidationError:
        raise errors.ProtocolError(f"This is no agent of a Letta server: {facts!r:.200}") from None


def _has_id(row: Any) -> bool:
    return isinstance(row, dict) and isinstance(cast("dict[str, Any]", row).get("id"), str)
