"""The pydantic-ai agents that are served, and how one of them is started for a Letta agent."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, nullcontext
from copy import copy
from dataclasses import dataclass
from typing import Any

from pydantic_ai import Agent, AgentRun
from pydantic_ai.capabilities import AbstractCapability, ReinjectSystemPrompt, UseThreadExecutor
from pydantic_ai.messages import ModelMessage, UserContent
from pydantic_ai.models import Model, infer_model
from pydantic_ai.models.function import FunctionModel
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.tools import DeferredToolResults, Tool, ToolDefinition
from pydantic_ai.toolsets import AbstractToolset, CombinedToolset, ExternalToolset, FunctionToolset, WrapperToolset
from pydantic_ai.usage import UsageLimits

from letta_nb.server.memory import Memory
from letta_nb.server.schemas import ClientTool
from letta_nb.server.store import Row
from letta_nb.server.tools import DaemonThreads, ToolRuns, message_toolset

_THREADS = DaemonThreads()
# of a model that does not say
CONTEXT_WINDOW = 128_000

_WAITING = ("external", "unapproved")


@dataclass(frozen=True)
class Opening:
    """What a run starts from: what was said so far, or results of the calls that its last reply made."""

    history: Sequence[ModelMessage]
    results: DeferredToolResults | None = None
    prompt: Sequence[UserContent] | None = None
    client_tools: Sequence[ClientTool] = ()


@dataclass(frozen=True)
class Program:
    """A pydantic-ai agent that is served, with the model it runs on."""

    key: str
    agent: Agent[Any, Any]
    model: Model

    @property
    def handle(self) -> str:
        """The model's name in Letta's form, provider/model."""
        return f"{self.model.system}/{self.model.model_name}"

    @property
    def context_window(self) -> int:
        """How many tokens the model takes at once."""
        return self.model.context_window or CONTEXT_WINDOW

    def tools(self) -> dict[str, Tool[Any]]:
        """The Python tools by name (those of remote toolsets are known only while they run)."""
        return {tool.name: tool for toolset in self.agent.toolsets for tool in _function_tools(toolset)}

    def prompt(self) -> str:
        """The fixed text of its system prompt; what functions add is known only while they run."""
        agent = self.agent
        instructions = [getattr(part, "instruction", part) for part in getattr(agent, "_instructions", ())]
        parts: list[object] = [*getattr(agent, "_system_prompts", ()), *instructions]
        return "\n\n".join(part for part in parts if isinstance(part, str))

    def streams(self, *, wanted: bool) -> bool:
        """Whether to ask the model for a stream: as wanted, unless the model can do only one of the two."""
        model = self.model
        while isinstance(model, WrapperModel):
            model = model.wrapped
        if isinstance(model, FunctionModel):
            return model.stream_function is not None if wanted else model.function is None
        return wanted and type(model).request_stream is not Model.request_stream

    @asynccontextmanager
    async def start(
        self, agent: Row, system: str | None, opening: Opening, tools: ToolRuns, memory: Memory
    ) -> AsyncGenerator[AgentRun[Any, Any]]:
        """A run as the Letta agent `agent`; `system`, where there is one, replaces all that the program would say."""
        blocks = memory_text(agent)
        capabilities: list[AbstractCapability[Any]] = [tools, UseThreadExecutor(_THREADS)]
        if system is None:
            capabilities.append(ReinjectSystemPrompt())
            said, own = blocks or None, nullcontext()
        else:
            said, own = None, self.agent.override(instructions="\n\n".join(filter(None, (system, blocks))))
        toolsets: list[AbstractToolset[Any]] = [message_toolset()] if agent["message_tool"] else []
        offered = {tool.name: _definition(tool) for tool in opening.client_tools}
        tools.shadowed = {name: offered.pop(name) for name in self.tools() if name in offered}
        if (own_tools := memory.tools(agent, {*self.tools(), *offered})) is not None:
            toolsets.append(own_tools)
        if offered:
            toolsets.append(ExternalToolset(list(offered.values())))
        with own:
            async with self.agent.iter(
                opening.prompt,
                message_history=opening.history,
                deferred_tool_results=opening.results,
                model=self.model,
                instructions=said,
                # a run's length is Letta's max_steps
                usage_limits=UsageLimits(request_limit=None),
                toolsets=toolsets or None,
                capabilities=capabilities,
            ) as run:
                _allow_deferral(run)
                yield run


def kind_of(run: AgentRun[Any, Any], tool_name: str) -> str:
    """What pydantic-ai calls the kind of a tool, "unknown" if the run has none of that name."""
    found = run.ctx.deps.tool_manager.get_tool_def(tool_name)
    return found.kind if found else "unknown"


def waits(run: AgentRun[Any, Any], tool_name: str) -> bool:
    """Whether calls of that tool are the client's to approve or to run."""
    return kind_of(run, tool_name) in _WAITING and not _answers_itself(run.ctx.deps.root_capability)


def _answers_itself(capability: AbstractCapability[Any]) -> bool:
    """Whether the program has a handler of its own for calls that wait: then it is asked, not the client."""
    handlers: list[bool] = []
    capability.apply(
        lambda c: handlers.append(
            type(c).handle_deferred_tool_calls is not AbstractCapability.handle_deferred_tool_calls
        )
    )
    return any(handlers)


def _allow_deferral(run: AgentRun[Any, Any]) -> None:
    # Any tool may ask for approval from within, whatever the agent's output types are. A run's own `output_type`
    # would say so too, but an agent with output validators takes none.
    schema = copy(run.ctx.deps.output_schema)
    schema.allows_deferred_tools = True
    run.ctx.deps.output_schema = schema


def _definition(tool: ClientTool) -> ToolDefinition:
    schema = tool.parameters or {"type": "object", "properties": {}}
    return ToolDefinition(name=tool.name, description=tool.description, parameters_json_schema=schema, kind="external")


def make_programs(agents: Mapping[str, Agent[Any, Any]], model: Model | str | None) -> dict[str, Program]:
    """The programs to serve; `model` is for agents that have none of their own."""
    programs: dict[str, Program] = {}
    for key, agent in agents.items():
        own = agent.model or model
        if own is None:
            raise ValueError(f"The agent {key!r} has no model: give it one, or pass model= to serve()")
        programs[key] = Program(key, agent, own if isinstance(own, Model) else infer_model(own))
    return programs


def memory_text(agent: Row) -> str:
    """The agent's memory blocks, as they stand in its system prompt."""
    return "\n\n".join(f"<{block['label']}>\n{block['value']}\n</{block['label']}>" for block in agent["blocks"])


def _function_tools(toolset: AbstractToolset[Any]) -> Iterator[Tool[Any]]:
    if isinstance(toolset, FunctionToolset):
        yield from toolset.tools.values()
    elif isinstance(toolset, CombinedToolset):
        for inner in toolset.toolsets:
            yield from _function_tools(inner)
    elif isinstance(toolset, WrapperToolset):
        yield from _function_tools(toolset.wrapped)
