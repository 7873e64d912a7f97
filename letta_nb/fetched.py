"""What a server tells of a run afterwards, joined into it: figures of the steps, messages never streamed, how it ended.

`Fetched` holds the server's answers as they were, so that a saved run knows where each fact came from:
`steps` the rows of `/v1/runs/{id}/steps`, each with its `/v1/steps/{id}/metrics`; `messages` those of
`/v1/runs/{id}/messages`; `run` the row of `/v1/runs/{id}`; `pending` approval requests of an earlier run that the agent
still waits for; `memory` the agent's memory blocks, "before" the run and "after" it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from letta_nb import events as ev
from letta_nb.entries import (
    Cancel,
    Change,
    EntryChanged,
    EntryOpened,
    RunChanged,
    RunError,
    Status,
    StepChanged,
    TextAppended,
    Usage,
)

if TYPE_CHECKING:
    from letta_nb.fold import Fold
    from letta_nb.run import Run

Fetched = Mapping[str, Any]
ENDED: dict[str, Status] = {"completed": "completed", "failed": "failed", "cancelled": "cancelled"}


def join(run: Run, fold: Fold, fetched: Fetched, at: int | None) -> list[Change]:
    """Join the server's answers; what has another shape than a Letta server's is left out."""
    changes: list[Change] = []
    for message in _dicts(fetched.get("messages")):
        _join_message(run, fold, ev.parse(json.dumps(message, ensure_ascii=False)), at, changes)
    rows = _dicts(fetched.get("steps"))
    for row in rows:
        _join_step(run, fold, row, at, changes)
    _join_usage(run, rows, at, changes)
    if rows:
        changes.append(RunChanged(at, ("cost",)))
    if "memory" in fetched:
        changes.append(RunChanged(at, ("memory",)))
    if "pending" in fetched:
        _join_pending(run, fold, _dicts(fetched["pending"]), at, changes)
    if isinstance(fetched.get("run"), dict):
        _join_run(run, fetched["run"], at, changes)
    return changes


def _dicts(value: object) -> Sequence[dict[str, Any]]:
    items = cast("list[Any]", value) if isinstance(value, list) else []
    return [cast("dict[str, Any]", item) for item in items if isinstance(item, dict)]


# -- figures -----------------------------------------------------------------------------------------------------------


def _join_step(run: Run, fold: Fold, row: dict[str, Any], at: int | None, changes: list[Change]) -> None:
    step = fold.step_of_id.get(str(row.get("id")))
    if step is None:
        return
    # what a server says of itself may have any shape: only plain facts are joined
    uncounted = () if _is_counted(row) else _TOKENS.values()
    step.server.update((key, value) for key, value in row.items() if _is_plain(value) and key not in uncounted)
    if run.model is None and row.get("model"):
        run.model = str(row["model"])
        changes.append(RunChanged(at, ("model",)))
    changes.append(StepChanged(at, step))
    calls = fold.calls.of_step(step.index)
    tool_ns = row.get("tool_execution_ns")
    # our own function was timed where it ran; of several calls the server knows only the longest
    if len(calls) == 1 and isinstance(tool_ns, int) and _is_plain(tool_ns) and not calls[0].here:
        calls[0].duration, calls[0].duration_source, calls[0].at_most = tool_ns, "server", None
        changes.append(EntryChanged(at, calls[0]))


_TOKENS = {
    "input_tokens": "prompt_tokens",
    "output_tokens": "completion_tokens",
    "total_tokens": "total_tokens",
    "cache_read_input_tokens": "cached_input_tokens",
    "cache_creation_input_tokens": "cache_write_tokens",
    "reasoning_output_tokens": "reasoning_tokens",
}


def _join_usage(run: Run, rows: Sequence[dict[str, Any]], at: int | None, changes: list[Change]) -> None:
    """The sum over the steps, where no usage was reported: a stream that fails or is cancelled has none."""
    if run.usage_reports or not rows or run.status == "running":
        return
    usage = Usage(step_count=len(rows), at=at)
    for name, key in _TOKENS.items():
        counts = [row[key] for row in rows if isinstance(row.get(key), int) and _is_plain(row[key])]
        setattr(usage, name, sum(counts) if counts else None)
    if usage.total_tokens:
        run.usage_reports.append(usage)
        changes.append(RunChanged(at, ("usage", "cost")))


def _is_counted(row: dict[str, Any]) -> bool:
    """A step's row is made with zeros, which are no counts until its reply is over: no model reads nothing."""
    return row.get("status") in (None, "success") or any(row.get(name) for name in ("prompt_tokens", "total_tokens"))


def _is_plain(value: object) -> bool:
    """Nothing, a text, or a number that a table can hold."""
    return value is None or isinstance(value, str) or (isinstance(value, int) and abs(value) < 1 << 63)


# -- messages ----------------------------------------------------------------------------------------------------------


