"""Messages as rows: pydantic-ai's form for the model's memory, Letta's events for the lists."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import uuid4

from pydantic_ai.messages import (
    ModelMessage,
    ModelMessagesTypeAdapter,
    ModelRequest,
    ModelResponse,
    SystemPromptPart,
    TextPart,
    ToolReturnPart,
    UserPromptPart,
    repair_messages,
)

from letta_nb.server import wire
from letta_nb.server.approvals import Pending
from letta_nb.server.content import user_content
from letta_nb.server.events import MessageTool, Reply, response_events, shown_returns
from letta_nb.server.failures import RefusedInput
from letta_nb.server.items import Answer, MessageCreate
from letta_nb.server.store import Row, Store, Thread
from letta_nb.server.tools import ToolOutput
from letta_nb.server.wire import Event


class Transcript:
    """The messages of all threads."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add_input(
        self, messages: Sequence[MessageCreate], thread: Thread, run_id: str, step_id: str
    ) -> list[ModelMessage]:
        """Store the messages that a run starts from, all or none; returns them in the model's form."""
        if not messages or messages[-1].role == "assistant":
            raise RefusedInput("The last message must be from the user or the system")
        if not all(message.content for message in messages):
            raise RefusedInput("Message content is empty or invalid")
        return [self._add_message(message, thread, Reply(step_id, run_id), native=True) for message in messages]

    def _add_message(self, message: MessageCreate, thread: Thread, reply: Reply, *, native: bool) -> ModelMessage:
        form = _native_input(message)
        content = message.content if isinstance(message.content, str) else [p.model_dump() for p in message.content]
        otid = message.otid or str(uuid4())
        self._add(reply, thread, form if native else None, role=message.role, content=content, otid=otid)
        return form

    def add_answers(
        self,
        answers: Sequence[Answer],
        follow_up: Sequence[MessageCreate],
        thread: Thread,
        run_id: str | None,
        otid: str | None = None,
    ) -> None:
        """Store what the client said about waiting calls, and what it said after that.

        The model's form of both comes with the returns (`add_request`): no other message may be between.
        """
        words = [answer.model_dump() for answer in answers]
        reply = Reply(None, run_id)
        self._add(reply, thread, None, role="answer", answers=words, otid=otid or str(uuid4()))
        for message in follow_up:
            self._add_message(message, thread, Reply(None, run_id), native=False)

    def add_response(
        self, reply: Reply, thread: Thread, response: ModelResponse, failed: Iterable[str], pending: Pending | None
    ) -> None:
        """Store a model's reply. `failed` are the ids of its calls that did not succeed; `pending` wait for a word."""
        fields: dict[str, Any] = {"failed": list(failed), "waiting": []}
        if pending:
            fields["waiting"] = [call.tool_call_id for call in pending.calls]
        if pending and pending.id == reply.message_id:
            fields["asked"] = pending.event()
        self._add(reply, thread, response, role="assistant", **fields)
        if pending and pending.id != reply.message_id:
            self.add_pending(reply, thread, pending)

    def add_pending(self, reply: Reply, thread: Thread, pending: Pending) -> None:
        """Store a request for approval that is a message of its own."""
        own = Reply(reply.step_id, reply.run_id, pending.id, reply.at)
        self._add(own, thread, None, role="approval", asked=pending.event())

    def add_request(
        self,
        reply: Reply,
        thread: Thread,
        request: ModelRequest,
        outputs: Mapping[str, ToolOutput],
        name: str | None,
    ) -> None:
        """Store what answered a reply's calls, with what the tools printed and whose `name` it goes by."""
        ids = {part.tool_call_id for part in tool_returns(request)}
        printed = {i: {"stdout": o.stdout, "stderr": o.stderr} for i, o in outputs.items() if i in ids}
        self._add(reply, thread, request, role="tool", printed=printed, name=name)

    def _add(self, reply: Reply, thread: Thread, native: ModelMessage | None, **fields: Any) -> None:
        row = {
            "id": reply.message_id,
            **thread.columns,
            "run_id": reply.run_id,
            "step_id": reply.step_id,
            "at": reply.at.isoformat(),
        }
        if native is not None:
            row["native"] = ModelMessagesTypeAdapter.dump_python([native], mode="json")[0]
        self._store.add("messages", row | fields)

    def history(self, thread: Thread, answered: Pending | None = None) -> list[ModelMessage]:
        """The thread's memory: all its ended turns, with calls that got no answer closed out.

        Those of an `answered` request are left open, at the end.
        """
        rows = self._store.history(thread, last=answered.run_id if answered else None)
        natives = [row["native"] for row in rows if "native" in row]
        return repair_messages(ModelMessagesTypeAdapter.validate_python(natives), repair_last_response=answered is None)

    def events(self, rows: Iterable[Row], message_tool: MessageTool) -> Iterator[Event]:
        """The rows as Letta's complete events; one row may be several, with one id."""
        for row in rows:
            reply = Reply(row["step_id"], row["run_id"], row["id"], datetime.fromisoformat(row["at"]))
            if "content" in row:
                yield _input_event(row, reply)
            elif row["role"] == "assistant":
                yield from response_events(reply, _native(row).parts, row["failed"], message_tool, row["waiting"])
            elif row["role"] == "answer":
                yield _answer_event(row, reply)
            elif row["role"] == "tool":
                yield from self._return_events(row, reply, message_tool)
            if asked := row.get("asked"):
                yield asked

    def _return_events(self, row: Row, reply: Reply, message_tool: MessageTool) -> Iterator[Event]:
        request = _native(row)
        returns = tool_returns(request)
        if any(message_tool.is_called(part.tool_name) for part in returns):
            said = [other for other in self._store.page("messages", step_id=row["step_id"]) if "failed" in other]
            calls = [part for other in said for part in _native(other).parts]
            returns = shown_returns(returns, calls, message_tool)
        outputs = {i: ToolOutput(p["stdout"], p["stderr"], 0) for i, p in row["printed"].items()}
        if returns:
            yield reply.tool_returns(returns, outputs, row.get("name", returns[0].tool_name))


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


def _answer_event(row: Row, reply: Reply) -> Event:
    words: list[Row] = [answer for answer in row["answers"] if answer["type"] == "approval"]
    word = words[0] if words else Row()
    return wire.message(
        "approval_response_message",
        row["id"],
        wire.date_text(reply.at),
        otid=row["otid"],
        run_id=row["run_id"],
        approvals=row["answers"],
        approve=word.get("approve"),
        approval_request_id=word.get("tool_call_id"),
        reason=word.get("reason"),
    )


def _native_input(message: MessageCreate) -> ModelMessage:
    content = user_content(message.content)
    if message.role == "user":
        return ModelRequest(parts=[UserPromptPart(content=content)])
    text = content if isinstance(content, str) else "\n".join(part for part in content if isinstance(part, str))
    if message.role == "system":
        return ModelRequest(parts=[SystemPromptPart(content=text)])
    return ModelResponse(parts=[TextPart(content=text)])
