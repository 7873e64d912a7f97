"""The pydantic-ai agents that are served, and how one of them is started for a Letta agent."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

from pydantic_ai import Agent, AgentRun
from pydantic_ai.capabilities import AbstractCapability, ReinjectSystemPrompt, UseThreadExecutor
from pydantic_ai.messages import ModelMessage
from pydantic_ai.models import Model, infer_model
from pydantic_ai.models.function import FunctionModel
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.tools import Tool
from pydantic_ai.toolsets import AbstractToolset, CombinedToolset, FunctionToolset, WrapperToolset
from pydantic_ai.usage import UsageLimits

from letta_nb.server.store import Row
from letta_nb.server.tools import DaemonThreads, ToolRuns, message_toolset

_THREADS = DaemonThreads()


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
        self, agent: Row, system: str | None, history: Sequence[ModelMessage], tools: ToolRuns
    ) -> AsyncGenerator[AgentRun[Any, Any]]:
        """A run as the Letta agent `agent`; `system`, where there is one, replaces all that the program would say."""
        blocks = memory_text(agent)
        capabilities: list[AbstractCapability[Any]] = [tools, UseThreadExecutor(_THREADS)]
        if system is None:
            capabilities.append(ReinjectSystemPrompt())
            said, own = blocks or None, nullcontext()
        else:
            said, own = None, self.agent.override(instructions="\n\n".join(filter(None, (system, blocks))))
        with own:
            async with self.agent.iter(
                message_history=history,
                model=self.model,
                instructions=said,
                # a run's length is Letta's max_steps
                usage_limits=UsageLimits(request_limit=None),
                toolsets=[message_toolset()] if agent["message_tool"] else None,
                capabilities=capabilities,
            ) as run:
                yield run


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
