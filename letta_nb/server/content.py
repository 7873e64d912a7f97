"""The content of a client's message in pydantic-ai's form."""

from __future__ import annotations

import base64
from collections.abc import Sequence

from pydantic_ai.messages import BinaryContent, ImageUrl, UserContent

from letta_nb.server.failures import RefusedInput
from letta_nb.server.items import Content, TextPart


def user_content(content: Content) -> str | Sequence[UserContent]:
    """What the model is shown of it."""
    return content if isinstance(content, str) else native_content(content)


def native_content(content: Content) -> list[UserContent]:
    """Its parts."""
    if isinstance(content, str):
        return [content]
    parts: list[UserContent] = []
    for part in content:
        if isinstance(part, TextPart):
            parts.append(part.text)
        elif part.source.type == "url":
            parts.append(ImageUrl(part.source.url))
        else:
            parts.append(BinaryContent(_decoded(part.source.data), media_type=part.source.media_type))
    return parts


def _decoded(data: str) -> bytes:
    try:
        return base64.b64decode(data)
    except ValueError as error:
        raise RefusedInput(f"An image is not valid base64: {error}") from error


def plain_text(content: Content) -> str:
    """Its text parts, a line each."""
    return "\n".join(part for part in native_content(content) if isinstance(part, str))
