"""The fold of tool calls: calls and their returns, in pieces or whole, and what people answer to approval requests.

A call is joined by its tool_call_id, or by its message where a delta has none (the seed era). A return belongs to its
call by id; one whose call was never streamed opens an entry of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal, cast

from letta_nb import events as ev
from letta_nb.entries import (
    CallTimes,
    Change,
    EntryChanged,
    EntryOpened,
    Leg,
    Step,
    TextAppended,
    ToolCallEntry,
)

if TYPE_CHECKING:
    from letta_nb.run import Run

# what servers say, in their stream, of answers that they do not take
_NOT_TAKEN = ("No tool call is currently awaiting approval", "Invalid tool call IDs")
CallMessage = ev.ToolCallMessage | ev.ApprovalRequestMessage
# servers before 0.12 send one return a message, which is its own only part
ReturnPart = ev.ToolReturn | ev.ToolReturnMessage


class CallFold:
    """The tool calls of one run. `step_for`: the step that a model's message belongs to."""

    def __init__(self, run: Run, step_for: Callable[[ev.MessageEvent, int | None, list[Change]], Step]) -> None:
        self._run = run
        self._step_for = step_for
        self._calls: dict[str, ToolCallEntry] = {}
        self._of_message: dict[str | None, ToolCallEntry] = {}
        # looking through all calls at each return would take a run of many calls hours
        self._of_step: dict[int | None, list[ToolCallEntry]] = {}
        # answers to calls of an earlier run, of which only the returns are this run's
        self._earlier: dict[str, Mapping[str, Any]] = {}

    def of_step(self, index: int | None) -> list[ToolCallEntry]:
        """The calls of a step."""
        return self._of_step.get(index, [])

    def get(self, tool_call_id: object) -> ToolCallEntry | None:
        """The call of that id."""
        return self._calls.get(tool_call_id) if isinstance(tool_call_id, str) else None

    # -- calls ---------------------------------------------------------------------------------------------------------

    def add(self, event: CallMessage, step: Step, at: int | None, changes: list[Change]) -> None:
        """Calls, whole or in part."""
        whole = isinstance(event.tool_calls, list)
        calls = event.tool_calls if whole else [event.tool_calls or event.tool_call]
        for call in calls or [event.tool_call]:
            if isinstance(call, ev.ToolCallDelta):
                self._add_piece(event, call, whole, step, at, changes)

    def _add_piece(
        self,
        event: CallMessage,
        piece: ev.ToolCallDelta,
        whole: bool,
        step: Step,
        at: int | None,
        changes: list[Change],
    ) -> None:
        # seed-era deltas after the first carry no id: they go on with the call that their message opened last
        known = self._calls.get(piece.tool_call_id) if piece.tool_call_id else None
        last = self._of_message.get(event.id)
        if known is None and last is not None and (not piece.tool_call_id or last.tool_call_id is None):
            known = last
        call = known or self._open(event, piece, step, at)
        if known is None:
            changes.append(EntryOpened(at, call))
            if call.here:
                changes.append(EntryChanged(at, call))
        elif self._learn(call, piece, event):
            changes.append(EntryChanged(at, call))
        text = piece.arguments or ""
        if whole and known is not None:
            # the whole call again after its pieces
            text = text[len(call.arguments) :] if text.startswith(call.arguments) else "" if call.buffer else text
        if text:
            call.buffer.append(text)
            changes.append(TextAppended(at, call, text))
        if at is not None:
            call.last_at = at

    def _open(self, event: CallMessage, piece: ev.ToolCallDelta, step: Step, at: int | None) -> ToolCallEntry:
        call: ToolCallEntry = self._run.add_entry(
            ToolCallEntry,
            "tool_call",
            str(event.message_type),
            step,
            at,
            message_id=event.id,
            otid=event.otid,
            name=piece.name,
            tool_call_id=piece.tool_call_id,
            approval="pending" if isinstance(event, ev.ApprovalRequestMessage) else None,
        )
        call.here = call.approval is not None and call.name in self._kernel_names()
        self._keep(call)
        self._of_message[event.id] = call
        return call

    def _know(self, call: ToolCallEntry) -> None:
        if call.tool_call_id:
            self._calls[call.tool_call_id] = call

    def _keep(self, call: ToolCallEntry) -> None:
        self._know(call)
        self._of_step.setdefault(call.step_index, []).append(call)

    def _kernel_names(self) -> set[object]:
        """The names of the functions that the request offered."""
        offered = (self._run.request or {}).get("client_tools")
        return {tool.get("name") for tool in _dicts(offered)}

    def _learn(self, call: ToolCallEntry, piece: ev.ToolCallDelta, event: CallMessage) -> bool:
        before = (call.name, call.tool_call_id, call.approval)
        if piece.name and piece.name != call.name and (call.name is None or not call.buffer):
            # repeated by some providers, in pieces by a few; a further piece can only come before the arguments
            call.name = (call.name or "") + piece.name
        if piece.tool_call_id and call.tool_call_id is None:
            call.tool_call_id = piece.tool_call_id
            self._know(call)
        if isinstance(event, ev.ApprovalRequestMessage) and call.approval is None and not call.settled:
            call.approval = "pending"
        call.here = call.here or (call.approval is not None and call.name in self._kernel_names())
        return before != (call.name, call.tool_call_id, call.approval)

    # -- returns -------------------------------------------------------------------------------------------------------

    def returned(
        self,
        event: ev.ToolReturnMessage,
        step: Step | None,
        at: int | None,
        changes: list[Change],
        *,
        late: bool = False,
    ) -> None:
        """Returns, of one call or of several together; `late`: fetched after the run for calls that had none."""
        together = event.tool_returns or [event]
        # the event names one tool, and does not say of which call, unless there is only one
        name = event.name if len(together) == 1 else None
        for part in together:
            known = self._calls.get(part.tool_call_id or "")
            if late and (known is None or known.has_returned):
                continue
            call = known or self._unseen(event, part, name, step, at, changes)
            call.name = call.name or name
            self._take(call, part, event, None if late else at)
            if late:
                call.return_source = "server"
            elif call.step_index is not None:
                self._run.steps[call.step_index].last_at = at
            changes.append(EntryChanged(at, call))

    def _take(self, call: ToolCallEntry, part: ReturnPart, event: ev.ToolReturnMessage, at: int | None) -> None:
        call.return_message_id = event.id
        if call.here and call.has_returned:
            return  # the server repeats what our own function gave
        call.has_returned, call.returned_at = True, at
        call.result, call.status = ev.text_of(part.tool_return), part.status
        call.stdout, call.stderr = part.stdout, part.stderr
        if call.approval == "pending":
            call.approval = "approved"
        self._time(call, at)

    def _unseen(
        self,
        event: ev.ToolReturnMessage,
        part: ReturnPart,
        name: str | None,
        step: Step | None,
        at: int | None,
        changes: list[Change],
    ) -> ToolCallEntry:
        """A return whose call was not streamed: an earlier leg's, or one that the server kept to itself."""
        call: ToolCallEntry = self._run.add_entry(
            ToolCallEntry,
            "tool_call",
            str(event.message_type),
            step or self._step_for(event, at, changes),
            at,
            message_id=event.id,
            otid=event.otid,
            name=name,
            tool_call_id=part.tool_call_id,
        )
        call.extra["unseen"] = True
        answer = self._answer_to(part.tool_call_id)
        if answer is not None and answer.get("type") != "tool":
            call.approval, call.reason = _said(answer)
        self._keep(call)
        changes.append(EntryOpened(at, call))
        return call

    def _time(self, call: ToolCallEntry, at: int | None) -> None:
        """Latency by arrival, where arrival says anything: not when a server sends steps whole, or a run once more."""
        run = self._run
        if call.approval == "denied":
            return
        if at is None or call.last_at is None or call.extra.get("unseen") or call.duration is not None:
            return
        if run.era == "modern" and run.delivery != "token":
            return
        of_step = self._of_step[call.step_index]
        # functions of this kernel had run before the answer went out
        answered = [
            other.returned_at if other.here else other.started_at for other in of_step if other.approval is not None
        ]
        if answered:
            # the reply's tools ran after a person had answered, somewhere between the answer and this return
            begun = max((started for started in answered if started is not None), default=None)
            call.at_most = None if begun is None else at - begun
            return
        if run.legs[-1].kind == "resume":
            return  # what a stored stream brings may have been waiting there
        # calls of one reply start when the reply is over, not each with its own last argument; and of several nobody
        # can tell whether they ran side by side, so that each return only bounds its call
        if len(of_step) > 1:
            call.at_most = at - max(other.last_at for other in of_step if other.last_at is not None)
        else:
            call.duration, call.duration_source = at - call.last_at, "client"

    # -- answers -------------------------------------------------------------------------------------------------------

    def responded(self, event: ev.ApprovalResponseMessage, at: int | None, changes: list[Change]) -> None:
        """A person's answers, as a server lists them."""
        for item in event.approvals or []:
            self._answer(item, None, CallTimes(), at, changes)

    def answered(self, leg: Leg, changes: list[Change]) -> None:
        """A person's answers, and what functions of this kernel returned, as they were sent in `leg`."""
        for item in answers_in(leg.request):
            times = leg.calls.get(str(item.get("tool_call_id")), CallTimes())
            self._answer(item, leg.at, times, leg.at, changes)

    def refused(self, detail: str, at: int | None, changes: list[Change]) -> None:
        """The server did not take the answers of this leg, if that is what it says, and nothing has come of them.

        A call that it still asks about waits again; any other was answered by someone else.
        """
        if not any(words in detail for words in _NOT_TAKEN):
            return
        asked = detail.partition("but received")[0]
        sent = next((leg.request for leg in reversed(self._run.legs) if leg.kind != "resume"), None)
        for item in answers_in(sent):
            call = self.get(item.get("tool_call_id"))
            if call is None or call.has_returned:  # a function of this kernel has run, whoever hears of it
                continue
            call.answered_elsewhere = repr(call.tool_call_id) not in asked
            call.approval = None if call.answered_elsewhere else "pending"
            call.answered_at = call.started_at = call.reason = None
            changes.append(EntryChanged(at, call))

    def _answer_to(self, tool_call_id: str | None) -> Mapping[str, Any] | None:
        """What a person answered to a call that was an earlier run's: as the server lists it, or as it was sent."""
        sent = (item for item in answers_in(self._run.request) if item.get("tool_call_id") == tool_call_id)
        return self._earlier.get(tool_call_id or "") or next(sent, None)

    def _answer(
        self, item: Mapping[str, Any], sent: int | None, times: CallTimes, at: int | None, changes: list[Change]
    ) -> None:
        tool_call_id = item.get("tool_call_id")
        call = self.get(tool_call_id)
        if call is None:
            if isinstance(tool_call_id, str):
                self._earlier[tool_call_id] = item
            return
        call.approval, call.reason = _said(item)
        call.answered_at = sent if times.answered_at is None else times.answered_at
        if item.get("type") == "tool":
            ran_here(call, item, times._replace(answered_at=call.answered_at))
        elif call.approval == "approved":
            call.started_at = sent
        if call.step_index is not None and at is not None:
            step = self._run.steps[call.step_index]
            step.last_at = max(at, step.last_at or 0)
        changes.append(EntryChanged(at, call))


