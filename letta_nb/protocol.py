"""The message request: its parameters, its body, and the agents it goes to. No socket, no state."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypedDict, get_type_hints

from pydantic import BaseModel, ConfigDict

from letta_nb import errors
from letta_nb.cleaning import clean

# M validates exactly this; anything else is taken for a name
AGENT_ID = re.compile(r"agent-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\Z")

# where a conversation is named: one that is made for the message
NEW = "new"

Messages = str | Sequence[Mapping[str, Any]]


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
        return None if name is None else model_name(str(name))

    def __repr__(self) -> str:
        return f"<Agent {self.name!r} {clean(self.id)}>"


def model_name(handle: str) -> str:
    """A model's name without its provider: `gpt-4o-mini` of `openai/gpt-4o-mini`."""
    return handle.rpartition("/")[2]


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
