"""The steps of one run: drives a pydantic-ai agent node by node, tells its events and keeps what was said."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pydantic_ai import Agent, AgentRun, CallToolsNode, ModelRequestNode
from pydantic_ai.messages import ModelRequest, ModelResponse, ToolReturnPart
from pydantic_ai.tools import DeferredToolRequests
from pydantic_graph import End

from letta_nb.server import wire
from letta_nb.server.approvals import Approvals, Call, Pending, Settled, call_of
from letta_nb.server.content import native_content
from letta_nb.server.events import MessageTool, Reply, arguments_text
from letta_nb.server.failures import PendingApproval, RefusedInput
from letta_nb.server.items import ApprovalCreate, MessageCreate, ToolReturnCreate
from letta_nb.server.memory import Memory
from letta_nb.server.programs import Opening, Program, kind_of, waits
from letta_nb.server.records import RunRecord
from letta_nb.server.schemas import StreamRequest
from letta_nb.server.store import Row, Thread
from letta_nb.server.stream import ReplyStream
from letta_nb.server.tools import MESSAGE_TOOL, SeedToolRuns, ToolRuns
from letta_nb.server.transcript import Transcript, tool_returns
from letta_nb.server.wire import Event


@dataclass(frozen=True)
class Turn:
    """What a run is about: a request to an agent, in one of its threads; `seed` for the ways of that era."""

    agent: Row
    thread: Thread
    program: Program
    request: StreamRequest
    seed: bool = False


@dataclass
class _Step:
    """One model request and its tools; `settled` if only the tools are left, as they had waited for the client."""

    id: str
    stream: ReplyStream
    settled: Settled | None = None
    started: int = field(default_factory=time.perf_counter_ns)
    llm_ns: int = 0
    done: bool = False


class Steps:
    """Drives a run from its request to the reason why it stops."""

    def __init__(
        self,
        turn: Turn,
        record: RunRecord,
        transcript: Transcript,
        approvals: Approvals,
        memory: Memory,
        tell: Callable[[Event], None],
    ) -> None:
        self._agent, self._thread, self._program, self._request = turn.agent, turn.thread, turn.program, turn.request
        self._record = record
        self._transcript = transcript
        self._approvals = approvals
        self._memory = memory
        self._tell = tell
        request = turn.request
        self._message_tool = MessageTool(
            request.use_assistant_message, request.assistant_message_tool_name, request.assistant_message_tool_kwarg
        )
        self._seed = turn.seed
        tools = SeedToolRuns if turn.seed else ToolRuns
        self._tools = tools.of(turn.agent, [tool.name for tool in request.client_tools or ()])
        self._steps: list[_Step] = []
        self._response: ModelResponse | None = None
        self._driven: AgentRun[Any, Any] | None = None
        self._cancelled = False

    def cancel(self) -> None:
        """Wind down as soon as may be; `drive` raises RunCancelled."""
        self._cancelled = True
        if self._driven is not None:
            self._driven.cancel()

    def keep_partial_reply(self) -> None:
        """What the user saw of an unfinished reply stays in the agent's memory; its calls were not made."""
        messages = self._driven.all_messages() if self._driven else []
        last = messages[-1] if messages else None
        step = self._steps[-1] if self._steps else None
        if step and not step.done and not step.settled and isinstance(last, ModelResponse) and last.text:
            self._transcript.add_response(step.stream.reply, self._thread, last, [], None)

    async def drive(self) -> str:
        """Run the agent until it stops; returns why."""
        first_step = wire.new_id("step")
        opening = self._open(first_step)
        system = self._request.override_system if self._request.override_system is not None else self._agent["system"]
        async with self._program.start(self._agent, system, opening, self._tools, self._memory) as run:
            self._driven = run
            if self._cancelled:
                run.cancel()
            node: Any = run.next_node
            while not isinstance(node, End):
                if Agent.is_model_request_node(node):
                    if len(self._steps) == self._request.max_steps:
                        return "max_steps"
                    node = await self._ask_model(run, node, wire.new_id("step") if self._steps else first_step)
                elif Agent.is_call_tools_node(node):
                    if (ahead := self._waiting(run, node)) is not None:
                        self._pause(self._steps[-1], node.model_response, *ahead, [])
                        return "requires_approval"
                    node = await self._call_tools(run, node)
                    if self._approvals.of_run(self._record.id):
                        return "requires_approval"
                    if self._has_spoken():
                        return "end_turn"
                else:
                    node = await run.next(node)
        cut = self._response is not None and self._response.finish_reason == "length"
        return "max_tokens_exceeded" if cut else "end_turn"

    def _open(self, first_step: str) -> Opening:
        sent = self._request.messages or []
        if sent and not isinstance(sent[0], MessageCreate):
            return self._open_with_answer(sent[0], [item for item in sent[1:] if isinstance(item, MessageCreate)])
        if pending := self._approvals.pending(self._thread):
            raise PendingApproval(pending.id)
        words = [item for item in sent if isinstance(item, MessageCreate)]
        if len(words) < len(sent):
            raise RefusedInput("An approval response must be the first message of a request")
        history = self._transcript.history(self._thread)
        history += self._transcript.add_input(words, self._thread, self._record.id, first_step)
        return Opening(history, client_tools=self._request.client_tools or ())

    def _open_with_answer(self, item: ApprovalCreate | ToolReturnCreate, follow_up: list[MessageCreate]) -> Opening:
        answers = item.answers()
        pending = self._approvals.expect(self._thread, answers)
        history = self._transcript.history(self._thread, pending)
        self._transcript.add_answers(answers, follow_up, self._thread, self._record.id, item.otid)
        settled = Settled.of(pending, answers)
        self._tools.outputs |= settled.outputs
        stream = ReplyStream(Reply(pending.step_id, self._record.id), self._message_tool, tokens=self._tokens()[0])
        self._steps.append(_Step(pending.step_id, stream, settled))
        prompt = [part for message in follow_up for part in native_content(message.content)]
        return Opening(history, settled.results, prompt or None, self._request.client_tools or ())

    def _tokens(self) -> tuple[bool, bool]:
        """Whether to tell tokens, and whether to ask the model for them."""
        wanted = self._request.stream_tokens
        streams = self._program.streams(wanted=wanted)
        return wanted and streams, streams

    async def _ask_model(
        self, run: AgentRun[Any, Any], node: ModelRequestNode[Any, Any], step_id: str
    ) -> CallToolsNode[Any, Any]:
        tokens, streams = self._tokens()
        reply = Reply(step_id, self._record.id)
        stream = ReplyStream(reply, self._message_tool, tokens=tokens, waits=lambda name: waits(run, name))
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

    def _waiting(self, run: AgentRun[Any, Any], node: CallToolsNode[Any, Any]) -> tuple[list[Call], list[Call]] | None:
        """The calls of a reply that wait for the client, and those that then wait with them: Letta runs none before."""
        if node.tool_call_results is not None:
            return None
        made = node.model_response.tool_calls
        kinds = {call.tool_call_id: kind_of(run, call.tool_name) for call in made}
        # a final output decides itself what becomes of the calls beside it
        if "output" in kinds.values():
            return None
        calls = {waiting: list[Call]() for waiting in (True, False)}
        for part in made:
            call = call_of(part, arguments_text(part.args), external=kinds[part.tool_call_id] == "external")
            calls[waits(run, part.tool_name)].append(call)
        return (calls[True], calls[False]) if calls[True] else None

    def _pause(
        self,
        step: _Step,
        response: ModelResponse,
        calls: list[Call],
        others: list[Call],
        returns: list[ToolReturnPart],
    ) -> None:
        """End the run's leg with a request for approval; `returns` are of calls that ran before it was known."""
        reply = step.stream.reply
        if step.stream.tokens:
            request_id = wire.approval_request_id(reply.message_id)
        else:
            alone = step.settled or len(calls) == len(response.tool_calls)
            request_id = reply.message_id if alone else wire.new_id("message")
        pending = Pending(request_id, *self._thread, self._record.id, step.id, wire.date_text(reply.at), calls, others)
        if step.settled:
            self._transcript.add_pending(reply, self._thread, pending)
        else:
            self._transcript.add_response(reply, self._thread, response, _failed(returns), pending)
            self._end_step(step, response, returns)
        self._approvals.ask(pending)
        step.done = True
        for event in step.stream.reply_end(response, _failed(returns), pending, told=step.settled is not None):
            self._tell(event)

    async def _call_tools(self, run: AgentRun[Any, Any], node: CallToolsNode[Any, Any]) -> Any:
        step = self._steps[-1]
        self._response = response = node.model_response
        if early := self._seed and not step.stream.tokens:
            # that era told a call before its tool ran
            for event in step.stream.reply_end(response, [], None):
                self._tell(event)
        after = await run.next(node)
        answer = after.request if isinstance(after, ModelRequestNode) else run.all_messages()[-1]
        request = answer if isinstance(answer, ModelRequest) else None
        returns = tool_returns(request) if request else []
        if step.settled:
            returns = step.settled.in_order(returns)
        deferred = after.data.output if isinstance(after, End) else None
        if isinstance(deferred, DeferredToolRequests):
            calls = [call_of(part, arguments_text(part.args)) for part in deferred.approvals]
            calls += [call_of(part, arguments_text(part.args), external=True) for part in deferred.calls]
            self._pause(step, response, calls, [], returns)
        elif not step.settled:
            self._transcript.add_response(step.stream.reply, self._thread, response, _failed(returns), None)
            self._end_step(step, response, returns)
            for event in step.stream.reply_end(response, _failed(returns), None, told=early):
                self._tell(event)
        step.done = True
        if request:
            self._return(step, response, request, returns)
        return after

    def _return(
        self, step: _Step, response: ModelResponse, request: ModelRequest, returns: list[ToolReturnPart]
    ) -> None:
        """Keep and tell what came back from a step's calls."""
        back = Reply(step.id, self._record.id)
        name = step.settled.ran if step.settled else returns[0].tool_name if returns else None
        parts = [*returns, *(part for part in request.parts if part not in returns)]
        self._transcript.add_request(back, self._thread, ModelRequest(parts=parts), self._tools.outputs, name)
        if step.settled:
            self._record.end_tools(step.id, response, self._tool_ns(returns))
        # 0.16.8 does not stream what it did not run itself, token by token
        if step.settled is None or step.settled.ran or not step.stream.tokens:
            for event in step.stream.returns(response, returns, self._tools.outputs, back, name):
                self._tell(event)

    def _end_step(self, step: _Step, response: ModelResponse, returns: list[ToolReturnPart]) -> None:
        step_ns = time.perf_counter_ns() - step.started
        tool_ns = self._tool_ns(returns)
        self._record.end_step(step.id, response, llm_ns=step.llm_ns, step_ns=step_ns, tool_ns=tool_ns)

    def _tool_ns(self, returns: list[ToolReturnPart]) -> dict[str, int]:
        ran = {part.tool_call_id: self._tools.outputs.get(part.tool_call_id) for part in returns}
        return {call_id: output.duration_ns for call_id, output in ran.items() if output and output.duration_ns}

    def _has_spoken(self) -> bool:
        """Whether the step called Letta's own message tool without asking for another turn: that ends a run."""
        if not self._agent["message_tool"] or self._response is None:
            return False
        spoken = [call for call in self._response.tool_calls if call.tool_name == MESSAGE_TOOL]
        return any(not call.args_as_dict().get("request_heartbeat") for call in spoken)


def _failed(returns: list[ToolReturnPart]) -> list[str]:
    return [part.tool_call_id for part in returns if part.outcome != "success"]
