"""The fold of what Letta Code says beside Letta's events: who runs, when its own tools ran, how a turn ended."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from letta_nb import events as ev
from letta_nb.entries import Change, EntryChanged, RunChanged, RunError

if TYPE_CHECKING:
    from letta_nb.fold import Fold
    from letta_nb.run import Run

_REASONS = {"success": "end_turn", "interrupted": "cancelled", "error": "error"}


def fold_session(run: Run, fold: Fold, event: ev.SessionEvent, at: int | None, changes: list[Change]) -> None:
    """Join one; what has no place in a transcript is in the log."""
    facts: dict[str, Any] = event.model_extra or {}
    match event.type:
        case "system":
            run.model = _text(facts.get("model")) or run.model
            run.agent_id = _text(facts.get("agent_id")) or run.agent_id
            run.conversation_id = _text(facts.get("conversation_id")) or run.conversation_id
            run.server = "Letta Code"
            changes.append(RunChanged(at, ("model", "agent", "server")))
        case "tool_execution_started" | "tool_execution_finished":
            call = fold.calls.get(_text(facts.get("tool_call_id")))
            if call is not None and event.type == "tool_execution_started":
                call.started_at = at
            elif call is not None and call.started_at is not None and at is not None:
                call.duration, call.duration_source, call.at_most = at - call.started_at, "client", None
            if call is not None:
                changes.append(EntryChanged(at, call))
        case "error":
            words = _text(facts.get("message")) or "Letta Code failed."
            run.error = RunError(_text(facts.get("stop_reason")) or "error", words)
            changes.append(RunChanged(at, ("error",)))
        case "result":
            _result(run, fold, facts, event.subtype, at, changes)
        case _:
            pass


def _result(
    run: Run, fold: Fold, facts: dict[str, Any], subtype: str | None, at: int | None, changes: list[Change]
) -> None:
    if run.stop_reason in (None, "requires_approval"):
        run.stop_reason = _text(facts.get("stop_reason")) or _REASONS.get(subtype or "", "error")
    usage = facts.get("usage")
    if isinstance(usage, dict) and not run.usage_reports:
        with suppress(ValidationError):  # what has another shape is left out
            changes += fold(ev.UsageStatistics.model_validate(usage), at)
    changes += run.end(at)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