def _join_message(run: Run, fold: Fold, event: ev.AnyEvent, at: int | None, changes: list[Change]) -> None:
    if isinstance(event, ev.ToolReturnMessage):
        fold.calls.returned(event, None, at, changes, late=True)
    elif isinstance(event, (ev.ToolCallMessage, ev.ApprovalRequestMessage)):
        _join_calls(fold, event, changes)
    elif isinstance(event, ev.AssistantMessage):
        text = ev.text_of(event.content if event.content is not None else event.message)
        _join_text(run, fold, event, "assistant", text, at, changes)
    elif isinstance(event, ev.ReasoningMessage):
        _join_text(run, fold, event, "reasoning", event.reasoning, at, changes)


def _join_calls(fold: Fold, event: ev.ToolCallMessage | ev.ApprovalRequestMessage, changes: list[Change]) -> None:
    before = len(changes)
    # no time of its own: it was fetched, not streamed
    fold.calls.add(event, fold.step_for(event, None, changes), None, changes)
    for change in changes[before:]:
        if isinstance(change, EntryOpened):
            change.entry.extra["source"] = "server"


def _join_pending(
    run: Run, fold: Fold, requests: Sequence[dict[str, Any]], at: int | None, changes: list[Change]
) -> None:
    """What the agent waits for: the reason why it took no message, or the end of what a past run had asked."""
    if run.status == "requires_approval":
        _answered_elsewhere(run, requests, at, changes)
        return
    for message in requests:
        event = ev.parse(json.dumps(message, ensure_ascii=False))
        if isinstance(event, ev.ApprovalRequestMessage):
            _join_calls(fold, event, changes)
    names = [call.name or "a tool" for call in run.tool_calls if call.approval == "pending"]
    if requests and names and run.error is not None:
        words = (
            f"The agent still waits for an answer to an earlier tool call ({', '.join(names)}), so it took no message."
        )
        more = 'run.approve() or run.deny("why") answers it; then send again.'
        run.error = RunError("pending_approval", f"{words} {more}", run.error.detail or run.error.message)
        changes.append(RunChanged(at, ("error",)))


def _answered_elsewhere(run: Run, requests: Sequence[dict[str, Any]], at: int | None, changes: list[Change]) -> None:
    """A call that the agent no longer waits for was answered by another run: here it can only be looked at."""
    asked = json.dumps(list(requests))
    for call in run.tool_calls:
        if call.approval == "pending" and (call.tool_call_id or "") not in asked:
            call.approval, call.answered_elsewhere = None, True
            changes.append(EntryChanged(at, call))


def _join_text(
    run: Run, fold: Fold, event: ev.MessageEvent, kind: str, text: str, at: int | None, changes: list[Change]
) -> None:
    """A text that was cut is completed, one that never came is added, one that is there stays."""
    known = [entry for entry in run.entries if entry.kind == kind and entry.message_id == event.id]
    if any(text in entry.text for entry in known):
        return
    cut = next((entry for entry in known if text.startswith(entry.text)), None)
    if cut is None:
        entry = fold.add_late(event, "assistant" if kind == "assistant" else "reasoning", changes)
        entry.extra["source"] = "server"
    else:
        entry, text = cut, text[len(cut.text) :]
        entry.cut = False
        changes.append(EntryChanged(at, entry))
    entry.buffer.append(text)
    # it was not there then: the entry's own times stay what they were
    changes.append(TextAppended(None, entry, text))


# -- how it ended ------------------------------------------------------------------------------------------------------


def _join_run(run: Run, row: dict[str, Any], at: int | None, changes: list[Change]) -> None:
    """A stream that broke says nothing of the run's end; the server's own word does."""
    if run.status not in ("interrupted", "cancelled"):
        return
    reason = row.get("stop_reason")
    status = ENDED.get(str(row.get("status")))
    if status is None:
        _join_running(run, at, changes)
        return
    run.status = "requires_approval" if reason == "requires_approval" else status
    run.stop_reason = reason if isinstance(reason, str) else run.stop_reason
    run.error = _error_of(row) if status == "failed" else None
    changes.append(RunChanged(at, ("status", "stop_reason", "error", "connection")))


def _join_running(run: Run, at: int | None, changes: list[Change]) -> None:
    """The server agreed to cancel, and says that it still runs: then it was not stopped."""
    if run.status == "cancelled" and run.cancellation is not None:
        run.status, run.error = "interrupted", RunError("not_stopped", "The server says that the run still goes on.")
        words = "The server agreed, and says that the run still goes on."
        run.cancellation = Cancel(asked_at=run.cancellation.asked_at, outcome="refused", words=words)
        changes.append(RunChanged(at, ("status", "error", "cancel")))


def _error_of(row: dict[str, Any]) -> RunError:
    facts = cast("dict[str, Any]", row["metadata"]) if isinstance(row.get("metadata"), dict) else {}
    error = facts.get("error")
    words = cast("dict[str, Any]", error) if isinstance(error, dict) else {"message": error}
    said = words.get("message") or words.get("detail") or "The server says that the run failed."
    kind = words.get("error_type") or words.get("type") or row.get("stop_reason") or "error"
    detail = words.get("detail")
    return RunError(str(kind), str(said), None if detail is None else str(detail))
