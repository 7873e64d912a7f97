"""Keeps the record of a run and its steps true while it goes on: times, tokens and ends."""

from __future__ import annotations

import time

from pydantic_ai.messages import ModelResponse
from pydantic_ai.models import Model
from pydantic_ai.usage import RequestUsage

from letta_nb.server import wire
from letta_nb.server.schemas import StreamRequest
from letta_nb.server.store import Row, Store, Thread
from letta_nb.server.views import tokens, total
from letta_nb.server.wire import Event

_COMPLETED = ("end_turn", "max_steps", "tool_rule", "requires_approval")


class RunRecord:
    """Keeps the row of one run, and the rows of its steps, true while it goes on."""

    def __init__(
        self,
        store: Store,
        thread: Thread,
        request: StreamRequest,
        model: Model,
        run_type: str,
        context_window: int,
    ) -> None:
        self.id = wire.new_id("run")
        self.agent_id = thread.agent_id
        self._store = store
        self._model = model
        self._context_window = context_window
        self._started = time.perf_counter_ns()
        self._usages: list[RequestUsage] = []
        self._tools: list[str] = []
        self._open_step: str | None = None
        self._heard = False
        config = request.model_dump(
            include={
                "use_assistant_message",
                "assistant_message_tool_name",
                "assistant_message_tool_kwarg",
                "include_return_message_types",
            }
        )
        row: Row = {"id": self.id, **thread.columns, "status": "running", "stop_reason": None}
        row |= {"background": int(request.background), "run_type": run_type}
        times = {"created_at": wire.utc_text(), "completed_at": None, "run_start_ns": time.time_ns()}
        self._store.add("runs", row | times | {"request_config": config, "error": None})

    def first_event(self) -> None:
        """An event of the agent went out; the first one sets the time to first token."""
        if not self._heard:
            self._heard = True
            self._store.update("runs", self.id, ttft_ns=time.perf_counter_ns() - self._started)

    def begin_step(self, step_id: str) -> None:
        """A model request begins."""
        model = {"model": self._model.model_name, "provider": self._model.system, "endpoint": self._model.base_url}
        row: Row = {"id": step_id, "run_id": self.id, "agent_id": self.agent_id, "status": "pending"}
        more = {"context_window": self._context_window, "step_start_ns": time.time_ns()}
        self._store.add("steps", row | model | more)
        self._open_step = step_id

    def end_step(
        self, step_id: str, response: ModelResponse, *, llm_ns: int, step_ns: int, tool_ns: dict[str, int]
    ) -> None:
        """A step's tools are done; `tool_ns` has the time of each call by its id."""
        self._usages.append(response.usage)
        self._tools += [call.tool_name for call in response.tool_calls if call.tool_call_id in tool_ns]
        times = {"llm_request_ns": llm_ns, "step_ns": step_ns, "tool_execution_ns": max(tool_ns.values(), default=None)}
        self._store.update("steps", step_id, status="success", tokens=tokens(response.usage), **times)
        self._open_step = None
        self._last_step = step_id

    def end_tools(self, step_id: str, response: ModelResponse, tool_ns: dict[str, int]) -> None:
        """Tools of an earlier run's step are done: they had waited for the client."""
        self._tools += [call.tool_name for call in response.tool_calls if call.tool_call_id in tool_ns]
        self._store.update("steps", step_id, tool_execution_ns=max(tool_ns.values(), default=None))

    def finish(self, stop_reason: str, error: str | None = None) -> None:
        """The run is over, one way or another; only the first word counts."""
        row = self._store.get("runs", self.id)
        if row is None or row["status"] != "running":
            return
        status = "completed" if stop_reason in _COMPLETED else "cancelled" if stop_reason == "cancelled" else "failed"
        duration = time.perf_counter_ns() - self._started
        self._store.update(
            "runs",
            self.id,
            status=status,
            stop_reason=stop_reason,
            completed_at=wire.utc_text(),
            run_ns=duration,
            tools_used=sorted(set(self._tools)),
            error=error,
        )
        if self._open_step:
            self._store.update("steps", self._open_step, status=status, stop_reason=stop_reason, error=error)
        elif self._usages:
            self._store.update("steps", self._last_step, stop_reason=stop_reason)
        last = {"last_run_completion": wire.utc_text(), "last_run_duration_ms": duration // 1_000_000}
        self._store.update("agents", self.agent_id, last_stop_reason=stop_reason, updated_at=wire.utc_text(), **last)

    def usage_statistics(self) -> Event:
        """The tokens of all steps, as the stream's last event; null is what no step's model reported."""
        totals = total([tokens(usage) for usage in self._usages])
        context = tokens(self._usages[-1])["total_tokens"] if self._usages else None
        return {
            "message_type": "usage_statistics",
            "completion_tokens": totals["completion_tokens"] or 0,
            "prompt_tokens": totals["prompt_tokens"] or 0,
            "total_tokens": totals["total_tokens"] or 0,
            "step_count": len(self._usages),
            "run_ids": None,
            "cached_input_tokens": totals["cached_input_tokens"],
            "cache_write_tokens": totals["cache_write_tokens"],
            "reasoning_tokens": totals["reasoning_tokens"],
            "context_tokens": context,
        }
