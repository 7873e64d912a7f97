"""The fold: one event after the other joined into a Run. The only place that knows how deltas belong together.

What joins what (measured on real servers, both eras): a text by (message_type, otid or id); a step by step_id, or by
the reply's message id where there is none; tool calls as `calls` says.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, cast

from letta_nb import events as ev
from letta_nb.calls import CallFold, CallMessage
from letta_nb.entries import (
    Change,
    Entry,
    EntryChanged,
    EntryOpened,
    Kind,
    Leg,
    RunChanged,
    RunError,
    Step,
    StepChanged,
    TextAppended,
    Usage,
    compaction_of,
)
from letta_nb.sessions import fold_session

if TYPE_CHECKING:
    from letta_nb.run import Run


class Fold:
    """The joining state of one run. `done`: the server said `[DONE]`; `seq_id`: of the latest event that has one."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.done = False
        self.seq_id: int | None = None
        self.step_of_id: dict[str, Step] = {}
        self._texts: dict[tuple[Kind, str | None], Entry] = {}
        self._step: Step | None = None
        self._reported = False  # this leg's usage is there
        self.calls = CallFold(run, self.step_for)
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
            ev.SessionEvent: self._on_session,
        }

    def __call__(self, event: ev.AnyEvent, at: int | None) -> list[Change]:
        """Join one event; the changes, in order."""
        changes: list[Change] = []
        if isinstance(event, ev.MessageEvent):
            if event.seq_id is not None and self._is_repeated(event.seq_id):
                return changes
            if self.run.era is None or self.run.legs[-1].run_id is None:
                self._identify(event, at, changes)
        self._on[type(event)](event, at, changes)
        return changes

    def _is_repeated(self, seq_id: int) -> bool:
        """A stream that was taken up again may say some things twice (and skip numbers: those are other events')."""
        if self.seq_id is not None and seq_id <= self.seq_id:
            return True
        self.seq_id = seq_id
        return False

    def begin(self, leg: Leg) -> list[Change]:
        """A further request of the run has been sent."""
        changes: list[Change] = []
        self._reported = leg.kind == "resume" and self._reported
        if leg.kind != "resume":
            # each run of the server counts from 1
            self.done, self.seq_id = False, None
        self.calls.answered(leg, changes)
        return changes

    def _identify(self, event: ev.MessageEvent, at: int | None, changes: list[Change]) -> None:
        if event.run_id:
            self._learn_run_id(event.run_id, at, changes)
        if self.run.era is None and not isinstance(event, ev.Ping):
            # servers before 0.8.16 do not send `is_err`, not even as null
            self.run.era = "modern" if "is_err" in event.model_fields_set or event.run_id else "seed"
            if self.run.era == "modern" and self._asked_for_steps():
                self._delivers("step", at, changes)

    def _learn_run_id(self, run_id: str, at: int | None, changes: list[Change]) -> None:
        leg = self.run.legs[-1]
        leg.run_id = leg.run_id or run_id
        if self.run.run_id is None:
            self.run.run_id = run_id
            changes.append(RunChanged(at, ("run_id",)))

    def _asked_for_steps(self) -> bool:
        request = self.run.request or {}
        return ("messages" in request or "input" in request) and not request.get("stream_tokens")

    def step_for(self, event: ev.MessageEvent, at: int | None, changes: list[Change]) -> Step:
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
        if at is not None:
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
                step = self.step_for(event, at, changes)
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
            self.step_for(event, at, changes)
        if text:
            entry.buffer.append(text)
            entry.last_at = at
            changes.append(TextAppended(at, entry, text))

    def add_late(self, event: ev.MessageEvent, kind: Kind, changes: list[Change]) -> Entry:
        """An entry for a message that was fetched, not streamed."""
        step = self.step_for(event, None, changes)
        entry = self.run.add_entry(
            Entry, kind, _type(event), step, None, message_id=event.id, otid=event.otid, name=event.name
        )
        changes.append(EntryOpened(None, entry))
        return entry

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
        text = ev.text_of(event.content if event.content is not None else event.message)
        packed = ev.packed_summary(text) if isinstance(event, ev.UserMessage) else None
        if packed is not None:
            self._compacted(event, "summary", *packed, at, changes)
            return
        kind: Kind = "user" if isinstance(event, ev.UserMessage) else "system"
        self._append_text(event, kind, text, at, changes)

    def _on_hidden(self, event: ev.HiddenReasoningMessage, at: int | None, changes: list[Change]) -> None:
        key = ("hidden_reasoning", event.otid or event.id)
        step = self.step_for(event, at, changes)
        entry = self._texts.get(key)
        if entry is None:
            entry = self._texts[key] = self._note(event, "hidden_reasoning", step, at)
            changes.append(EntryOpened(at, entry))
        entry.last_at = at
        # sealed by the provider: kept, and nothing to show
        entry.extra["state"] = event.state
        entry.extra["hidden_reasoning"] = entry.extra.get("hidden_reasoning", "") + (event.hidden_reasoning or "")

    def _on_tool_call(self, event: CallMessage, at: int | None, changes: list[Change]) -> None:
        step = self.step_for(event, at, changes)
        if self.run.era == "modern" and event.tool_calls is not None:
            # a list is complete, an object is a delta: the one sign of how this server delivers
            self._delivers("step" if isinstance(event.tool_calls, list) else "token", at, changes)
        self.calls.add(event, step, at, changes)

    def _on_tool_return(self, event: ev.ToolReturnMessage, at: int | None, changes: list[Change]) -> None:
        step = self.step_of_id.get(event.step_id) if event.step_id else self._step
        self.calls.returned(event, step, at, changes)

    def _on_approval_response(self, event: ev.ApprovalResponseMessage, at: int | None, changes: list[Change]) -> None:
        self.calls.responded(event, at, changes)

    def _on_note(self, event: ev.SummaryMessage | ev.EventMessage, at: int | None, changes: list[Change]) -> None:
        summary = event.summary if isinstance(event, ev.SummaryMessage) else ""
        facts = event.compaction_stats if isinstance(event, ev.SummaryMessage) else event.event_data
        kind: Kind = "summary" if isinstance(event, ev.SummaryMessage) else "compaction"
        self._compacted(event, kind, summary, facts, at, changes)

    def _compacted(
        self, event: ev.MessageEvent, kind: Kind, summary: str, facts: Any, at: int | None, changes: list[Change]
    ) -> None:
        entry = self._note(event, kind, self._step, at)
        entry.extra["facts"] = facts
        entry.buffer.append(summary)
        changes.append(EntryOpened(at, entry))
        if any(fact is not None for fact in compaction_of(entry)):
            changes.append(EntryChanged(at, entry))
        if summary:
            changes.append(TextAppended(at, entry, summary))

    def _note(self, event: ev.MessageEvent, kind: Kind, step: Step | None, at: int | None) -> Entry:
        return self.run.add_entry(Entry, kind, _type(event), step, at, message_id=event.id, otid=event.otid)

    def _on_unknown(self, event: ev.UnknownEvent, at: int | None, changes: list[Change]) -> None:
        entry = self.run.add_entry(Entry, "unknown", event.message_type or "", self._step, at)
        entry.extra["problem"] = event.problem
        entry.buffer.append(event.raw)
        changes += [EntryOpened(at, entry), TextAppended(at, entry, event.raw)]

    def _on_session(self, event: ev.SessionEvent, at: int | None, changes: list[Change]) -> None:
        fold_session(self.run, self, event, at, changes)

    def _on_ping(self, event: ev.Ping, at: int | None, changes: list[Change]) -> None:
        """Pings say only that the server is alive, and the run_id; the log has them."""

    def _on_stop(self, event: ev.StopReason, at: int | None, changes: list[Change]) -> None:
        # sent twice on some failures, the general reason first: the later one is the better one
        self.run.stop_reason, self.run.stopped_at = event.stop_reason, at
        changes.append(RunChanged(at, ("stop_reason",)))

    def _on_usage(self, event: ev.UsageStatistics, at: int | None, changes: list[Change]) -> None:
        reports = self.run.usage_reports
        if self._reported and reports and self.run.legs[-1].kind == "resume":
            reports.pop()  # the same once more: it carries no number to know it by
        self._reported = True
        reports.append(
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
        changes.append(RunChanged(at, ("usage", "cost")))

    def _on_error(self, event: ev.ErrorMessage, at: int | None, changes: list[Change]) -> None:
        if event.run_id:
            self._learn_run_id(event.run_id, at, changes)
        detail = event.detail if event.detail is None or isinstance(event.detail, str) else str(event.detail)
        self.run.error = RunError(event.error_type or "error", event.message or "The run failed.", detail)
        changes.append(RunChanged(at, ("run_id", "error")))
        self.calls.refused(detail or "", at, changes)

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
