"""The columns of the six tables as data: for each its name, its dtype and how a run's values are read, a row each.

Names are flat snake_case after OpenTelemetry GenAI, units in the name. A value is None where the wire does not tell
it, and never 0. The ids join: `run_id` is the wire's, or the Run's own `uid` for servers that send none; `step_id` is
the wire's, or `run_id:step_index` (servers before 0.7.9); `step_index` counts from 0. A cost is None where no price is
known, and `price_date` stands where there is one. `trial`, `request_model` and `repeat` are a fan-out's (see `trials`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Generic, Literal, TypeVar

from letta_nb import words
from letta_nb.entries import Usage
from letta_nb.run import Run
from letta_nb.step_views import RunView, StepView, approval_wait, known, whole
from letta_nb.views import ToolView, UsageView, Values, View, run_id, step_ids
from letta_nb.wire_views import EventView, MessageView

Dtype = Literal["string", "Int64", "Float64", "boolean", "datetime64[ns, UTC]"]
Grain = Literal["runs", "steps", "tools", "usage", "messages", "events"]
V_contra = TypeVar("V_contra", contravariant=True)


@dataclass(frozen=True)
class Column(Generic[V_contra]):
    """`values` gives a run's values, a row each. Times are ns since the request, durations (`is_ns`) ns."""

    name: str
    dtype: Dtype
    values: Callable[[V_contra], Values]
    is_ns: bool = False


def _each(path: str) -> Callable[[View], Values]:
    """A column that is an attribute of each row."""
    get = attrgetter(path)
    return lambda view: list(map(get, view.rows))


def _run(path: str) -> Callable[[View], Values]:
    """A column that is an attribute of the run, the same in all rows."""
    get = attrgetter(path)
    return lambda view: view.per_run(get)


def _joined(values: Sequence[list[str] | None]) -> Values:
    return [None if parts is None else "".join(parts) for parts in values]


# -- the tables --------------------------------------------------------------------------------------------------------

_Run = Column[View]
_Sums = Column[RunView]
_Sum = Callable[[list[int | None]], int | None]
_Step = Column[StepView]
_Tool = Column[ToolView]
_Usage = Column[UsageView]
_Message = Column[MessageView]
_Event = Column[EventView]

_TIME: Dtype = "datetime64[ns, UTC]"
_TOKENS = (
    "input_tokens",
    "output_tokens",
    "total_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "reasoning_output_tokens",
    "context_tokens",
)
_SERVER_TOKENS = (
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "cached_input_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "context_tokens",
)
_COST: list[Column[View]] = [
    _Run("total_cost_usd", "Float64", lambda view: view.costs),
    _Run("price_date", "string", lambda view: view.price_dates),
]
_RUN_ID: Column[View] = _Run("run_id", "string", lambda view: view.per_run(run_id))
_OWNERS: list[Column[View]] = [
    _Run("agent_id", "string", _run("agent_id")),
    _Run("conversation_id", "string", _run("conversation_id")),
]


def _trial(name: str) -> Callable[[View], Values]:
    return lambda view: view.per_run(lambda run: None if run.trial is None else getattr(run.trial, name))


# which send of a fan-out a run is, told by its file too
_AGENT_NAME: Column[View] = _Run("agent_name", "string", _run("agent_name"))
_TRIAL = [
    _Run("trial", "Int64", _trial("number")),
    _Run("request_model", "string", _trial("request_model")),
    _Run("repeat", "Int64", _trial("repeat")),
]
# behind `run_id` in each table of a fan-out
TRIALS: list[Column[View]] = [_TRIAL[0], _AGENT_NAME, *_TRIAL[1:]]


def _usage(name: str) -> Callable[[View], Values]:
    get = attrgetter(name)
    return lambda view: view.per_run(lambda run: get(run.usage or Usage()))


def _error(run: Run, key: str) -> str | None:
    error = run.error
    if error is None:
        return None
    return error.type if key == "type" else error.detail or error.message


def _of_steps(values: Callable[[StepView], Iterable[int | None]], into: _Sum) -> Callable[[RunView], Values]:
    """What a figure of the steps comes to in a run."""
    return lambda view: list(map(into, view.by_run(values(view.steps))))