def ran_here(call: ToolCallEntry, item: Mapping[str, Any], times: CallTimes) -> None:
    """The return of a function of this kernel, as it is sent to the server."""
    call.here, call.has_returned = True, True
    call.approval, call.answered_at = "approved", times.answered_at
    call.started_at, call.returned_at = times.started_at, times.returned_at
    call.result, call.status = ev.text_of(item.get("tool_return")), _text_or_none(item.get("status"))
    call.stdout, call.stderr = _lines(item.get("stdout")), _lines(item.get("stderr"))
    if times.started_at is not None and times.returned_at is not None:
        call.duration, call.duration_source = times.returned_at - times.started_at, "client"


def answers_in(request: Mapping[str, Any] | None) -> Iterator[Mapping[str, Any]]:
    """The answers to approval requests in a request's body, in any of their forms, each with its tool_call_id."""
    for message in _dicts((request or {}).get("messages")):
        yield from _dicts(message.get("approvals"))
        for item in _dicts(message.get("tool_returns")):
            yield {"type": "tool", **item}


def _said(answer: Mapping[str, Any]) -> tuple[Literal["approved", "denied"], str | None]:
    """What a person's answer was, and why."""
    return "denied" if answer.get("approve") is False else "approved", _text_or_none(answer.get("reason"))


def _dicts(value: object) -> Iterator[dict[str, Any]]:
    """What a body sent by someone else may hold: only what has the shape counts."""
    for item in cast("list[Any]", value) if isinstance(value, (list, tuple)) else []:
        if isinstance(item, dict):
            yield item


def _text_or_none(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _lines(value: object) -> list[str] | None:
    return [str(line) for line in cast("list[Any]", value)] if isinstance(value, list) else None
