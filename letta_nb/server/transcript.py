"""Messages as rows: pydantic-ai's form for the model's memory, Letta's events for the lists."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any
from uuid import uuid4

from pydantic_ai.messages import (
    BinaryContent,
    ImageUrl,
    ModelMessage,
    ModelMessagesTypeAdapter,
    ModelRequest,
    ModelResponse,
    SystemPromptPart,
    TextPart,
    ToolReturnPart,
    UserContent,
    UserPromptPart,
    repair_messages,
)

from letta_nb.server import wire
from letta_nb.server.events import MessageTool, Reply, response_events, shown_returns
from letta_nb.server.failures import RefusedInput
from letta_nb.server.schemas import ApprovalCreate, Content, MessageCreate
from letta_nb.server.schemas import TextPart as TextContent
from letta_nb.server.store import Row, Store
from letta_nb.server.tools import ToolOutput
from letta_nb.server.wire import Event

_NO_APPROVAL = (
    "Cannot process approval response: No tool call is currently awaiting approval. "
    "Please send a regular message to interact with the agent."
)


class Transcript:
    """The messages of all agents."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add_input(
        self, messages: Sequence[MessageCreate | ApprovalCreate], agent_id: str, run_id: str, step_id: str
    ) -> list[ModelMessage]:
        """Store the messages that a run starts from, all or none; returns them in the model's form."""
        accepted: list[MessageCreate] = []
        for message in messages:
            if not isinstance(message, MessageCreate):
                raise RefusedInput(_NO_APPROVAL)
            if not message.content:
                raise RefusedInput("Message content is empty or invalid")
            accepted.append(message)
        if not accepted or accepted[-1].role == "assistant":
            raise RefusedInput("The last message must be from the user or the system")
        return [self._add_message(message, agent_id, Reply(step_id, run_id)) for message in accepted]

    def _add_message(self, message: MessageCreate, agent_id: str, reply: Reply) -> ModelMessage:
        native = _native_input(message)
        content = message.content if isinstance(message.content, str) else [p.model_dump() for p in message.content]
        otid = message.otid or str(uuid4())
        self._add(reply, agent_id, native, role=message.role, content=content, otid=otid)
        return native

    def add_response(self, reply: Reply, agent_id: str, response: ModelResponse, failed: Iterable[str]) -> None:
        """Store a model's reply; `failed` are the ids of its calls that did not succeed."""
        self._add(reply, agent_id, response, role="assistant", failed=list(failed))

    def add_request(
        self, reply: Reply, agent_id: str, request: ModelRequest, outputs: dict[str, ToolOutput] | None = None
    ) -> None:
        """Store what answered a reply's calls, with what the tools printed."""
        ids = {part.tool_call_id for part in tool_returns(request)}
        printed = {i: {"stdout": o.stdout, "stderr": o.stderr} for i, o in (outputs or {}).items() if i in ids}
        self._add(reply, agent_id, request, role="tool", printed=printed)

    def _add(self, reply: Reply, agent_id: str, native: ModelMessage, **fields: Any) -> None:
        row = {
            "id": reply.message_id,
            "agent_id": agent_id,
            "run_id": reply.run_id,
            "step_id": reply.step_id,
            "at": reply.at.isoformat(),
            "native": ModelMessagesTypeAdapter.dump_python([native], mode="json")[0],
        }
        self._store.add("messages", row | fields)

    def history(self, agent_id: str) -> list[ModelMessage]:
        """The agent's memory: all its ended turns, with calls that got no answer closed out."""
        natives = [row["native"] for row in self._store.history(agent_id) if "native" in row]
        return repair_messages(ModelMessagesTypeAdapter.validate_python(natives))

    def events(self, rows: Iterable[Row], message_tool: MessageTool) -> Iterator[Event]:
        """The rows as Letta's complete events; one row may be several, with one id."""
        for row in rows:
            reply = Reply(row["step_id"], row["run_id"], row["id"], datetime.fromisoformat(row["at"]))
            if "content" in row:
                yield _input_event(row, reply)
            elif row["role"] == "assistant":
                yield from self._response_events(row, reply, message_tool)
            else:
                yield from self._return_events(row, reply, message_tool)

    def _response_events(self, row: Row, reply: Reply, message_tool: MessageTool) -> Iterator[Event]:
        failed = [ToolReturnPart("", None, tool_call_id=call_id, outcome="failed") for call_id in row["failed"]]
        yield from response_events(reply, _native(row).parts, failed, message_tool)

    def _return_events(self, row: Row, reply: Reply, message_tool: MessageTool) -> Iterator[Event]:
        request = _native(row)
        returns = tool_returns(request)
        if any(message_tool.is_called(part.tool_name) for part in returns):
            said = [other for other in self._store.page("messages", step_id=row["step_id"]) if "failed" in other]
            calls = [part for other in said for part in _native(other).parts]
            returns = shown_returns(returns, calls, message_tool)
        outputs = {i: ToolOutput(p["stdout"], p["stderr"], 0) for i, p in row["printed"].items()}
        if returns:
            yield reply.tool_returns(returns, outputs)


def tool_returns(request: ModelRequest) -> list[ToolReturnPart]:
    """The tool returns of a request, in order."""
    return [part for part in request.parts if isinstance(part, ToolReturnPart)]


def _native(row: Row) -> Any:
    return ModelMessagesTypeAdapter.validate_python([row["native"]])[0]


def _input_event(row: Row, reply: Reply) -> Event:
    return wire.message(
        f"{row['role']}_message",
        row["id"],
        wire.date_text(reply.at),
        otid=row["otid"],
        step_id=row["step_id"],
        run_id=row["run_id"],
        content=row["content"],
    )


def _native_input(message: MessageCreate) -> ModelMessage:
    content = _user_content(message.content)
    if message.role == "user":
        return ModelRequest(parts=[UserPromptPart(content=content)])
    text = content if isinstance(content, str) else "\n".join(part for part in content if isinstance(part, str))
    if message.role == "system":
        return ModelRequest(parts=[SystemPromptPart(content=text)])
    return ModelResponse(parts=[TextPart(content=text)])


def _user_content(content: Content) -> str | Sequence[UserContent]:
    if isinstance(content, str):
        return content
    parts: list[UserContent] = []
    for part in content:
        if isinstance(part, TextContent):
            parts.append(part.text)
        elif part.source.type == "url":
            parts.append(ImageUrl(part.source.url))
        else:
            parts.append(BinaryContent(base64.b64decode(part.source.data), media_type=part.source.media_type))
    return parts
