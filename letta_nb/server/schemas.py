"""What clients may send. Fields of later Letta servers that this one does not have are refused, not ignored."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import AliasChoices, BaseModel, Field, JsonValue, model_validator

from letta_nb.server.items import Content, InputMessage, MessageCreate, SeedMessage

MessageType = Literal[
    "system_message",
    "user_message",
    "assistant_message",
    "reasoning_message",
    "hidden_reasoning_message",
    "tool_call_message",
    "tool_return_message",
    "approval_request_message",
    "approval_response_message",
    "summary_message",
    "event_message",
]


class ClientTool(BaseModel):
    """A tool that the client offers and runs; `parameters` is a JSON schema."""

    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None


class StreamRequest(BaseModel):
    """The body of `POST /v1/agents/{agent_id}/messages/stream`."""

    messages: list[InputMessage] | None = None
    input: Content | None = None
    use_assistant_message: bool = True
    assistant_message_tool_name: str = "send_message"
    assistant_message_tool_kwarg: str = "message"
    stream_tokens: bool = False
    streaming: bool = True
    max_steps: int = Field(default=50, ge=1)
    include_return_message_types: list[MessageType] | None = None
    include_pings: bool = True
    include_compaction_messages: bool = False
    enable_thinking: str | bool = True
    background: bool = False
    client_tools: list[ClientTool] | None = None
    client_skills: list[JsonValue] | None = None
    override_model: str | None = None
    override_system: str | None = Field(default=None, validation_alias=AliasChoices("override_system", "system"))
    return_logprobs: bool = False
    top_logprobs: int | None = None
    return_token_ids: bool = False

    @model_validator(mode="after")
    def _one_input(self) -> StreamRequest:
        if (self.messages is None) == (self.input is None):
            raise ValueError("Exactly one of 'messages' or 'input' must be provided")
        if self.messages is None and self.input is not None:
            self.messages = [MessageCreate(role="user", content=self.input)]
        return self

    def unsupported(self) -> list[str]:
        """The names of the fields that ask for what this server does not do."""
        names = ("client_skills", "return_logprobs", "top_logprobs")
        return [name for name in (*names, "return_token_ids") if getattr(self, name)]


class SeedRequest(BaseModel):
    """The body of `POST /v1/agents/{agent_id}/messages/stream` in the seed era; what came later is ignored."""

    messages: list[SeedMessage]
    use_assistant_message: bool = True
    assistant_message_tool_name: str = "send_message"
    assistant_message_tool_kwarg: str = "message"
    stream_tokens: bool = False

    def modern(self) -> StreamRequest:
        """The same request in today's form."""
        return StreamRequest.model_validate(self.model_dump())


class MessagesRequest(StreamRequest):
    """The body of `POST /v1/agents/{agent_id}/messages`, which streams only when asked to."""

    streaming: bool = False


class ConversationRequest(StreamRequest):
    """The body of `POST /v1/conversations/{conversation_id}/messages`; `agent_id` goes with the id `default`."""

    agent_id: str | None = None


class ResumeRequest(BaseModel):
    """The body of `POST /v1/runs/{run_id}/stream`. New frames are sent when they come, whatever the interval."""

    starting_after: int = Field(default=0, ge=0, le=2**53)
    include_pings: bool | None = True
    poll_interval: float | None = 0.1
    batch_size: int | None = Field(default=100, ge=1, le=10_000)


class ConversationResumeRequest(ResumeRequest):
    """The body of `POST /v1/conversations/{conversation_id}/stream`: which run, if not the one that goes on."""

    agent_id: str | None = None
    run_id: str | None = None
    otid: str | None = None


class ConversationCreate(BaseModel):
    """The body of `POST /v1/conversations/`."""

    summary: str | None = None


class CancelRequest(BaseModel):
    """The body of `POST /v1/agents/{agent_id}/messages/cancel`; without ids, all of the agent's runs."""

    run_ids: list[str] | None = None


class BlockCreate(BaseModel):
    """A memory block: labelled text that becomes part of the system prompt."""

    label: str
    value: str
    description: str | None = None
    limit: int | None = Field(default=None, ge=1, le=2**53)


class AgentCreate(BaseModel):
    """The body of `POST /v1/agents/`: as much of Letta's as means something here."""

    name: str | None = None
    agent_type: str = "letta_v1_agent"
    system: str | None = None
    model: str | None = None
    tools: list[str] | None = None
    include_base_tools: bool | None = None
    description: str | None = None
    tags: list[str] = []
    memory_blocks: list[BlockCreate] = []
    context_window_limit: int | None = Field(default=None, ge=1, le=2**53)
    metadata: dict[str, JsonValue] | None = None
