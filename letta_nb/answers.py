"""Answers to a run's approval requests: collected one by one or together, and sent when all pending calls have one.

A server takes the answers of one reply's calls in one request. Until that request is accepted, they are only noted on
the calls, and can be taken back.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from letta_nb.calls import answers_in, ran_here
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
        self._items: dict[int, dict[str, Any]] = {}  # by the call's index
        self._times: dict[str, CallTimes] = {}
        self._offered: list[dict[str, Any]] = []
        for call in self._asked():  # what was decided before, and not sent: a run that was saved in between
            if call.approval in ("approved", "denied") and not call.has_returned and not call.here:
                self.decide(call, approve=call.approval == "approved", reason=call.reason, at=call.answered_at)

    def __len__(self) -> int:
        return len(self._items)

    @property
    def complete(self) -> bool:
        """Whether they can be sent: each call that was asked about has one."""
        asked = self._asked()
        return bool(asked) and all(call.index in self._items for call in asked)

    def _asked(self) -> list[ToolCallEntry]:
        """The calls of this pause: those that no request of the run has answered yet."""
        sent = {item.get("tool_call_id") for leg in self._run.legs for item in answers_in(leg.request)}
        return [
            call
            for call in self._run.tool_calls
            if call.approval is not None and call.tool_call_id not in sent and not call.extra.get("unseen")
        ]

    def decide(self, call: ToolCallEntry, *, approve: bool, reason: str | None, at: int | None) -> list[Change]:
        """A person approves or denies a call."""
        item: dict[str, Any] = {"type": "approval", "approve": approve, "tool_call_id": call.tool_call_id}
        if reason:
            item["reason"] = reason
        self._note(call, item, CallTimes(at))
        return self._run.decided(call, approve=approve, reason=reason or None, at=at)

    def began(self, call: ToolCallEntry, at: int, answered_at: int | None) -> list[Change]:
        """A function of this kernel begins to run."""
        call.approval, call.answered_at, call.started_at = "approved", answered_at, at
        return [EntryChanged(at, call)]

    def interrupted(self, call: ToolCallEntry, at: int) -> list[Change]:
        """A function of this kernel was interrupted by the person, before or while it ran: the call waits again."""
        call.approval, call.answered_at, call.started_at = "pending", None, None
        return [EntryChanged(at, call)]

    def ran(self, call: ToolCallEntry, item: Mapping[str, Any], times: CallTimes) -> list[Change]:
        """A function of this kernel has returned; `item` is a tool return as the server takes it."""
        whole = {"type": "tool", "tool_call_id": call.tool_call_id, **item}
        ran_here(call, whole, times)
        self._note(call, whole, times)
        return [EntryChanged(times.returned_at, call)]

    def _note(self, call: ToolCallEntry, item: dict[str, Any], times: CallTimes) -> None:
        self._items[call.index], self._times[str(call.tool_call_id)] = item, times

    def offer(self, definitions: list[dict[str, Any]]) -> None:
        """Functions of this kernel that the agent may go on calling, where the run's own request names none."""
        self._offered = definitions

    def body(self) -> dict[str, Any]:
        """The body of the request that sends them: the run's own parameters, and nothing else to say."""
        own = {key: value for key, value in (self._run.request or {}).items() if key not in _ONCE}
        offered = {"client_tools": self._offered} if self._offered else {}
        # in the order of the calls, whatever order they were answered in
        items = [item for _, item in sorted(self._items.items())]
        return {"messages": [{"type": "approval", "approvals": items}], "stream_tokens": True, **offered, **own}

    def times(self) -> dict[str, CallTimes]:
        """When each call was answered and, if it is a function of this kernel, run."""
        return dict(self._times)

    def withdraw(self, at: int | None) -> list[Change]:
        """They could not be sent: the calls wait again; what functions of this kernel returned is kept."""
        changes: list[Change] = []
        for call in self._asked():
            if call.index in self._items and not call.has_returned:
                del self._items[call.index]
                changes += self._run.undecided(call, at)
        return changes


def chosen(run: Run, calls: tuple[str | ToolCallEntry, ...]) -> list[ToolCallEntry]:
    """The pending calls that are meant: all, or those named by id or by entry. Raises InputError."""
    pending = run.pending
    if not pending:
        raise InputError(f"No tool call of this run waits for an answer: it is {run.status}.")
    wrong = [call for call in calls if not isinstance(call, str | ToolCallEntry)]  # pyright: ignore[reportUnnecessaryIsInstance]
    if wrong:
        words = "A call is named by its entry or its id, several one by one: run.approve(*calls)"
        raise InputError(f"{words}, not {wrong[0]!r:.80}.")
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
            if not isinstance(said.get("tool_return"), (str, list)):
                raise InputError(f'The return of {call.name} needs "tool_return", a text; it is {dict(said)!r:.80}.')
            collected.ran(call, said, CallTimes())
        else:
            reason = said if isinstance(said, str) else None
            collected.decide(call, approve=said is True, reason=reason, at=None)
    return collected