def _most(values: list[int | None]) -> int | None:
    return max(known(values), default=None)


def _some(values: list[int | None]) -> int | None:
    """The sum of what there is."""
    return whole(known(values))


RUNS: list[Column[RunView]] = [
    _RUN_ID,
    *_OWNERS,
    _AGENT_NAME,
    _Run("model", "string", _run("model")),
    _Run("server", "string", _run("server")),
    _Run("status", "string", _run("status")),
    _Run("stop_reason", "string", _run("stop_reason")),
    _Run("error_type", "string", lambda view: view.per_run(lambda run: _error(run, "type"))),
    _Run("error_message", "string", lambda view: view.per_run(lambda run: _error(run, "message"))),
    _Run("start_time", _TIME, lambda view: view.per_run(lambda run: 0 if run.timed else None)),
    _Run("end_time", _TIME, _run("ended_at")),
    _Run("duration_s", "Float64", _run("ended_at"), is_ns=True),
    _Sums("ttft_s", "Float64", _of_steps(lambda steps: steps.ttft, lambda its: next(iter(its), None)), is_ns=True),
    _Sums("llm_duration_s", "Float64", _of_steps(lambda steps: steps.llm, whole), is_ns=True),
    _Sums("tool_duration_s", "Float64", lambda view: view.tool, is_ns=True),
    _Sums("approval_wait_s", "Float64", _of_steps(lambda steps: steps.approval_waits, _some), is_ns=True),
    _Sums("overhead_s", "Float64", _of_steps(lambda steps: steps.overheads, whole), is_ns=True),
    _Sums("longest_gap_s", "Float64", _of_steps(lambda steps: steps.longest_gaps, _most), is_ns=True),
    _Run("step_count", "Int64", lambda view: view.per_run(lambda run: len(run.steps))),
    _Run("tool_call_count", "Int64", lambda view: view.per_run(lambda run: len(run.tool_calls))),
    _Run(
        "tool_error_count",
        "Int64",
        lambda view: view.per_run(lambda run: sum(words.failed(call) for call in run.tool_calls)),
    ),
    _Run("event_count", "Int64", _run("event_count")),
    *(_Run(name, "Int64", _usage(name)) for name in _TOKENS),
    *_COST,
    *_TRIAL,
]


STEPS: list[Column[StepView]] = [
    _RUN_ID,
    _Step("step_id", "string", lambda view: view.all_of(lambda run, _: step_ids(run))),
    *_OWNERS,
    _Step("step_index", "Int64", _each("index")),
    _Step("model", "string", lambda view: view.models),
    _Step("start_time", _TIME, lambda view: view.spans[0]),
    _Step("end_time", _TIME, lambda view: view.spans[1]),
    _Step("duration_s", "Float64", lambda view: view.durations, is_ns=True),
    _Step("ttft_s", "Float64", lambda view: view.ttft, is_ns=True),
    _Step("llm_duration_s", "Float64", lambda view: view.llm, is_ns=True),
    _Step("time_per_output_token_s", "Float64", lambda view: view.per_token, is_ns=True),
    _Step("longest_gap_s", "Float64", lambda view: view.longest_gaps, is_ns=True),
    _Step("tool_duration_s", "Float64", lambda view: view.tool, is_ns=True),
    _Step("approval_wait_s", "Float64", lambda view: view.approval_waits, is_ns=True),
    _Step("overhead_s", "Float64", lambda view: view.overheads, is_ns=True),
    _Step("duration_source", "string", lambda view: view.sources),
    _Step("tool_call_count", "Int64", lambda view: view.call_counts),
    *(
        _Step(name, "Int64", lambda view, key=key: view.server(key))
        for name, key in zip(_TOKENS, _SERVER_TOKENS, strict=True)
    ),
    _Step("stop_reason", "string", lambda view: view.server("stop_reason")),
    _Step("error_type", "string", lambda view: view.errors("type")),
    _Step("error_message", "string", lambda view: view.errors("message")),
    *_COST,
]

