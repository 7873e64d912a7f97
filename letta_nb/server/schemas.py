"""What clients may send. Fields of later Letta servers that this one does not have are refused, not ignored."""

from __future__ import annotations

from typing import Annotated, Any, Literal, cast

from pydantic import AliasChoices, BaseModel, Discriminator, Field, JsonValue, Tag, model_validator


class TextPart(BaseModel):
    """A text part of a message's content."""

    type: Literal["text"] = "text"
    text: str


class UrlImage(BaseModel):
    """An image that the model's provider fetches."""

    type: Literal["url"] = "url"
    url: str


class Base64Image(BaseModel):
    """An image in the request."""

    type: Literal["base64"] = "base64"
    media_type: str
    data: str


class ImagePart(BaseModel):
    """An image part of a message's content."""

    type: Literal["image"] = "image"
    source: Annotated[UrlImage | Base64Image, Field(discriminator="type")]


Content = str | list[Annotated[TextPart | ImagePart, Field(discriminator="type")]]


class MessageCreate(BaseModel):
    """A message from outside."""

    type: Literal["message"] = "message"
    role: Literal["user", "system", "assistant"]
    content: Content
    name: str | None = None
    otid: str | None = None


class ApprovalCreate(BaseModel):
    """An answer to an approval request, in any of its forms."""

    type: Literal["approval", "tool_return"] = "approval"


def _kind(value: Any) -> str:
    if not isinstance(value, dict):
        return "message"
    item = cast("dict[str, Any]", value)
    kind = item.get("type")
    if kind in ("approval", "tool_return"):
        return "answer"
    return "answer" if kind is None and ("approve" in item or "approval_request_id" in item) else "message"


InputMessage = Annotated[
    Annotated[MessageCreate, Tag("message")] | Annotated[ApprovalCreate, Tag("answer")], Discriminator(_kind)
]


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
    include_return_message_types: list[str] | None = None
    include_pings: bool = True
    include_compaction_messages: bool = False
    enable_thinking: str | bool = True
    background: bool = False
    client_tools: list[JsonValue] | None = None
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
        names = ("background", "client_tools", "client_skills", "override_model", "return_logprobs", "top_logprobs")
        return [name for name in (*names, "return_token_ids") if getattr(self, name)]


class CancelRequest(BaseModel):
    """The body of `POST /v1/agents/{agent_id}/messages/cancel`; without ids, all of the agent's runs."""

    run_ids: list[str] | None = None


class BlockCreate(BaseModel):
    """A memory block: labelled text that becomes part of the system prompt."""

    label: str
    value: str
    description: str | None = None
    limit: int | None = None


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
    metadata: dict[str, JsonValue] | None = None
