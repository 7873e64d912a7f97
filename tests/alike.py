"""What two runs, or two tables, must have in common to be the same."""

from __future__ import annotations

from typing import Any

import pandas as pd

from letta_nb.entries import ToolCallEntry
from letta_nb.run import Run

FACTS = [
    "uid",
    "request",
    "started",
    "agent_id",
    "agent_name",
    "model",
    "server",
    "conversation_id",
    "timed",
    "ended_at",
    "delivery",
    "prompt",
    "text",
]


def story(run: Run) -> list[tuple[Any, ...]]:
    """All that a run adds up to, without what two runs of one stream may differ in."""
    entries = [
        (
            entry.kind,
            entry.text,
            entry.step_index,
            entry.message_id,
            *(
                (entry.name, entry.tool_call_id, entry.approval, entry.result, entry.status, entry.stdout, entry.stderr)
                if isinstance(entry, ToolCallEntry)
                else ()
            ),
        )
        for entry in run.entries
    ]
    steps = [(step.step_id, step.reply_id) for step in run.steps]
    return [*entries, *steps, (run.status, run.stop_reason, run.error, run.run_id, run.usage_reports, run.event_count)]


def everything(run: Run) -> list[Any]:
    """All that a run file must bring back, times to the nanosecond."""
    times = [(entry.first_at, entry.last_at, entry.cut, entry.extra) for entry in run.entries]
    calls = [
        (call.returned_at, call.duration, call.duration_source, call.at_most)
        for call in run.entries
        if isinstance(call, ToolCallEntry)
    ]
    steps = [(step.first_at, step.last_at, step.server) for step in run.steps]
    return [*story(run), times, calls, steps, *(getattr(run, name) for name in FACTS), list(run.log or ())]


def sorted_rows(table: pd.DataFrame) -> pd.DataFrame:
    """In an order that does not depend on how the files are called."""
    keys = [name for name in ("run_id", "step_index", "message_index", "event_index", "report_index") if name in table]
    return table.sort_values([*keys, *(name for name in ("tool_call_id",) if name in table)]).reset_index(drop=True)