TOOLS: list[Column[ToolView]] = [
    _RUN_ID,
    _Tool("step_id", "string", lambda view: view.ids_of_steps([call.step_index for call in view.rows])),
    _Tool("message_id", "string", _each("message_id")),
    *_OWNERS,
    _Tool("step_index", "Int64", _each("step_index")),
    _Tool("tool_name", "string", _each("name")),
    _Tool("tool_call_id", "string", _each("tool_call_id")),
    _Tool("tool_arguments", "string", _each("arguments")),
    _Tool("tool_result", "string", _each("result")),
    _Tool("tool_status", "string", _each("status")),
    _Tool("approval", "string", _each("approval")),
    _Tool("stdout", "string", lambda view: _joined([call.stdout for call in view.rows])),
    _Tool("stderr", "string", lambda view: _joined([call.stderr for call in view.rows])),
    _Tool("start_time", _TIME, lambda view: view.starts()),
    _Tool("end_time", _TIME, lambda view: [call.returned_at for call in view.rows]),
    _Tool("duration_s", "Float64", lambda view: [call.duration for call in view.rows], is_ns=True),
    _Tool("duration_source", "string", _each("duration_source")),
    _Tool("approval_wait_s", "Float64", lambda view: [approval_wait(call) for call in view.rows], is_ns=True),
    _Tool("error_type", "string", lambda view: [error for error, _ in view.errors]),
    _Tool("error_message", "string", lambda view: [message for _, message in view.errors]),
]

USAGE: list[Column[UsageView]] = [
    _RUN_ID,
    *_OWNERS,
    _Usage("report_index", "Int64", lambda view: view.numbered()),
    _Usage("end_time", _TIME, lambda view: [report.at for report in view.rows]),
    _Usage("step_count", "Int64", _each("step_count")),
    *(_Usage(name, "Int64", _each(name)) for name in _TOKENS),
    *_COST,
]

MESSAGES: list[Column[MessageView]] = [
    _RUN_ID,
    _Message("step_id", "string", lambda view: view.ids_of_steps([row.entry.step_index for row in view.rows])),
    _Message("message_id", "string", _each("message_id")),
    *_OWNERS,
    _Message("step_index", "Int64", _each("entry.step_index")),
    _Message("message_index", "Int64", lambda view: view.numbered()),
    _Message("message_type", "string", _each("message_type")),
    _Message("content", "string", _each("content")),
    _Message("tool_name", "string", lambda view: view.tool("name")),
    _Message("tool_call_id", "string", lambda view: view.tool("tool_call_id")),
    _Message("start_time", _TIME, lambda view: [row.first_at for row in view.rows]),
    _Message("end_time", _TIME, lambda view: [row.last_at for row in view.rows]),
]

EVENTS: list[Column[EventView]] = [
    _RUN_ID,
    _Event("step_id", "string", lambda view: view.ids_of_steps(view.step_indexes)),
    _Event("message_id", "string", _each("message_id")),
    *_OWNERS,
    _Event("step_index", "Int64", lambda view: view.step_indexes),
    _Event("event_index", "Int64", lambda view: view.numbered()),
    _Event("event", "string", lambda view: [row.received.event or None for row in view.rows]),
    _Event("message_type", "string", _each("message_type")),
    _Event("seq_id", "Int64", _each("seq_id")),
    _Event("received_time", _TIME, _each("at")),
    _Event("received_s", "Float64", _each("at"), is_ns=True),
    _Event("gap_s", "Float64", lambda view: view.gaps(), is_ns=True),
    _Event("torn", "boolean", lambda view: [row.received.torn for row in view.rows]),
    _Event("raw_json", "string", lambda view: [row.received.data for row in view.rows]),
]

TABLES: dict[Grain, tuple[type[View], list[Column[Any]]]] = {
    "runs": (RunView, RUNS),
    "steps": (StepView, STEPS),
    "tools": (ToolView, TOOLS),
    "usage": (UsageView, USAGE),
    "messages": (MessageView, MESSAGES),
    "events": (EventView, EVENTS),
}
