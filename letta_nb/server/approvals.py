"""Calls that wait for the client, and what its answers mean: approved, denied, or run by the client itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field

from pydantic_ai.exceptions import ToolFailed
from pydantic_ai.messages import ModelRequest, ToolCallPart, ToolReturnPart
from pydantic_ai.messages import ToolReturn as NativeReturn
from pydantic_ai.tools import DeferredToolResults, ToolApproved, ToolDenied

from letta_nb.server import wire
from letta_nb.server.content import native_content, plain_text
from letta_nb.server.failures import RefusedInput
from letta_nb.server.items import Answer, Approval, ToolReturn
from letta_nb.server.store import Row, Store, Thread
from letta_nb.server.tools import ToolOutput
from letta_nb.server.wire import Event

_NONE_PENDING = (
    "Cannot process approval response: No tool call is currently awaiting approval. "
    "Please send a regular message to interact with the agent."
)
_ON_CANCEL = "The user cancelled the request, so the tool call was denied."
_NOT_OURS = "Error: this tool is the client's: it has to send what the tool returned"


@dataclass(frozen=True)
class Call:
    """A call of a paused reply; an `external` one is for the client to run."""

    name: str
    arguments: str
    tool_call_id: str
    external: bool = False


@dataclass(frozen=True)
class Pending:
    """A request for approval: `calls` wait for the client's word, `others` of the same reply run when it comes."""

    id: str
    agent_id: str
    conversation_id: str
    run_id: str
    step_id: str
    at: str
    calls: list[Call]
    others: list[Call] = field(default_factory=list[Call])

    def event(self) -> Event:
        """The request as Letta's complete message."""
        calls = [wire.approval_call(c.tool_call_id, name=c.name, arguments=c.arguments) for c in self.calls]
        ids = {"step_id": self.step_id, "run_id": self.run_id}
        return wire.approval_request(self.id, self.at, calls[0], calls, **ids)

    def check(self, answers: Sequence[Answer]) -> None:
        """Raise RefusedInput unless there is one answer to each call."""
        if not answers:
            raise RefusedInput("Invalid approval response. Approval response message does not contain any approvals.")
        expected = [call.tool_call_id for call in self.calls]
        received = [answer.tool_call_id for answer in answers]
        # older clients name the request instead of its call
        if set(expected) != set(received) and not (len(expected) == 1 and received[0] == self.id):
            raise RefusedInput(f"Invalid tool call IDs. Expected '{expected}', but received '{received}'.")


@dataclass(frozen=True)
class Settled:
    """A pending request with its answers, in pydantic-ai's terms.

    `order` has the ids of all calls as their returns are told; `ran` is the first tool that this server runs.
    """

    pending: Pending
    results: DeferredToolResults
    outputs: dict[str, ToolOutput]
    order: list[str]
    ran: str | None

    @classmethod
    def of(cls, pending: Pending, answers: Sequence[Answer]) -> Settled:
        """What the answers decide."""
        known = {answer.tool_call_id: answer for answer in answers}
        by_call = {c.tool_call_id: known.get(c.tool_call_id) or answers[0] for c in pending.calls}
        approved = [c for c in pending.calls if _approves(by_call[c.tool_call_id])]
        run = [*(c for c in approved if not c.external), *pending.others]
        first = [a.tool_call_id for a in answers if isinstance(a, ToolReturn)]
        denied = [c.tool_call_id for c in pending.calls if c not in approved and c.tool_call_id not in first]
        results, outputs = DeferredToolResults(), dict[str, ToolOutput]()
        for call in pending.calls:
            _decide(call, by_call[call.tool_call_id], results, outputs)
        results.approvals |= {call.tool_call_id: ToolApproved() for call in pending.others}
        order = [*first, *denied, *(c.tool_call_id for c in approved if c.external), *(c.tool_call_id for c in run)]
        return cls(pending, results, outputs, order, run[0].name if run else None)

    def in_order(self, returns: Iterable[ToolReturnPart]) -> list[ToolReturnPart]:
        """The returns as Letta orders them: the client's, the denials, then what ran here."""
        return sorted(returns, key=lambda part: self.order.index(part.tool_call_id))


def _approves(answer: Answer) -> bool:
    return isinstance(answer, Approval) and answer.approve


def _decide(call: Call, answer: Answer, results: DeferredToolResults, outputs: dict[str, ToolOutput]) -> None:
    call_id = call.tool_call_id
    if isinstance(answer, ToolReturn):
        outputs[call_id] = ToolOutput(answer.stdout, answer.stderr, 0)
        text = plain_text(answer.tool_return)
        if answer.status == "error":
            results.calls[call_id] = ToolFailed(text)
        elif isinstance(answer.tool_return, str):
            results.calls[call_id] = NativeReturn(text)
        else:
            rest = [part for part in native_content(answer.tool_return) if not isinstance(part, str)]
            results.calls[call_id] = NativeReturn(text, content=rest or None)
    elif not answer.approve:
        results.approvals[call_id] = ToolDenied(denial(answer.reason))
    elif call.external:
        results.calls[call_id] = ToolFailed(_NOT_OURS)
    else:
        results.approvals[call_id] = ToolApproved()


def denial(reason: str | None) -> str:
    """What a denied call returns to the model."""
    return f"Error: request to call tool denied. User reason: {reason}"


class Approvals:
    """The pending requests, at most one a thread."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def pending(self, thread: Thread) -> Pending | None:
        """The request that the thread waits on."""
        rows = self._store.page("approvals", **thread.columns, order="desc", limit=1)
        return _pending(rows[0]) if rows else None

    def of_run(self, run_id: str) -> Pending | None:
        """The request that a run ended with, if it still waits."""
        rows = self._store.page("approvals", run_id=run_id)
        return _pending(rows[0]) if rows else None

    def all(self, agent_id: str) -> list[Pending]:
        """The requests of all of an agent's threads."""
        return [_pending(row) for row in self._store.page("approvals", agent_id=agent_id)]

    def expect(self, thread: Thread, answers: Sequence[Answer]) -> Pending:
        """The pending request that the answers are for, from now on no longer pending."""
        pending = self.pending(thread)
        if pending is None:
            raise RefusedInput(_NONE_PENDING)
        pending.check(answers)
        self._store.delete("approvals", pending.id)
        return pending

    def ask(self, pending: Pending) -> None:
        """Wait for answers."""
        self._store.add("approvals", asdict(pending))

    def withdraw(self, pending: Pending) -> tuple[list[Answer], ModelRequest]:
        """Stop waiting: the denials, and what they tell the model."""
        self._store.delete("approvals", pending.id)
        answers = [Approval(tool_call_id=c.tool_call_id, approve=False, reason=_ON_CANCEL) for c in pending.calls]
        returns = [
            ToolReturnPart(call.name, denial(_ON_CANCEL), tool_call_id=call.tool_call_id, outcome="denied")
            for call in (*pending.calls, *pending.others)
        ]
        return list(answers), ModelRequest(parts=returns)


def call_of(part: ToolCallPart, arguments: str, *, external: bool = False) -> Call:
    """A pydantic-ai call as it is kept while it waits."""
    return Call(part.tool_name, arguments, part.tool_call_id, external)


def _pending(row: Row) -> Pending:
    fields: Row = {key: value for key, value in row.items() if key != "seq"}
    for key in ("calls", "others"):
        fields[key] = [Call(**call) for call in row[key]]
    return Pending(**fields)
