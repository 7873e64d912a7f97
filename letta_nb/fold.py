"""The fold: one event after the other joined into a Run. The only place that knows how deltas belong together.

What joins what (measured on real servers, both eras): a tool call by its tool_call_id, or by its message where a delta
has none; a text by (message_type, otid or id); a step by step_id, or by the reply's message id where there is none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, cast

from letta_nb import events as ev
from letta_nb.entries import (
    Change,
    Entry,
    EntryChanged,
    EntryOpened,
    Kind,
    RunChanged,
    RunError,
    Step,
    StepChanged,
    TextAppended,
    ToolCallEntry,
    Usage,
)

if TYPE_CHECKING:
    from letta_nb.run import Run


class Fold:
    """The joining state of one run. `done`: the server has said `[DONE]`; `era`: which wire it speaks, once known."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.done = False
        self.era: Literal["seed", "modern"] | None = None
        self.step_of_id: dict[str, Step] = {}
        self._texts: dict[tuple[Kind, str | None], Entry] = {}
        self._calls: dict[str, ToolCallEntry] = {}
        self._call_of_message: dict[str | None, ToolCallEntry] = {}
        self._step: Step | None = None
        self._on: dict[type[ev.Event], Callable[[Any, int | None, list[Change]], None]] = {
            ev.SystemMessage: self._on_input,
            ev.UserMessage: self._on_input,
            ev.ReasoningMessage: self._on_reasoning,
            ev.HiddenReasoningMessage: self._on_hidden,
            ev.ToolCallMessage: self._on_tool_call,
            ev.ApprovalRequestMessage: self._on_tool_call,
            ev.ToolReturnMessage: self._on_tool_return,
            ev.AssistantMessage: self._on_assistant,
            ev.ApprovalResponseMessage: self._on_approval_response,
            ev.SummaryMessage: self._on_note,
            ev.EventMessage: self._on_note,
            ev.Ping: self._on_ping,
            ev.StopReason: self._on_stop,
            ev.UsageStatistics: self._on_usage,
            ev.ErrorMessage: self._on_error,
            ev.StreamError: self._on_stream_error,
            ev.Cancelled: self._on_cancelled,
            ev.Done: self._on_done,
            ev.UnknownEvent: self._on_unknown,
        }

    def __call__(self, event: ev.AnyEvent, at: int | None) -> list[Change]:
        """Join one event; the changes, in order."""
        changes: list[Change] = []
        if (self.era is None or self.run.run_id is None) and isinstance(event, ev.MessageEvent):
            self._identify(event, at, changes)
        self._on[type(event)](event, at, changes)
        return changes

    def _identify(self, event: ev.MessageEvent, at: int | None, changes: list[Change]) -> None:
        if self.run.run_id is None and event.run_id:
            self.run.run_id = event.run_id
            changes.append(RunChanged(at, ("run_id",)))
        if self.era is None and not isinstance(event, ev.Ping):
            # servers before 0.8.16 do not send `is_err`, not even as null
            self.era = "modern" if "is_err" in event.model_fields_set or event.run_id else "seed"
            if self.era == "modern" and self._asked_for_steps():
                self._delivers("step", at, changes)

    def _asked_for_steps(self) -> bool:
        request = self.run.request or {}
        return ("messages" in request or "input" in request) and not request.get("stream_tokens")

    def _step_for(self, event: ev.MessageEvent, at: int | None, changes: list[Change]) -> Step:
        """The step that a model's reply belongs to; servers without step ids get one for each reply."""
        step = self._step
        if event.step_id:
            step = self.step_of_id.get(event.step_id)
        elif step is not None and step.reply_id != event.id:
            step = None
        if step is None:
            step = Step(index=len(self.run.steps), step_id=event.step_id, reply_id=event.id, first_at=at)
            self.run.steps.append(step)
            if event.step_id:
                self.step_of_id[event.step_id] = step
            changes.append(StepChanged(at, step))
        self._step = step
        step.last_at = at
        return step

    def _append_text(
        self, event: ev.MessageEvent, kind: Kind, text: str, at: int | None, changes: list[Change]
    ) -> None:
        # the safe key of a text block; providers interleave, so a change of type does not close one
        key = (kind, event.otid or event.id)
        entry, step = self._texts.get(key), self._step
        if entry is None:
            if kind in ("reasoning", "assistant"):
                step = self._step_for(event, at, changes)
            entry = self.run.add_entry(
                Entry, kind, _type(event), step, at, message_id=event.id, otid=event.otid, name=event.name
            )
            self._texts[key] = entry
            changes.append(EntryOpened(at, entry))
        elif step is not None and entry.step_index == step.index:
            # the one path that a million deltas take
            step.last_at = at
            if self.run.delivery is None:
                self._delivers("token", at, changes)
        elif kind in ("reasoning", "assistant"):
            self._delivers("token", at, changes)
            self._step_for(event, at, changes)
        if text:
            entry.buffer.append(text)
            entry.last_at = at
            changes.append(TextAppended(at, entry, text))

    def _delivers(self, delivery: Literal["token", "step"], at: int | None, changes: list[Change]) -> None:
        if self.run.delivery is None:
            self.run.delivery = delivery
            changes.append(RunChanged(at, ("delivery",)))

    def _on_reasoning(self, event: ev.ReasoningMessage, at: int | None, changes: list[Change]) -> None:
        self._append_text(event, "reasoning", event.reasoning, at, changes)

    def _on_assistant(self, event: ev.AssistantMessage, at: int | None, changes: list[Change]) -> None:
        text = ev.text_of(event.content if event.content is not None else event.message)
        self._append_text(event, "assistant", text, at, changes)

    def _on_input(self, event: ev.SystemMessage | ev.UserMessage, at: int | None, changes: list[Change]) -> None:
        # documented as never streamed; 0.16.8 streams a packed summary this way
        text = ev.text_of(event.content if event.content is not None else event.message)
        kind: Kind = "user" if isinstance(event, ev.UserMessage) else "system"
        self._append_text(event, kind, text, at, changes)

    def _on_hidden(self, event: ev.HiddenReasoningMessage, at: int | None, changes: list[Change]) -> None:
        step = self._step_for(event, at, changes)
        entry = self._note(event, "hidden_reasoning", step, at)
        entry.extra["state"] = event.state
        changes.append(EntryOpened(at, entry))

    def _on_tool_call(
        self, event: ev.ToolCallMessage | ev.ApprovalRequestMessage, at: int | None, changes: list[Change]
    ) -> None:
        step = self._step_for(event, at, changes)
        whole = isinstance(event.tool_calls, list)
        if self.era == "modern" and event.tool_calls is not None:
            # a list is complete, an object is a delta: the one sign of how this server delivers
            self._delivers("step" if whole else "token", at, changes)
        calls = event.tool_calls if whole else [event.tool_calls or event.tool_call]
        for call in calls or [event.tool_call]:
            if isinstance(call, ev.ToolCallDelta):
                self._on_call_piece(event, call, whole, step, at, changes)

    def _on_call_piece(
        self,
        event: ev.ToolCallMessage | ev.ApprovalRequestMessage,
        piece: ev.ToolCallDelta,
        whole: bool,
        step: Step,
        at: int | None,
        changes: list[Change],
    ) -> None:
        # seed-era deltas after the first carry no id: they go on with the call that their message opened last
        known = self._calls.get(piece.tool_call_id) if piece.tool_call_id else None
        last = self._call_of_message.get(event.id)
        if known is None and last is not None and (not piece.tool_call_id or last.tool_call_id is None):
            known = last
        call = known or self._open_call(event, piece, step, at)
        if known is None:
            changes.append(EntryOpened(at, call))
        elif self._learn_call(call, piece, event):
            changes.append(EntryChanged(at, call))
        text = piece.arguments or ""
        if whole and known is not None and text.startswith(call.arguments):
            text = text[len(call.arguments) :]  # the whole call again after its pieces
        if text:
            call.buffer.append(text)
            changes.append(TextAppended(at, call, text))
        call.last_at = at

    def _open_call(self, event: ev.MessageEvent, piece: ev.ToolCallDelta, step: Step, at: int | None) -> ToolCallEntry:
        call: ToolCallEntry = self.run.add_entry(
            ToolCallEntry,
            "tool_call",
            _type(event),
            step,
            at,
            message_id=event.id,
            otid=event.otid,
            name=piece.name,
            tool_call_id=piece.tool_call_id,
            approval="pending" if isinstance(event, ev.ApprovalRequestMessage) else None,
        )
        if piece.tool_call_id:
            self._calls[piece.tool_call_id] = call
        self._call_of_message[event.id] = call
        return call

    def _learn_call(self, call: ToolCallEntry, piece: ev.ToolCallDelta, event: ev.MessageEvent) -> bool:
        before = (call.name, call.tool_call_id, call.approval)
        if piece.name and piece.name != call.name and (call.name is None or not call.buffer):
            # repeated by some providers, in pieces by a few; a further piece can only come before the arguments
            call.name = (call.name or "") + piece.name
        if piece.tool_call_id and call.tool_call_id is None:
            call.tool_call_id = piece.tool_call_id
            self._calls[piece.tool_call_id] = call
        if isinstance(event, ev.ApprovalRequestMessage) and call.approval is None and not call.has_returned:
            call.approval = "pending"
        return before != (call.name, call.tool_call_id, call.approval)

    def _on_tool_return(self, event: ev.ToolReturnMessage, at: int | None, changes: list[Change]) -> None:
        single = ev.ToolReturn.model_construct(
            tool_return=event.tool_return,
            status=event.status,
            tool_call_id=event.tool_call_id,
            stdout=event.stdout,
            stderr=event.stderr,
        )
        together = event.tool_returns or [single]
        # the event names one tool, and does not say of which call, unless there is only one
        name = event.name if len(together) == 1 else None
        for part in together:
            call = self._calls.get(part.tool_call_id or "") or self._unseen_call(event, part, name, at, changes)
            call.name = call.name or name
            call.has_returned, call.returned_at = True, at
            call.result, call.status = ev.text_of(part.tool_return), part.status
            call.stdout, call.stderr, call.return_message_id = part.stdout, part.stderr, event.id
            if call.approval == "pending":
                call.approval = "approved"
            self._time_call(call, at)
            if call.step_index is not None:
                self.run.steps[call.step_index].last_at = at
            changes.append(EntryChanged(at, call))

    def _unseen_call(
        self,
        event: ev.ToolReturnMessage,
        part: ev.ToolReturn,
        name: str | None,
        at: int | None,
        changes: list[Change],
    ) -> ToolCallEntry:
        """A return whose call was not streamed: an earlier leg's, or one that the server kept to itself."""
        step = (self.step_of_id.get(event.step_id) if event.step_id else self._step) or self._step_for(
            event, at, changes
        )
        call: ToolCallEntry = self.run.add_entry(
            ToolCallEntry,
            "tool_call",
            event.message_type,
            step,
            at,
            message_id=event.id,
            otid=event.otid,
            name=name,
            tool_call_id=part.tool_call_id,
        )
        call.extra["unseen"] = True
        if part.tool_call_id:
            self._calls[part.tool_call_id] = call
        changes.append(EntryOpened(at, call))
        return call

    def _time_call(self, call: ToolCallEntry, at: int | None) -> None:
        """Latency by arrival, where arrival says anything: not when a server sends steps whole, or a run once more."""
        if at is None or call.last_at is None or call.extra.get("unseen") or call.approval is not None:
            return
        if self.era == "modern" and self.run.delivery != "token":
            return
        if "starting_after" in (self.run.request or {}):
            return
        # calls of one reply start when the reply is over, not each with its own last argument; and of several nobody
        # can tell whether they ran side by side, so that each return only bounds its call
        of_step = [other for other in self.run.tool_calls if other.step_index == call.step_index]
        if len(of_step) > 1:
            call.at_most = at - max(other.last_at for other in of_step if other.last_at is not None)
        else:
            call.duration, call.duration_source = at - call.last_at, "client"

    def _on_note(self, event: ev.SummaryMessage | ev.EventMessage, at: int | None, changes: list[Change]) -> None:
        summary = event.summary if isinstance(event, ev.SummaryMessage) else ""
        facts = event.compaction_stats if isinstance(event, ev.SummaryMessage) else event.event_data
        kind: Kind = "summary" if isinstance(event, ev.SummaryMessage) else "compaction"
        entry = self._note(event, kind, self._step, at)
        entry.extra["facts"] = facts
        entry.buffer.append(summary)
        changes.append(EntryOpened(at, entry))
        if summary:
            changes.append(TextAppended(at, entry, summary))

    def _note(self, event: ev.MessageEvent, kind: Kind, step: Step | None, at: int | None) -> Entry:
        return self.run.add_entry(Entry, kind, _type(event), step, at, message_id=event.id, otid=event.otid)

    def _on_approval_response(self, event: ev.ApprovalResponseMessage, at: int | None, changes: list[Change]) -> None:
        for answer in event.approvals or []:
            call = self._calls.get(str(answer.get("tool_call_id")))
            if call is not None:
                call.approval = "denied" if answer.get("approve") is False else "approved"
                changes.append(EntryChanged(at, call))

    def _on_unknown(self, event: ev.UnknownEvent, at: int | None, changes: list[Change]) -> None:
        entry = self.run.add_entry(Entry, "unknown", event.message_type or "", self._step, at)
        entry.extra["problem"] = event.problem
        entry.buffer.append(event.raw)
        changes += [EntryOpened(at, entry), TextAppended(at, entry, event.raw)]

    def _on_ping(self, event: ev.Ping, at: int | None, changes: list[Change]) -> None:
        """Pings say only that the server is alive, and the run_id; the log has them."""

    def _on_stop(self, event: ev.StopReason, at: int | None, changes: list[Change]) -> None:
        # sent twice on some failures, the general reason first: the later one is the better one
        self.run.stop_reason, self.run.stopped_at = event.stop_reason, at
        changes.append(RunChanged(at, ("stop_reason",)))

    def _on_usage(self, event: ev.UsageStatistics, at: int | None, changes: list[Change]) -> None:
        self.run.usage_reports.append(
            Usage(
                input_tokens=event.prompt_tokens,
                output_tokens=event.completion_tokens,
                total_tokens=event.total_tokens,
                cache_read_input_tokens=event.cached_input_tokens,
                cache_creation_input_tokens=event.cache_write_tokens,
                reasoning_output_tokens=event.reasoning_tokens,
                context_tokens=event.context_tokens,
                step_count=event.step_count,
                at=at,
            )
        )
        changes.append(RunChanged(at, ("usage",)))

    def _on_error(self, event: ev.ErrorMessage, at: int | None, changes: list[Change]) -> None:
        self.run.run_id = self.run.run_id or event.run_id
        detail = event.detail if event.detail is None or isinstance(event.detail, str) else str(event.detail)
        self.run.error = RunError(event.error_type or "error", event.message or "The run failed.", detail)
        changes.append(RunChanged(at, ("run_id", "error")))

    def _on_stream_error(self, event: ev.StreamError, at: int | None, changes: list[Change]) -> None:
        self.run.error = RunError(str(event.code or "stream_error"), _words(event.error))
        changes.append(RunChanged(at, ("error",)))

    def _on_cancelled(self, event: ev.Cancelled, at: int | None, changes: list[Change]) -> None:
        self.run.stop_reason = self.run.stop_reason or "cancelled"
        changes.append(RunChanged(at, ("stop_reason",)))

    def _on_done(self, event: ev.Done, at: int | None, changes: list[Change]) -> None:
        self.done = True
        changes += self.run.end(at)


def _words(error: object) -> str:
    said = cast("dict[str, object]", error).get("message") if isinstance(error, dict) else None
    return str(said or cast(object, error))


def _type(event: ev.MessageEvent) -> str:
    return str(getattr(event, "message_type", ""))
