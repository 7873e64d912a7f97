"""Answers to a run's approval requests: collected one by one or together, and sent when all pending calls have one.

A server takes the answers of one reply's calls in one request. Until that request is accepted, they are only noted on
the calls, and can be taken back.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from letta_nb.calls import ran_here
from letta_nb.entries import CallTimes, Change, EntryChanged, ToolCallEntry
from letta_nb.errors import InputError
from letta_nb.run import Run

# what a person set for the whole conversation with the agent goes along with each answer; what they said does not
_ONCE = ("messages", "input", "starting_after")


class Decision(NamedTuple):
    """A person's answer to an approval request."""

    approve: bool
    reason: str | None = None


class Answers:
    """The answers to the calls that a paused run waits for. Times are ns on the run's clock."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._items: dict[str, dict[str, Any]] = {}
        self._times: dict[str, CallTimes] = {}
        self._calls: list[ToolCallEntry] = []

    def __len__(self) -> int:
        return len(self._items)

    @property
    def complete(self) -> bool:
        """Whether they can be sent: there are some, and no call waits any more."""
        return bool(self._items) and not self._run.pending

    def decide(self, call: ToolCallEntry, *, approve: bool, reason: str | None, at: int | None) -> list[Change]:
        """A person approves or denies a call."""
        item: dict[str, Any] = {"type": "approval", "approve": approve, "tool_call_id": call.tool_call_id}
        if reason:
            item["reason"] = reason
        call.approval, call.answered_at, call.reason = "approved" if approve else "denied", at, reason or None
        self._note(call, item, CallTimes(at))
        return [EntryChanged(at, call)]

    def began(self, call: ToolCallEntry, at: int, answered_at: int | None) -> list[Change]:
        """A function of this kernel begins to run."""
        call.here, call.approval = True, "approved"
        call.answered_at, call.started_at = answered_at, at
        return [EntryChanged(at, call)]

    def ran(self, call: ToolCallEntry, item: dict[str, Any], times: CallTimes) -> list[Change]:
        """A function of this kernel has returned; `item` is a tool return as the server takes it."""
        item = {"type": "tool", "tool_call_id": call.tool_call_id, **item}
        ran_here(call, item, times)
        self._note(call, item, times)
        return [EntryChanged(times.returned_at, call)]

    def interrupted(self, call: ToolCallEntry, at: int) -> list[Change]:
        """A function of this kernel was interrupted by the person: the call waits again."""
        call.approval, call.answered_at, call.started_at = "pending", None, None
        return [EntryChanged(at, call)]

    def _note(self, call: ToolCallEntry, item: dict[str, Any], times: CallTimes) -> None:
        call_id = str(call.tool_call_id)
        self._items[call_id], self._times[call_id] = item, times
        self._calls.append(call)

    def body(self) -> dict[str, Any]:
        """The body of the request that sends them: the run's own parameters, and nothing else to say."""
        own = {key: value for key, value in (self._run.request or {}).items() if key not in _ONCE}
        # in the order of the calls, whatever order they were answered in
        order = [str(call.tool_call_id) for call in self._run.tool_calls]
        items = sorted(self._items.values(), key=lambda item: order.index(item["tool_call_id"]))
        return {"messages": [{"type": "approval", "approvals": items}], "stream_tokens": True, **own}

    def times(self) -> dict[str, CallTimes]:
        """When each call was answered and, if it is a function of this kernel, run."""
        return dict(self._times)

    def withdraw(self, at: int | None) -> list[Change]:
        """They could not be sent: the calls wait again; what functions of this kernel returned is kept."""
        changes: list[Change] = []
        for call in self._calls:
            if not call.has_returned:
                self._items.pop(str(call.tool_call_id), None)
                call.approval, call.answered_at, call.reason = "pending", None, None
                changes.append(EntryChanged(at, call))
        self._calls = [call for call in self._calls if call.has_returned]
        return changes


def chosen(run: Run, calls: tuple[str | ToolCallEntry, ...]) -> list[ToolCallEntry]:
    """The pending calls that are meant: all, or those named by id or by entry. Raises InputError."""
    pending = run.pending
    if not pending:
        raise InputError(f"No tool call of this run waits for an answer: it is {run.status}.")
    wanted = [call if isinstance(call, str) else str(call.tool_call_id) for call in calls]
    there = {str(call.tool_call_id): call for call in pending}
    unknown = [call_id for call_id in wanted if call_id not in there]
    if unknown:
        raise InputError(f"No pending call is {', '.join(unknown)}. Pending: {', '.join(there)}")
    return [there[call_id] for call_id in wanted] if wanted else pending


Given = Answers | bool | Mapping[str, bool | str | Mapping[str, Any]]


def given(run: Run, answers: Given) -> Answers:
    """Answers to all pending calls: one for all, or one for each by its tool_call_id. Raises InputError.

    True approves, False denies, a text denies and is the reason; a dict is the return of a tool that ran on this side:
    {"tool_return": ..., "status": "success" or "error", "stdout": [...], "stderr": [...]}.
    """
    if isinstance(answers, Answers):
        return answers
    pending = chosen(run, ())
    collected = Answers(run)
    if not isinstance(answers, bool):
        chosen(run, tuple(answers))
        if missing := [str(call.tool_call_id) for call in pending if call.tool_call_id not in answers]:
            raise InputError(f"All pending calls are answered in one request; {', '.join(missing)} has no answer.")
    for call in pending:
        said = answers if isinstance(answers, bool) else answers[str(call.tool_call_id)]
        if isinstance(said, Mapping):
            collected.ran(call, dict(said), CallTimes())
        else:
            reason = said if isinstance(said, str) else None
            collected.decide(call, approve=said is True, reason=reason, at=None)
    return collected
