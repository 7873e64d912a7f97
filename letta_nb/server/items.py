"""The items of a request's `messages`: words, answers to approval requests, and returns of the client's tools."""

from __future__ import annotations

from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, Discriminator, Field, Tag


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


class SeedMessage(BaseModel):
    """A message from outside as the seed era took it: text from the user or the system."""

    role: Literal["user", "system"]
    content: str | list[TextPart]
    name: str | None = None
    otid: str | None = None


class Approval(BaseModel):
    """The user's word on one call."""

    type: Literal["approval"] = "approval"
    tool_call_id: str
    approve: bool
    reason: str | None = None


class ToolReturn(BaseModel):
    """What a call that the client ran gave back."""

    type: Literal["tool"] = "tool"
    tool_call_id: str
    tool_return: Content
    status: Literal["success", "error"]
    stdout: list[str] | None = None
    stderr: list[str] | None = None


Answer = Annotated[Approval | ToolReturn, Field(discriminator="type")]


class ApprovalCreate(BaseModel):
    """Answers to an approval request. `approve` and `approval_request_id` are the older form, for all its calls."""

    type: Literal["approval"] = "approval"
    approvals: list[Answer] | None = None
    approve: bool | None = None
    approval_request_id: str | None = None
    reason: str | None = None
    otid: str | None = None

    def answers(self) -> list[Answer]:
        """The answers, the older form as one for the id of the request."""
        if self.approvals is None and self.approve is not None and self.approval_request_id is not None:
            return [Approval(tool_call_id=self.approval_request_id, approve=self.approve, reason=self.reason)]
        return list(self.approvals or [])


class ToolReturnCreate(BaseModel):
    """Returns of calls that the client ran."""

    type: Literal["tool_return"] = "tool_return"
    tool_returns: list[ToolReturn]
    otid: str | None = None

    def answers(self) -> list[Answer]:
        """The returns."""
        return list(self.tool_returns)


def _kind(value: Any) -> str:
    if not isinstance(value, dict):
        return "message"
    item = cast("dict[str, Any]", value)
    kind = item.get("type")
    if kind in ("approval", "tool_return"):
        return kind
    return "approval" if kind is None and ("approve" in item or "approval_request_id" in item) else "message"


InputMessage = Annotated[
    Annotated[MessageCreate, Tag("message")]
    | Annotated[ApprovalCreate, Tag("approval")]
    | Annotated[ToolReturnCreate, Tag("tool_return")],
    Discriminator(_kind),
]
