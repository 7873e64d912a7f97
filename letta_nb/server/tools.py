"""Runs a run's tool calls: output captured, time taken, failures told to the model instead of ending the run."""

from __future__ import annotations

import os
import sys
import time
import traceback
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from typing import Any, ParamSpec, TypeVar

import anyio
import pydantic_ai
from pydantic_ai import ModelRetry, RunContext
from pydantic_ai.capabilities import AbstractCapability
from pydantic_ai.exceptions import (
    ApprovalRequired,
    CallDeferred,
    RunCancelled,
    SkipToolExecution,
    ToolFailed,
    ToolFailedError,
    ToolRetryError,
)
from pydantic_ai.messages import ToolCallPart
from pydantic_ai.tools import DeferredToolRequests, DeferredToolResults, ToolDefinition, ToolDenied
from pydantic_ai.toolsets import FunctionToolset

from letta_nb.server.memory import MEMORY_TOOLS
from letta_nb.server.stdio import Captured, captured
from letta_nb.server.store import Row

MESSAGE_TOOL = "send_message"

_NO_APPROVALS = "Error: this call needs approval, for which servers of this era have no way to ask"

_P = ParamSpec("_P")
_T = TypeVar("_T")

_CONTROL_FLOW = (
    ModelRetry,
    ToolFailed,
    ToolFailedError,
    ToolRetryError,
    CallDeferred,
    ApprovalRequired,
    SkipToolExecution,
    RunCancelled,
)


@dataclass
class ToolOutput:
    """What is known of one finished call beyond its return value."""

    stdout: list[str] | None
    stderr: list[str] | None
    duration_ns: int


@dataclass
class ToolRuns(AbstractCapability[Any]):
    """The tool side of one run: `allowed` limits the tools it may see, `outputs` has each finished call by its id.

    `shadowed` has what the client offers in place of tools of the same name.
    """

    allowed: frozenset[str] | None = None
    shadowed: dict[str, ToolDefinition] = field(default_factory=dict[str, ToolDefinition])
    outputs: dict[str, ToolOutput] = field(default_factory=dict[str, ToolOutput])

    @classmethod
    def of(cls, agent: Row, client_tools: Iterable[str] = ()) -> ToolRuns:
        """For a run of this agent, with tools that the client offers."""
        if agent["tools"] is None:
            return cls()
        own = [MESSAGE_TOOL] if agent["message_tool"] else []
        own += MEMORY_TOOLS if agent.get("memory_tools") else ()
        return cls(frozenset([*agent["tools"], *client_tools, *own]))

    async def prepare_tools(self, ctx: RunContext[Any], tool_defs: list[ToolDefinition]) -> list[ToolDefinition]:
        """Hide the tools that the agent was not given, and show the client's in place of those it shadows."""
        seen = [tool for tool in tool_defs if self.allowed is None or tool.name in self.allowed]
        return [self.shadowed.get(tool.name, tool) for tool in seen]

    async def wrap_tool_execute(
        self,
        ctx: RunContext[Any],
        *,
        call: ToolCallPart,
        tool_def: ToolDefinition,
        args: dict[str, Any],
        handler: Callable[[dict[str, Any]], Any],
    ) -> Any:
        """Run one call; an exception of the tool becomes a failed return with the traceback in its stderr."""
        started = time.perf_counter_ns()
        with captured() as output:
            try:
                result = await handler(args)
                return printable(result) if isinstance(result, str) else result
            except _CONTROL_FLOW:
                raise
            # a tool's sys.exit() must not take the server down
            except (Exception, SystemExit) as error:
                output.pieces["stderr"].append(_traceback(error))
                words = traceback.format_exception_only(error)[-1].strip()
                raise ToolFailed(printable(f"Error executing function {call.tool_name}: {words}")) from error
            finally:
                self._record(call, output, time.perf_counter_ns() - started)

    def _record(self, call: ToolCallPart, output: Captured, duration_ns: int) -> None:
        stdout, stderr = ([text] if (text := output.text(stream)) else [] for stream in ("stdout", "stderr"))
        self.outputs[call.tool_call_id] = ToolOutput(stdout, stderr, duration_ns)


class SeedToolRuns(ToolRuns):
    """As in the seed era, when servers could not ask for approval: what needs it, or the client, is denied."""

    async def handle_deferred_tool_calls(
        self, ctx: RunContext[Any], *, requests: DeferredToolRequests
    ) -> DeferredToolResults | None:
        """Deny them all."""
        return requests.build_results(
            approvals={call.tool_call_id: ToolDenied(_NO_APPROVALS) for call in requests.approvals},
            calls={call.tool_call_id: ToolFailed(_NO_APPROVALS) for call in requests.calls},
        )


def printable(text: str) -> str:
    """The text with lone surrogates, which have no UTF-8, as their escapes."""
    return text.encode("utf-8", "backslashreplace").decode()


_MACHINERY = (__file__, *(str(Path(module.__file__ or "").parent) for module in (pydantic_ai, anyio)))


def _traceback(error: BaseException) -> str:
    """The traceback from the tool's own first frame: how it was called is no business of its reader."""
    trace = error.__traceback__
    while trace is not None and not _is_tools_own(trace.tb_frame.f_code.co_filename):
        trace = trace.tb_next
    told = traceback.TracebackException(type(error), error, trace or error.__traceback__)
    for exception in (told, told.__cause__, told.__context__):
        for frame in exception.stack if exception else ():
            frame.filename = _known_as(frame.filename)
    return "".join(told.format())


def _known_as(filename: str) -> str:
    """A file by the name it is imported under: what a notebook keeps should not say where this machine keeps things."""
    places = [place for place in sys.path if place and filename.startswith(place.rstrip(os.sep) + os.sep)]
    return os.path.relpath(filename, max(places, key=len)) if places else filename


def _is_tools_own(filename: str) -> bool:
    return not filename.startswith(_MACHINERY) and Path(filename).parent.name not in (
        "asyncio",
        "concurrent",
        "futures",
    )


class DaemonThreads(Executor):
    """A thread for each call, abandoned when its run is cancelled: a tool that hangs holds up nothing."""

    def submit(self, fn: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> Future[_T]:
        future: Future[_T] = Future()

        def work() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(fn(*args, **kwargs))
            except BaseException as error:
                future.set_exception(error)

        Thread(target=work, name="letta-nb-tool", daemon=True).start()
        return future


def message_toolset() -> FunctionToolset[Any]:
    """The toolset with Letta's message tool, for agents that speak by calling it."""
    return FunctionToolset[Any]([send_message])


def send_message(message: str, request_heartbeat: bool = False) -> str:
    """Send a message to the user. This is the only way to speak to them.

    Args:
        message: What to say, in full.
        request_heartbeat: Ask for another turn after this message.
    """
    return "Sent message successfully."
