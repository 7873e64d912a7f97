"""A run: one request to an agent and everything that came of it. `fold` is the only place that joins deltas.

No I/O, no clock, no threads: times come in with the events, so that a run made live, loaded from a file and replayed
is the same run. What a person calls on a Run (frames, files, pictures) lives in the modules above and is reached from
here by name only.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, overload

from letta_nb import events as ev
from letta_nb.entries import (
    Change,
    Entry,
    EntryChanged,
    EntryOpened,
    Kind,
    RunChanged,
    RunError,
    Status,
    Step,
    StepChanged,
    TextAppended,
    ToolCallEntry,
    Usage,
)
from letta_nb.log import EventLog, Received

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

_COMPLETED = frozenset({"end_turn", "max_steps", "tool_rule"})


class Events(Sequence[ev.AnyEvent]):
    """A run's events, typed, parsed from the log as they are read."""

    def __init__(self, log: EventLog) -> None:
        self._log = log

    def __len__(self) -> int:
        return len(self._log)

    @overload
    def __getitem__(self, index: int) -> ev.AnyEvent: ...
    @overload
    def __getitem__(self, index: slice) -> list[ev.AnyEvent]: ...
    def __getitem__(self, index: int | slice) -> ev.AnyEvent | list[ev.AnyEvent]:
        if isinstance(index, slice):
            return [ev.parse(received.data, received.event) for received in self._log[index]]
        received = self._log[index]
        return ev.parse(received.data, received.event)

    def __iter__(self) -> Iterator[ev.AnyEvent]:
        return (ev.parse(received.data, received.event) for received in self._log)

    def __repr__(self) -> str:
        return f"<{len(self)} events>"


