"""One run: drives a pydantic-ai agent step by step, tells its events and keeps its record."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any

from pydantic_ai import Agent, AgentRun, CallToolsNode, ModelRequestNode
from pydantic_ai.exceptions import RunCancelled
from pydantic_ai.messages import ModelRequest, ModelResponse, ToolReturnPart
from pydantic_graph import End

from letta_nb.server import wire
from letta_nb.server.events import MessageTool, Reply
from letta_nb.server.failures import describe
from letta_nb.server.feed import DONE, Feed, frame
from letta_nb.server.programs import Program
from letta_nb.server.records import RunRecord
from letta_nb.server.schemas import StreamRequest
from letta_nb.server.store import Row
from letta_nb.server.stream import ReplyStream
from letta_nb.server.tools import MESSAGE_TOOL, ToolRuns
from letta_nb.server.transcript import Transcript, tool_returns
from letta_nb.server.wire import Event


@dataclass
class _Step:
    """One model request and its tools."""

    id: str
    stream: ReplyStream
    started: int = field(default_factory=time.perf_counter_ns)
    llm_ns: int = 0
    done: bool = False


class Run:
    """One request to an agent, being answered. It goes on whether or not anyone reads its feed."""

    def __init__(
        self, agent: Row, program: Program, request: StreamRequest, record: RunRecord, transcript: Transcript
    ) -> None:
        self.id = record.id
        self.agent_id: str = agent["id"]
        self.feed = Feed()
        self._agent = agent
        self._program = program
        self._request = request
        self._record = record
        self._transcript = transcript
        self._message_tool = MessageTool(
            request.use_assistant_message, request.assistant_message_tool_name, request.assistant_message_tool_kwarg
        )
        self._tools = ToolRuns.of(agent)
        self._steps: list[_Step] = []
        self._response: ModelResponse | None = None
        self._told = False
        self._driven: AgentRun[Any, Any] | None = None
        if request.include_pings:
            self.feed.put(frame(wire.ping(self.id)))

    async def execute(self) -> None:
        """Run the agent to its end, whatever that is."""
        try:
            stop_reason = await self._drive()
        except (RunCancelled, asyncio.CancelledError):
            self.cancel()
            self._keep_partial_reply()
        except Exception as error:
            self._fail(error)
        else:
            self._record.finish(stop_reason)
            self.feed.put(frame(wire.stop_reason(stop_reason)))
            self.feed.put(frame(self._record.usage_statistics()))
            self.feed.put(DONE)
        self.feed.close()

    def cancel(self) -> None:
        """End the run for its readers at once; what it is doing winds down behind their backs."""
        self._record.finish("cancelled")
        self.feed.put(frame(wire.stop_reason("cancelled")))
        self.feed.close()
        if self._driven is not None:
            self._driven.cancel()

    def _fail(self, error: Exception) -> None:
        failure = describe(error, after_events=self._told)
        self._record.finish(failure.stop_reason, failure.detail)
        self.feed.put(frame(wire.stop_reason(failure.stop_reason)))
        self.feed.put(frame(wire.error_message(self.id, *failure[1:]), "error"))
        if not self._told:
            self.feed.put(DONE)

    def _keep_partial_reply(self) -> None:
        # what the user saw of an unfinished reply stays in the agent's memory; its calls were not made
        messages = self._driven.all_messages() if self._driven else []
        last = messages[-1] if messages else None
        if self._steps and not self._steps[-1].done and isinstance(last, ModelResponse) and last.text:
            self._transcript.add_response(self._steps[-1].stream.reply, self.agent_id, last, [])

    async def _drive(self) -> str:
        first_step = wire.new_id("step")
        sent = self._request.messages or []
        history = self._transcript.history(self.agent_id)
        history += self._transcript.add_input(sent, self.agent_id, self.id, first_step)
        system = self._request.override_system if self._request.override_system is not None else self._agent["system"]
        async with self._program.start(self._agent, system, history, self._tools) as run:
            self._driven = run
            if self.feed.closed:
                run.cancel()
            node: Any = run.next_node
            while not isinstance(node, End):
                if Agent.is_model_request_node(node):
                    if len(self._steps) == self._request.max_steps:
                        return "max_steps"
                    node = await self._ask_model(run, node, wire.new_id("step") if self._steps else first_step)
                elif Agent.is_call_tools_node(node):
                    node = await self._call_tools(run, node)
                    if self._has_spoken():
                        return "end_turn"
                else:
                    node = await run.next(node)
        cut = self._response is not None and self._response.finish_reason == "length"
        return "max_tokens_exceeded" if cut else "end_turn"

    async def _ask_model(
        self, run: AgentRun[Any, Any], node: ModelRequestNode[Any, Any], step_id: str
    ) -> CallToolsNode[Any, Any]:
        wanted = self._request.stream_tokens
        streams = self._program.streams(wanted=wanted)
        stream = ReplyStream(Reply(step_id, self.id), self._message_tool, tokens=wanted and streams)
        step = _Step(step_id, stream)
        self._steps.append(step)
        self._record.begin_step(step_id)
        if streams:
            async with node.stream(run.ctx) as events:
                async for event in events:
                    async for told in stream.handle_event(event):
                        self._tell(told)
        after = await run.next(node)
        assert isinstance(after, CallToolsNode)
        step.llm_ns = time.perf_counter_ns() - step.started
        return after

    async def _call_tools(self, run: AgentRun[Any, Any], node: CallToolsNode[Any, Any]) -> Any:
        step = self._steps[-1]
        self._response = response = node.model_response
        after = await run.next(node)
        answer = after.request if isinstance(after, ModelRequestNode) else run.all_messages()[-1]
        request = answer if isinstance(answer, ModelRequest) else None
        returns = tool_returns(request) if request else []
        step.done = True
        back = Reply(step.id, self.id)
        self._keep(step, response, request, returns, back)
        for event in step.stream.step_end(response, returns, self._tools.outputs, back):
            self._tell(event)
        return after

    def _keep(
        self,
        step: _Step,
        response: ModelResponse,
        request: ModelRequest | None,
        returns: list[ToolReturnPart],
        back: Reply,
    ) -> None:
        failed = [part.tool_call_id for part in returns if part.outcome != "success"]
        self._transcript.add_response(step.stream.reply, self.agent_id, response, failed)
        if request:
            self._transcript.add_request(back, self.agent_id, request, self._tools.outputs)
        ran = {part.tool_call_id: self._tools.outputs.get(part.tool_call_id) for part in returns}
        tool_ns = {call_id: output.duration_ns for call_id, output in ran.items() if output}
        step_ns = time.perf_counter_ns() - step.started
        self._record.end_step(step.id, response, llm_ns=step.llm_ns, step_ns=step_ns, tool_ns=tool_ns)

    def _has_spoken(self) -> bool:
        """Whether the step called Letta's own message tool without asking for another turn: that ends a run."""
        if not self._agent["message_tool"] or self._response is None:
            return False
        spoken = [call for call in self._response.tool_calls if call.tool_name == MESSAGE_TOOL]
        return any(not call.args_as_dict().get("request_heartbeat") for call in spoken)

    def _tell(self, event: Event) -> None:
        self._told = True
        self._record.first_event()
        wanted = self._request.include_return_message_types
        if wanted is None or event["message_type"] in wanted:
            self.feed.put(frame(event))
