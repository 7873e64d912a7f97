"""A run: one request to an agent and everything that came of it.

No I/O, no clock, no threads: times come in with the events, so that a run made live, loaded from a file and replayed
is the same run. What a person calls on a Run (frames, files, pictures) lives in the modules above and is reached from
here by name only.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

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
from letta_nb.fold import Fold
from letta_nb.log import EventLog, Received
from letta_nb.typed import Events, typed

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

_E = TypeVar("_E", bound=Entry)
_COMPLETED = frozenset({"end_turn", "max_steps", "tool_rule"})


class Run:
    """One request to an agent, as far as it has come.

    `status`: "running", "completed", "requires_approval", "interrupted" (the stream did not end properly),
    "cancelled" or "failed". `entries`: the transcript in order. `text`: what the agent said. `usage`: tokens, None
    where not reported. `events`: everything received. `log`: the same, verbatim, with times in ns since the request.
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
        # when the server said that it was over; the connection may close later
        self.stopped_at: int | None = None
        self.ended_at: int | None = None
        # the notebook cell (its execution count) that shows the run already
        self.shown_in: int | None = None
        self._fold = Fold(self)
        self._closed = False
        self._prompt()

    # -- what a person reads ------------------------------------------------------------------------------------------

    @property
    def text(self) -> str:
        """What the agent said: its assistant messages, one blank line between two."""
        return "\n\n".join(entry.text for entry in self.entries if entry.kind == "assistant" and entry.buffer)

    @property
    def prompt(self) -> str:
        """What the agent was asked: the text of the request's user messages."""
        return "\n\n".join(entry.text for entry in self.entries if entry.kind == "user" and entry.message_id is None)

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
        event = typed(received)
        if received.torn and isinstance(event, ev.UnknownEvent):
            return event, []
        return event, self.fold(event, received.at if received.at >= 0 else None)

    def fold(self, event: ev.AnyEvent, at: int | None) -> list[Change]:
        """Join one event; `at` is ns since the request. Returns the changes, in order; [] once the run has ended."""
        return [] if self._closed else self._fold(event, at)

    def end(self, at: int | None, error: RunError | None = None, *, cancelled: bool = False) -> list[Change]:
        """The stream is over: nothing more will come. `error` says how if it broke, `cancelled` if we stopped it.

        Idempotent. What the server said last wins over how the connection closed.
        """
        if self.status != "running":
            return []
        self.ended_at = at
        self.status = self._verdict(cancelled)
        self._closed = True
        if self.status == "interrupted" and self.error is None:
            self.error = error or RunError("stream_ended", "The stream ended before the run did.")
        changes: list[Change] = [EntryChanged(at, entry) for entry in self._cut_short()]
        changes.append(RunChanged(at, ("status", "stop_reason", "error", "ended", "events")))
        return changes

    def fail(self, at: int | None, error: RunError) -> list[Change]:
        """The request itself failed: nothing can come any more."""
        self.error = error
        return self.end(at)

    def end_as(self, status: str, at: int | None, error: RunError | None) -> list[Change]:
        """End as a record says that the run ended; what the events themselves say still comes first."""
        if status == "failed" and error is not None and self.error is None:
            return self.fail(at, error)
        return self.end(at, error, cancelled=status == "cancelled")

    def join_server_steps(self, rows: Sequence[dict[str, Any]], at: int | None = None) -> list[Change]:
        """Join the server's own figures: rows of `/v1/runs/{id}/steps`, each with its `/v1/steps/{id}/metrics`."""
        changes: list[Change] = []
        for row in rows:
            step = self._fold.step_of_id.get(str(row.get("id")))
            if step is None:
                continue
            # what a server says of itself may have any shape: only plain facts are joined
            step.server.update(
                (key, value) for key, value in row.items() if value is None or isinstance(value, (int, str))
            )
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

    def blank(self, *, record: bool = False) -> Run:
        """The same request with nothing arrived yet: what a replay starts from."""
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
            record=record,
        )

    def still(self) -> Run:
        """The run as it stands: itself once it has ended, else a copy that no other thread goes on changing."""
        if self.status != "running" or self.log is None:
            return self
        copy = self.blank(record=True)
        for index in range(len(self.log)):
            copy.receive(self.log[index])
        return copy

    def close_like(self, other: Run) -> list[Change]:
        """End a replay as `other` ended, with what its server told afterwards."""
        if other.status == "running":
            return []
        changes = self.end_as(other.status, other.ended_at, other.error)
        return changes + self.join_server_steps([step.server for step in other.steps if step.server], self.ended_at)

    def _prompt(self) -> None:
        request = self.request or {}
        messages: Any = request.get("messages")
        if isinstance(request.get("input"), (str, list)):
            messages = [{"role": "user", "content": request["input"]}]
        # a body sent by someone else may be anything: what is no message is not shown as one
        for message in cast("list[dict[str, Any]]", messages) if isinstance(messages, list) else []:
            if isinstance(message, dict) and message.get("role") in ("user", "system"):  # pyright: ignore[reportUnnecessaryIsInstance]
                kind: Kind = "user" if message["role"] == "user" else "system"
                entry = self.add_entry(Entry, kind, f"{kind}_message", None, 0 if self.timed else None)
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

    def add_entry(
        self, cls: type[Any], kind: Kind, message_type: str, step: Step | None, at: int | None, **more: Any
    ) -> Any:
        """A new entry at the end of the transcript."""
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

    # -- how it ends --------------------------------------------------------------------------------------------------

    def _verdict(self, cancelled: bool) -> Status:
        if self.error is not None:
            return "failed"
        reason = self.stop_reason
        if reason is not None:
            if reason == "requires_approval" or reason == "cancelled":
                return reason
            return "completed" if reason in _COMPLETED else "failed"
        if self._fold.done and self.usage_reports and self._fold.era != "modern":
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

    # -- shortcuts to the modules above -------------------------------------------------------------------------------

    def save(self, path: str | Path) -> Path:
        """Write the run file (JSON Lines, events as received with their times); returns its path."""
        from letta_nb import record

        return record.save(self, path)

    def replay(self, speed: float = 1.0) -> Run:
        """Show the run again as it arrived, `speed` times as fast; returns the replayed Run, equal to this one."""
        from letta_nb import api

        return api.replay(self, speed)

    def show(self) -> None:
        """Display the run: the interactive view in a notebook, a text transcript elsewhere."""
        from letta_nb import notebook

        notebook.show(self)

    def to_html(self, path: str | Path | None = None) -> str:
        """The run as HTML that needs no kernel, no server and no network; written to `path` if one is given."""
        from letta_nb import static_html

        return static_html.to_html(self, path)

    def _ipython_display_(self) -> None:
        from letta_nb import notebook

        # as the value of the cell that streamed it, the run stands there already
        if not notebook.already_shown(self):
            notebook.show(self)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return self.mimebundle()

    def mimebundle(self) -> dict[str, str]:
        """The run as a cell's output: HTML that needs no kernel, and text that is the same on each run."""
        from letta_nb import static_html, text

        run = self.still()
        return {"text/html": static_html.fragment(run), "text/plain": text.transcript(run, plain=True)}

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
