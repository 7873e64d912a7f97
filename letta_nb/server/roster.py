"""The Letta agents of this server: made, found and described."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from hashlib import md5
from typing import Any
from uuid import UUID

from pydantic_ai.tools import Tool

from letta_nb.server import wire
from letta_nb.server.approvals import Pending
from letta_nb.server.memory import MEMORY_TOOLS, Memory, block_view, new_block
from letta_nb.server.programs import CONTEXT_WINDOW, Program, memory_text
from letta_nb.server.schemas import AgentCreate, BlockCreate
from letta_nb.server.store import Row, Store, Thread
from letta_nb.server.tools import MESSAGE_TOOL, message_toolset

_SPEAKS_BY_TOOL = ("memgpt_agent", "memgpt_v2_agent")
_TYPES = {MESSAGE_TOOL: "letta_core"} | dict.fromkeys(MEMORY_TOOLS, "letta_sleeptime_core")


class UnknownName(LookupError):
    """A model or tool that this server does not have; the message lists those it has."""


class Roster:
    """Knows each Letta agent's program. Each program has at least the agent of its own name."""

    def __init__(
        self,
        store: Store,
        programs: Mapping[str, Program],
        memory: Memory,
        *,
        message_tool: bool,
        blocks: Mapping[str, Sequence[BlockCreate]],
    ) -> None:
        self._store = store
        self._programs = dict(programs)
        self._memory = memory
        agent_type = "memgpt_v2_agent" if message_tool else "letta_v1_agent"
        for key in self._programs:
            if not store.page("agents", name=key, limit=1):
                own = list(blocks.get(key, ()))
                self.create(AgentCreate(name=key, agent_type=agent_type, model=key, memory_blocks=own))

    def program(self, agent: Row, model: str | None = None) -> Program | None:
        """What the agent runs on, or what has that `model`; None if this process does not serve it any more."""
        return self._chosen(model) if model else self._programs.get(agent["program"])

    def create(self, request: AgentCreate) -> Row:
        """Add an agent; its program is the one whose model was asked for, by default the first."""
        program = self._chosen(request.model)
        there = {*program.tools(), MESSAGE_TOOL, *MEMORY_TOOLS}
        if unknown := [name for name in request.tools or () if name not in there]:
            raise UnknownName(f"Tools not found: {unknown}. This server has: {sorted(program.tools())}")
        created = wire.utc_text()
        agent: Row = {
            "id": wire.new_id("agent"),
            "name": request.name or f"agent-{created}",
            "program": program.key,
            "agent_type": request.agent_type,
            "system": request.system,
            "tools": request.tools,
            "message_tool": _wants_message_tool(request),
            "memory_tools": _wants_memory_tools(request),
            "context_window": request.context_window_limit or program.context_window,
            "description": request.description,
            "tags": request.tags,
            "metadata": request.metadata,
            "blocks": [new_block(block) for block in request.memory_blocks],
            "created_at": created,
            "updated_at": created,
        }
        self._store.add("agents", agent)
        self.open(agent, Thread(agent["id"]))
        return agent

    def open(self, agent: Row, thread: Thread) -> None:
        """Begin a thread with the agent's system prompt."""
        message = {"id": wire.new_id("message"), **thread.columns, "run_id": None, "step_id": None}
        system = {"role": "system", "at": wire.now().isoformat(), "otid": None, "content": self.system(agent)}
        self._store.add("messages", message | system)

    def _chosen(self, model: str | None) -> Program:
        for program in self._programs.values():
            if model in (None, program.key, program.handle, program.model.model_name):
                return program
        handles = [program.handle for program in self._programs.values()]
        raise UnknownName(f"NOT_FOUND: Handle {model} not found, must be one of {handles}")

    def system(self, agent: Row) -> str:
        """The agent's system prompt as it now is."""
        program = self.program(agent)
        system = agent["system"] if agent["system"] is not None else program.prompt() if program else ""
        return "\n\n".join(filter(None, (system, memory_text(agent))))

    def state(self, agent: Row, pending: Pending | None = None) -> Row:
        """The agent as `GET /v1/agents/{id}` shows it, with the request for approval that it waits on."""
        program = self.program(agent)
        tools = program.tools() if program else {}
        shown = [tool for name, tool in tools.items() if agent["tools"] is None or name in agent["tools"]]
        if agent["message_tool"]:
            shown += message_toolset().tools.values()
        if (memory := self._memory.tools(agent, tools)) is not None:
            shown += memory.tools.values()
        return _state(agent, program, self.system(agent), [_tool_state(tool) for tool in shown], pending)


def _wants_message_tool(request: AgentCreate) -> bool:
    if request.include_base_tools is not None:
        return request.include_base_tools
    return request.agent_type in _SPEAKS_BY_TOOL or MESSAGE_TOOL in (request.tools or ())


def _wants_memory_tools(request: AgentCreate) -> bool:
    named = any(name in MEMORY_TOOLS for name in request.tools or ())
    return named or (bool(request.memory_blocks) and request.include_base_tools is not False)


def tool_id(name: str) -> str:
    """An id that is the same in every run of the server, in the form of Letta's."""
    return f"tool-{UUID(bytes=md5(name.encode(), usedforsecurity=False).digest(), version=4)}"


def _tool_state(tool: Tool[Any]) -> Row:
    definition = tool.tool_def
    try:
        source = inspect.getsource(tool.function)
    except (OSError, TypeError):
        source = None
    parameters = definition.parameters_json_schema
    return {
        "id": tool_id(tool.name),
        "tool_type": _TYPES.get(tool.name, "custom"),
        "name": tool.name,
        "description": definition.description,
        "source_type": "python",
        "source_code": source,
        "json_schema": {"name": tool.name, "description": definition.description, "parameters": parameters},
        "tags": [],
        "default_requires_approval": True if tool.requires_approval else None,
    }


def context_window(agent: Row, program: Program | None) -> int:
    """How many tokens the agent's model takes at once."""
    return agent.get("context_window") or (program.context_window if program else CONTEXT_WINDOW)


def _state(agent: Row, program: Program | None, system: str, tools: list[Row], pending: Pending | None) -> Row:
    blocks = [block_view(block) for block in agent["blocks"]]
    memory: Row = {"agent_type": agent["agent_type"], "blocks": blocks, "file_blocks": [], "prompt_template": ""}
    return {
        "created_at": agent["created_at"],
        "updated_at": agent["updated_at"],
        "id": agent["id"],
        "name": agent["name"],
        "tool_rules": [],
        "system": system,
        "agent_type": agent["agent_type"],
        "llm_config": {
            "model": program.model.model_name if program else "",
            "model_endpoint_type": "openai",
            "model_endpoint": program.model.base_url if program else None,
            "context_window": context_window(agent, program),
            "handle": program.handle if program else None,
        },
        "embedding_config": None,
        "model": program.handle if program else None,
        "embedding": None,
        "description": agent["description"],
        "metadata": agent["metadata"],
        "memory": memory,
        "blocks": blocks,
        "tools": tools,
        "sources": [],
        "tags": agent["tags"],
        "identity_ids": [],
        "message_buffer_autoclear": False,
        "pending_approval": pending.event() if pending else None,
        "last_run_completion": agent.get("last_run_completion"),
        "last_run_duration_ms": agent.get("last_run_duration_ms"),
        "last_stop_reason": agent.get("last_stop_reason"),
        "timezone": "UTC",
    }