class Run:
    """One request to an agent, as far as it has come.

    `status`: "running", "completed", "requires_approval", "interrupted" (the stream did not end properly),
    "cancelled" or "failed". `entries`: the transcript in order. `text`: what the agent said. `usage`: tokens, None where
    not reported. `events`: everything received. `log`: the same, verbatim, with times in ns since the request.
    `started`: wall clock of the request (UTC). `request`: the body sent, None for a bare recording.
    """

    def __init__(
        self,
        request: dict[str, Any] | None = None,
        *,
        started: datetime | None = None,
        agent_id: str | None = None,
        agent_name: str | None = None,
        model: str | None = None,
        server: str | None = None,
        conversation_id: str | None = None,
        uid: str | None = None,
        timed: bool = True,
        record: bool = True,
    ) -> None:
        self.uid = uid or uuid.uuid4().hex
        self.request = request
        self.started = started or datetime.now(UTC)
        self.agent_id = agent_id
        self.agent_name = agent_name
        self.model = model
        self.server = server
        self.conversation_id = conversation_id
        self.timed = timed
        self.log: EventLog | None = EventLog() if record else None
        self.event_count = 0
        self.run_id: str | None = None
        self.status: Status = "running"
        self.stop_reason: str | None = None
        self.error: RunError | None = None
        self.entries: list[Entry] = []
        self.steps: list[Step] = []
        self.usage_reports: list[Usage] = []
        self.delivery: Literal["token", "step"] | None = None
        self.ended_at: int | None = None
        self._era: Literal["seed", "modern"] | None = None
        self._done = False
        self._texts: dict[tuple[str, str | None], Entry] = {}
        self._calls: dict[str, ToolCallEntry] = {}
        self._call_of_message: dict[str | None, ToolCallEntry] = {}
        self._step_of_id: dict[str, Step] = {}
        self._step: Step | None = None
        self._prompt()

    # -- what a person reads ------------------------------------------------------------------------------------------

    @property
    def text(self) -> str:
        """What the agent said: its assistant messages, one blank line between two."""
        return "\n\n".join(entry.text for entry in self.entries if entry.kind == "assistant" and entry.buffer)

    @property
    def prompt(self) -> str:
        """What the agent was asked: the text of the request's user messages."""
        return "\n\n".join(entry.text for entry in self.entries if entry.kind == "user" and entry.step_index is None)

    @property
    def events(self) -> Events:
        """Everything received, typed."""
        return Events(self.log if self.log is not None else EventLog())

    @property
    def usage(self) -> Usage | None:
        """Tokens of the whole run, None when the server reported none; a sum where there were several reports."""
        if len(self.usage_reports) <= 1:
            return self.usage_reports[0] if self.usage_reports else None
        total = Usage(at=self.usage_reports[-1].at)
        for report in self.usage_reports:
            for name, count in report.facts():
                if count is not None:
                    setattr(total, name, count + (getattr(total, name) or 0))
        total.context_tokens = self.usage_reports[-1].context_tokens
        return total

    @property
    def tool_calls(self) -> list[ToolCallEntry]:
        """The transcript's tool calls, in order, with their returns."""
        return [entry for entry in self.entries if isinstance(entry, ToolCallEntry)]

    @property
    def duration(self) -> float | None:
        """Seconds from the request to the end, None while it runs and for a recording without times."""
        return None if self.ended_at is None else self.ended_at / 1e9

    def __repr__(self) -> str:
        agent = self.agent_name or self.agent_id or "agent"
        calls = len(self.tool_calls)
        parts = [f"{len(self.steps)} step{'s' * (len(self.steps) != 1)}", f"{calls} tool call{'s' * (calls != 1)}"]
        return f"<Run {self.status}: {agent}, {', '.join(parts)}>"

    # -- what arrives -------------------------------------------------------------------------------------------------

    def receive(self, received: Received) -> tuple[ev.AnyEvent, list[Change]]:
        """Keep one SSE message as it came, and fold it in. Returns the typed event and what it changed."""
        if self.log is not None:
            self.log.append(received)
        self.event_count += 1
        event = ev.parse(received.data, received.event)
        if received.torn:
            # cut in the middle: kept as text, but a half event is no word of the server's, even if it happens to parse
            event = ev.UnknownEvent(raw=received.data, problem="the stream ended inside this event")
            return event, []
        return event, self.fold(event, received.at if received.at >= 0 else None)

    def fold(self, event: ev.AnyEvent, at: int | None) -> list[Change]:
        """Join one event into the run; `at` is ns since the request. Returns the changes, in order; [] after `[DONE]`."""
        if self._done:
            return []
        changes: list[Change] = []
        if isinstance(event, ev.MessageEvent):
            self._identify(event, at, changes)
        _FOLD[type(event)](self, event, at, changes)
        return changes

    def end(self, at: int | None, error: RunError | None = None, *, cancelled: bool = False) -> list[Change]:
        """The stream is over: nothing more will come. `error` says how if it broke, `cancelled` if we stopped it.

        Idempotent. What the server said last wins over how the connection closed.
        """
        if self.status != "running":
            return []
        self.ended_at = at
        self.status = self._verdict(cancelled)
        if self.status == "interrupted" and self.error is None:
            self.error = error or RunError("stream_ended", "The stream ended before the run did.")
        changes: list[Change] = [EntryChanged(at, entry) for entry in self._cut_short()]
        changes.append(RunChanged(at, ("status", "stop_reason", "error", "ended", "events")))
        return changes

    def join_server_steps(self, rows: Sequence[dict[str, Any]], at: int | None = None) -> list[Change]:
        """Join the server's own figures: `/v1/runs/{id}/steps` rows, each with its `/v1/steps/{id}/metrics` merged in."""
        changes: list[Change] = []
        for row in rows:
            step = self._step_of_id.get(str(row.get("id")))
            if step is None:
                continue
            step.server.update(row)
            if self.model is None and row.get("model"):
                self.model = str(row["model"])
                changes.append(RunChanged(at, ("model",)))
            changes.append(StepChanged(at, step))
            calls = [call for call in self.tool_calls if call.step_index == step.index]
            tool_ns = row.get("tool_execution_ns")
            if len(calls) == 1 and isinstance(tool_ns, int):
                calls[0].duration, calls[0].duration_source, calls[0].at_most = tool_ns, "server", None
                changes.append(EntryChanged(at, calls[0]))
        return changes

    def blank(self) -> Run:
        """The same request with nothing arrived yet: what a replay starts from. It keeps no second log."""
        return Run(
            self.request,
            started=self.started,
            agent_id=self.agent_id,
            agent_name=self.agent_name,
            model=self.model,
            server=self.server,
            conversation_id=self.conversation_id,
            uid=self.uid,
            timed=self.timed,
            record=False,
        )

    def close_like(self, other: Run) -> list[Change]:
        """End a replay as `other` ended, with what its server told afterwards."""
        if other.status == "running":
            return []
        changes = self.end(other.ended_at, other.error, cancelled=other.status == "cancelled")
        return changes + self.join_server_steps([step.server for step in other.steps if step.server], self.ended_at)

    # -- how it ends --------------------------------------------------------------------------------------------------

    def _verdict(self, cancelled: bool) -> Status:
        if self.error is not None:
            return "failed"
        reason = self.stop_reason
        if reason is not None:
            if reason == "requires_approval" or reason == "cancelled":
                return reason
            return "completed" if reason in _COMPLETED else "failed"
        if self._done and self.usage_reports and self._era != "modern":
            return "completed"
        return "cancelled" if cancelled else "interrupted"

    def _cut_short(self) -> list[Entry]:
        """The entries that were still growing when a run did not end well."""
        if self.status in ("completed", "requires_approval") or not self.entries:
            return []
        last = self.entries[-1]
        cut: list[Entry] = [call for call in self.tool_calls if not call.has_returned]
        if not isinstance(last, ToolCallEntry) and last.kind in ("reasoning", "assistant"):
            cut.append(last)
        for entry in cut:
            entry.cut = True
        return cut

    # -- the fold, by type --------------------------------------------------------------------------------------------

    def _prompt(self) -> None:
        request = self.request or {}
        messages: Any = request.get("messages") or []
        if isinstance(request.get("input"), (str, list)):
            messages = [{"role": "user", "content": request["input"]}]
        for message in messages if isinstance(messages, list) else []:
            if isinstance(message, dict) and message.get("role") in ("user", "system"):
                kind: Kind = "user" if message["role"] == "user" else "system"
                entry = self._new(Entry, kind, f"{kind}_message", None, 0 if self.timed else None)
                entry.buffer.append(ev.text_of(message.get("content")))

    def opening(self) -> list[Change]:
        """The changes that say what is known before anything arrives: the request. The first of any replay."""
        names = ("uid", "run_id", "agent", "model", "server", "status", "started", "timed", "delivery", "events")
        changes: list[Change] = [RunChanged(0 if self.timed else None, names)]
        for entry in self.entries:
            if entry.step_index is None and entry.message_id is None:
                changes.append(EntryOpened(entry.first_at, entry))
                changes.append(TextAppended(entry.first_at, entry, entry.text))
        return changes

    def _identify(self, event: ev.MessageEvent, at: int | None, changes: list[Change]) -> None:
        if self.run_id is None and event.run_id:
            self.run_id = event.run_id
            changes.append(RunChanged(at, ("run_id",)))
        if self._era is None and event.message_type != "ping":  # type: ignore[attr-defined]
            # servers before 0.8.16 do not send `is_err`, not even as null
            self._era = "modern" if "is_err" in event.model_fields_set or event.run_id else "seed"
            if self._era == "modern" and self.request is not None and not self.request.get("stream_tokens"):
                self._delivers("step", at, changes)

    def _new(self, cls: type[Any], kind: Kind, message_type: str, step: Step | None, at: int | None, **more: Any) -> Any:
        entry = cls(
            index=len(self.entries),
            kind=kind,
            message_type=message_type,
            step_index=None if step is None else step.index,
            first_at=at,
            last_at=at,
            **more,
        )
        self.entries.append(entry)
        return entry

    def _step_for(self, event: ev.MessageEvent, at: int | None, changes: list[Change]) -> Step:
        """The step that a model's reply belongs to; servers without step ids get one for each reply."""
        step = self._step
        if event.step_id:
            step = self._step_of_id.get(event.step_id)
        elif step is not None and step.reply_id != event.id:
            step = None
        if step is None:
            step = Step(index=len(self.steps), step_id=event.step_id, reply_id=event.id, first_at=at)
            self.steps.append(step)
            if event.step_id:
                self._step_of_id[event.step_id] = step
            changes.append(StepChanged(at, step))
        self._step = step
        step.last_at = at
        return step

    def _append_text(self, event: ev.MessageEvent, kind: Kind, text: str, at: int | None, changes: list[Change]) -> None:
        message_type: str = event.message_type  # type: ignore[attr-defined]
        # the safe key of a text block; providers interleave, so a change of type does not close one
        key = (message_type, event.otid or event.id)
        entry = self._texts.get(key)
        if entry is None:
            step = self._step_for(event, at, changes) if kind in ("reasoning", "assistant") else self._step
            entry = self._new(
                Entry, kind, message_type, step, at, message_id=event.id, otid=event.otid, name=event.name
            )
            self._texts[key] = entry
            changes.append(EntryOpened(at, entry))
        elif kind in ("reasoning", "assistant"):
            self._delivers("token", at, changes)
            self._step_for(event, at, changes)
        if text:
            entry.buffer.append(text)
            entry.last_at = at
            changes.append(TextAppended(at, entry, text))

    def _delivers(self, delivery: Literal["token", "step"], at: int | None, changes: list[Change]) -> None:
        if self.delivery is None:
            self.delivery = delivery
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
        entry = self._new(
            Entry, "hidden_reasoning", event.message_type, step, at, message_id=event.id, otid=event.otid
        )
        entry.extra["state"] = event.state
        changes.append(EntryOpened(at, entry))

    def _on_tool_call(
        self, event: ev.ToolCallMessage | ev.ApprovalRequestMessage, at: int | None, changes: list[Change]
    ) -> None:
        step = self._step_for(event, at, changes)
        whole = isinstance(event.tool_calls, list)
        if self._era == "modern":
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
        known = self._calls.get(piece.tool_call_id) if piece.tool_call_id else self._call_of_message.get(event.id)
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
        call: ToolCallEntry = self._new(
            ToolCallEntry,
            "tool_call",
            event.message_type,  # type: ignore[attr-defined]
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
        if piece.name and piece.name != call.name and not call.buffer:
            # repeated by some providers, in pieces by a few; a piece can only come before the arguments
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
        for part in together:
            call = self._calls.get(part.tool_call_id or "") or self._unseen_call(event, part, at, changes)
            call.has_returned, call.returned_at = True, at
            call.result, call.status = ev.text_of(part.tool_return), part.status
            call.stdout, call.stderr, call.return_message_id = part.stdout, part.stderr, event.id
            if call.approval == "pending":
                call.approval = "approved"
            self._time_call(call, at, len(together))
            if call.step_index is not None:
                self.steps[call.step_index].last_at = at
            changes.append(EntryChanged(at, call))

    def _unseen_call(
        self, event: ev.ToolReturnMessage, part: ev.ToolReturn, at: int | None, changes: list[Change]
    ) -> ToolCallEntry:
        """A return whose call was not streamed: an earlier leg's, or one that the server kept to itself."""
        step = (self._step_of_id.get(event.step_id) if event.step_id else self._step) or self._step_for(
            event, at, changes
        )
        call: ToolCallEntry = self._new(
            ToolCallEntry,
            "tool_call",
            event.message_type,
            step,
            at,
            message_id=event.id,
            otid=event.otid,
            # the event names its first call only
            name=event.name if part.tool_call_id == event.tool_call_id else None,
            tool_call_id=part.tool_call_id,
        )
        call.extra["unseen"] = True
        if part.tool_call_id:
            self._calls[part.tool_call_id] = call
        changes.append(EntryOpened(at, call))
        return call

    def _time_call(self, call: ToolCallEntry, at: int | None, together: int) -> None:
        """Latency by arrival, where arrival says anything: not when a modern server sends the step whole."""
        if at is None or call.last_at is None or call.extra.get("unseen") or call.approval is not None:
            return
        if self._era == "modern" and self.delivery != "token":
            return
        if together > 1:
            call.at_most = at - call.last_at
        else:
            call.duration, call.duration_source = at - call.last_at, "client"

    def _on_note(self, event: ev.SummaryMessage | ev.EventMessage, at: int | None, changes: list[Change]) -> None:
        summary = event.summary if isinstance(event, ev.SummaryMessage) else ""
        facts = event.compaction_stats if isinstance(event, ev.SummaryMessage) else event.event_data
        kind: Kind = "summary" if isinstance(event, ev.SummaryMessage) else "compaction"
        entry = self._new(Entry, kind, event.message_type, self._step, at, message_id=event.id, otid=event.otid)
        entry.extra["facts"] = facts
        entry.buffer.append(summary)
        changes.append(EntryOpened(at, entry))
        if summary:
            changes.append(TextAppended(at, entry, summary))

    def _on_approval_response(self, event: ev.ApprovalResponseMessage, at: int | None, changes: list[Change]) -> None:
        for answer in event.approvals or []:
            call = self._calls.get(str(answer.get("tool_call_id")))
            if call is not None:
                call.approval = "denied" if answer.get("approve") is False else "approved"
                changes.append(EntryChanged(at, call))

    def _on_unknown(self, event: ev.UnknownEvent, at: int | None, changes: list[Change]) -> None:
        entry = self._new(Entry, "unknown", event.message_type or "", self._step, at)
        entry.extra["problem"] = event.problem
        entry.buffer.append(event.raw)
        changes += [EntryOpened(at, entry), TextAppended(at, entry, event.raw)]

    def _on_nothing(self, event: ev.AnyEvent, at: int | None, changes: list[Change]) -> None:
        """Pings say only that the server is alive; the log has them."""

    def _on_stop(self, event: ev.StopReason, at: int | None, changes: list[Change]) -> None:
        # sent twice on some failures, the general reason first: the later one is the better one
        self.stop_reason = event.stop_reason
        changes.append(RunChanged(at, ("stop_reason",)))

    def _on_usage(self, event: ev.UsageStatistics, at: int | None, changes: list[Change]) -> None:
        self.usage_reports.append(
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
        self.run_id = self.run_id or event.run_id
        self.error = RunError(event.error_type or "error", event.message or "The run failed.", event.detail)
        changes.append(RunChanged(at, ("run_id", "error")))

    def _on_stream_error(self, event: ev.StreamError, at: int | None, changes: list[Change]) -> None:
        error: Any = event.error
        words = error.get("message") if isinstance(error, dict) else error
        self.error = RunError(str(event.code or "stream_error"), str(words or error))
        changes.append(RunChanged(at, ("error",)))

    def _on_cancelled(self, event: ev.Cancelled, at: int | None, changes: list[Change]) -> None:
        self.stop_reason = self.stop_reason or "cancelled"
        changes.append(RunChanged(at, ("stop_reason",)))

    def _on_done(self, event: ev.Done, at: int | None, changes: list[Change]) -> None:
        self._done = True
        changes += self.end(at)

    # -- shortcuts to the modules above -------------------------------------------------------------------------------

    def save(self, path: str | Path) -> Path:
        """Write the run file (JSON Lines, events as received with their times); returns its path."""
        from letta_nb import record

        return record.save(self, path)

    def replay(self, speed: float = 1.0) -> Run:
        """Show the run again as it arrived, `speed` times as fast; returns the replayed Run, equal to this one."""
        from letta_nb import live

        return live.replay(self, speed)

    def show(self) -> None:
        """Display the run: the interactive view in a notebook, a text transcript elsewhere."""
        from letta_nb import live

        live.show(self)

    def to_html(self, path: str | Path | None = None) -> str:
        """The run as HTML that needs no kernel, no server and no network; written to `path` if one is given."""
        from letta_nb import static_html

        return static_html.to_html(self, path)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        from letta_nb import static_html, text

        return {"text/html": static_html.fragment(self), "text/plain": text.transcript(self, plain=True)}

    def steps_df(self) -> pd.DataFrame:
        """One row a step (one model call and its tools)."""
        from letta_nb import frames

        return frames.steps_df(self)

    def tools_df(self) -> pd.DataFrame:
        """One row a tool call, pending ones too."""
        from letta_nb import frames

        return frames.tools_df(self)

    def usage_df(self) -> pd.DataFrame:
        """One row a usage report."""
        from letta_nb import frames

        return frames.usage_df(self)

    def messages_df(self) -> pd.DataFrame:
        """One row a joined message, in order."""
        from letta_nb import frames

        return frames.messages_df(self)

    def events_df(self) -> pd.DataFrame:
        """One row an event, as received."""
        from letta_nb import frames

        return frames.events_df(self)


_Fold = Callable[[Run, Any, "int | None", "list[Change]"], None]
_FOLD: dict[type[ev.Event], _Fold] = {
    ev.SystemMessage: Run._on_input,
    ev.UserMessage: Run._on_input,
    ev.ReasoningMessage: Run._on_reasoning,
    ev.HiddenReasoningMessage: Run._on_hidden,
    ev.ToolCallMessage: Run._on_tool_call,
    ev.ApprovalRequestMessage: Run._on_tool_call,
    ev.ToolReturnMessage: Run._on_tool_return,
    ev.AssistantMessage: Run._on_assistant,
    ev.ApprovalResponseMessage: Run._on_approval_response,
    ev.SummaryMessage: Run._on_note,
    ev.EventMessage: Run._on_note,
    ev.Ping: Run._on_nothing,
    ev.StopReason: Run._on_stop,
    ev.UsageStatistics: Run._on_usage,
    ev.ErrorMessage: Run._on_error,
    ev.StreamError: Run._on_stream_error,
    ev.Cancelled: Run._on_cancelled,
    ev.Done: Run._on_done,
    ev.UnknownEvent: Run._on_unknown,
}
